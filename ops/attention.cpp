// Scaled dot-product attention without an L x S matrix. Contract and reference.
//   p = softmax_s(scale q k^T);  y = p v;  lse = log sum_s e^(scale q k_s)
//   dv_s = sum_l p dy_l;  dp = dy v_s;  ds = p (dp - sum_e dy y);  dq = scale sum_s ds k_s;  dk_s
//                                       = scale sum_l ds q
// Forward keeps a running maximum m, sum z and result: on a score s, all shrink by e^(m - max(m,
// s)) (Milakov and Gimelshein 2018). Backward recomputes p = e^(scale q k - lse) from the saved lse
// (Dao et al., FlashAttention, 2022, appendix B). q [N, L, d], k [N, S, d], v [N, S, e] -> y [N, L,
// e], lse [N, L].
#include <cmath>
#include <limits>

#include "ops/attention.h"
#include "ops/cases.h"
#include "ops/checks.h"

namespace limbeck::attention_op {
namespace {

std::vector<TensorSpec> infer_attention(const Tensors& in, const Attrs&) {
  for (int i = 0; i < 3; ++i) {
    const char* name = i == 0 ? "q" : i == 1 ? "k" : "v";
    check_floating("attention", name, in[i]);
    LIMBECK_CHECK(in[i].rank() == 3 && in[i].dtype() == in[0].dtype(), "attention: '", name,
                  "' must be [batch, positions, size] of the type of q, found ", describe(in[i]));
  }
  const int64_t N = in[0].size(0), L = in[0].size(1), S = in[1].size(1);
  check_shape("attention", "k", in[1], in[0], {N, S, in[0].size(2)});
  check_shape("attention", "v", in[2], in[0], {N, S, in[2].size(2)});
  LIMBECK_CHECK(S >= 1 || N * L == 0, "attention: no keys to attend to in ", describe(in[1]));
  return {{Shape{N, L, in[2].size(2)}, in[0].dtype()},
          {Shape{N, L}, accumulation_type(in[0].dtype())}};
}

template <class T>
double dot(const T* a, const T* b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

template <class T>
void attention_forward(const ForwardCall& c) {
  const auto [N, L, S, d, e, scale] = AttentionSizes<double>(c.in, c.attrs);
  std::vector<double> acc(e);
  for (int64_t n = 0; n < N; ++n)
    for (int64_t l = 0; l < L; ++l) {
      const T* q = c.in[0].data<T>() + (n * L + l) * d;
      double largest = -std::numeric_limits<double>::infinity(), z = 0;
      std::fill(acc.begin(), acc.end(), 0.0);
      for (int64_t s = 0; s < S; ++s) {
        const double score = scale * dot(q, c.in[1].data<T>() + (n * S + s) * d, d);
        const T* v = c.in[2].data<T>() + (n * S + s) * e;
        const double bound = std::max(largest, score), shrink = std::exp(largest - bound),
                     p = std::exp(score - bound);
        for (int64_t i = 0; i < e; ++i) acc[i] = acc[i] * shrink + p * v[i];
        z = z * shrink + p;
        largest = bound;
      }
      for (int64_t i = 0; i < e; ++i)
        c.out[0].data<T>()[(n * L + l) * e + i] = static_cast<T>(acc[i] / z);
      c.out[1].data<T>()[n * L + l] = static_cast<T>(largest + std::log(z));
    }
}

template <class T>
void attention_backward(const BackwardCall& c) {
  const auto [N, L, S, d, e, scale] = AttentionSizes<double>(c.in, c.attrs);
  // Sums over positions in double; written out once.
  std::vector<double> dq(c.in[0].numel(), 0.0), dk(c.in[1].numel(), 0.0), dv(c.in[2].numel(), 0.0);
  for (int64_t n = 0; n < N; ++n)
    for (int64_t l = 0; l < L; ++l) {
      const int64_t at = n * L + l;
      const T *q = c.in[0].data<T>() + at * d, *dy = c.dout[0].data<T>() + at * e;
      const double mean = dot(dy, c.out[0].data<T>() + at * e, e), lse = c.out[1].data<T>()[at];
      for (int64_t s = 0; s < S; ++s) {
        const int64_t key = n * S + s;
        const T *k = c.in[1].data<T>() + key * d, *v = c.in[2].data<T>() + key * e;
        const double p = std::exp(scale * dot(q, k, d) - lse),
                     ds = scale * p * (dot(dy, v, e) - mean);
        for (int64_t i = 0; i < e; ++i) dv[key * e + i] += p * dy[i];
        for (int64_t i = 0; i < d; ++i) dq[at * d + i] += ds * k[i];
        for (int64_t i = 0; i < d; ++i) dk[key * d + i] += ds * q[i];
      }
    }
  const std::vector<double>* sums[] = {&dq, &dk, &dv};
  for (int i = 0; i < 3; ++i)
    if (c.din[i].defined()) std::copy(sums[i]->begin(), sums[i]->end(), c.din[i].data<T>());
}

const RegisterOp attention_op({
    .name = "attention",
    .formula = "y = softmax(scale q k^T) v, lse = log sum_s e^(scale q k_s)\n"
               "p = e^(scale q k - lse), ds = p (dy v - sum dy y): dv = p^T dy, dq = scale ds k, "
               "dk = scale ds^T q",
    .source = "Vaswani et al. 2017, equation 1; Zhang et al., SAGAN, 2019; backward as Dao et al., "
              "FlashAttention, 2022",
    .inputs = {{"q"}, {"k"}, {.name = "v", .weighted = true}},
    .outputs = {{"y"}, {"lse", false}},
    .saved_inputs = {0, 1, 2},
    .saved_outputs = {0, 1},
    .infer = infer_attention,
    .forward = floating<ForwardCall,
                        [](auto t, const ForwardCall& c) { attention_forward<decltype(t)>(c); }>,
    .backward = floating<BackwardCall,
                         [](auto t, const BackwardCall& c) { attention_backward<decltype(t)>(c); }>,
    .cases = {{{values({2, 4, 3}), values({2, 5, 3}), values({2, 5, 2})}, Attrs{{"scale", 1.0}}},
              {{values({1, 1, 1}), values({1, 1, 1}), values({1, 1, 3})}, Attrs{{"scale", 0.5}}},
              {{values({3, 2, 7}, -2, 2), values({3, 6, 7}, -2, 2), values({3, 6, 1})},
               Attrs{{"scale", 0.378}}},
              {{values({1, 3, 2}, -20, 20), values({1, 4, 2}, -20, 20), values({1, 4, 2})},
               Attrs{{"scale", 1.0}}},
              {{values({0, 3, 2}), values({0, 4, 2}), values({0, 4, 5})}},
              big_case({values({2, 65, 16}), values({2, 33, 16}), values({2, 33, 40})},
                       Attrs{{"scale", 1.0}}),
              big_case({values({1, 130, 9}), values({1, 259, 9}), values({1, 259, 17})},
                       Attrs{{"scale", 0.25}}),
              big_case({values({2, 70, 12}), values({2, 130, 12}), values({2, 130, 48})},
                       Attrs{{"scale", 1.0}}),
              big_case({values({1, 130, 64}), values({1, 70, 64}), values({1, 70, 104})},
                       Attrs{{"scale", 0.5}}),
              big_case({values({1, 40, 72}), values({1, 34, 72}), values({1, 34, 136})},
                       Attrs{{"scale", 0.25}})},
    .flops =
        [](const Tensors& in, const Attrs&) {
          return 2.0 * static_cast<double>(in[0].size(0) * in[0].size(1) * in[1].size(1) *
                                           (in[0].size(2) + in[2].size(2)));
        },
    .bench_cases = {big_case({values({16, 1024, 32}), values({16, 256, 32}),
                              values({16, 256, 128})},
                             Attrs{{"scale", 1.0}})},
    // SAGAN (64x64 images) and BigGAN-deep (128x128 images, at 64x64), whose keys are pooled by
    // two; square ones, as in a transformer
    .device_bench_cases =
        {big_case({values({64, 1024, 32}), values({64, 256, 32}), values({64, 256, 128})},
                  Attrs{{"scale", 1.0}}),
         big_case({values({16, 4096, 32}), values({16, 1024, 32}), values({16, 1024, 128})},
                  Attrs{{"scale", 1.0}}),
         big_case({values({64, 256, 64}), values({64, 256, 64}), values({64, 256, 64})},
                  Attrs{{"scale", 1.0}}),
         big_case({values({64, 1024, 64}), values({64, 1024, 64}), values({64, 1024, 64})},
                  Attrs{{"scale", 1.0}}),
         big_case({values({128, 1024, 32}), values({128, 256, 32}), values({128, 256, 128})},
                  Attrs{{"scale", 1.0}})},
});

}  // namespace
}  // namespace limbeck::attention_op
