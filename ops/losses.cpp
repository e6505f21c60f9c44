// Losses per sample: cross_entropy, soft_cross_entropy, kl_div; per element: smooth_l1. Contract
// and reference. With lp = log_softmax(logits):
//   cross_entropy:       L_n = -sum_c t lp of the label's target t (ops/cross_entropy.h);
//                        dlogits = dL_n (e^lp sum_c t - t)
//   soft_cross_entropy:  L_n = -sum_c t lp;                  dlogits = dL_n (e^lp sum_c t - t),
//                        dt = -dL_n lp
//   kl_div:              L_n = sum_c p (log p - log q);      dlog_q = -dL_n p,  dp = dL_n (log p +
//                        1 - log q);  0 log 0 = 0, and its slope too
//   smooth_l1:           d = x - t; d^2 / (2 beta) if |d| < beta else |d| - beta/2;   dx = dy
//                        clamp(d / beta, -1, 1),  dt = -dx
#include <cmath>

#include "ops/cases.h"
#include "ops/checks.h"
#include "ops/cross_entropy.h"
#include "ops/op.h"
#include "ops/softmax.h"

namespace limbeck::losses_op {
namespace {

void check_matrix(const char* op, const char* name, const Tensor& t) {
  check_floating(op, name, t);
  LIMBECK_CHECK(t.rank() == 2, op, ": '", name, "' must be [N, C], found ", describe(t));
}

template <class T>
void log_softmax_row(const T* x, T* y, int64_t size) {
  const LogSumExp s(x, size);
  for (int64_t i = 0; i < size; ++i) y[i] = static_cast<T>(s.log_probability(x[i]));
}

// --- cross_entropy -------------------------------------------------------------------------------
std::vector<TensorSpec> infer_cross_entropy(const Tensors& in, const Attrs& attrs) {
  check_matrix("cross_entropy", "logits", in[0]);
  const Shape samples{in[0].size(0)};
  LIMBECK_CHECK(in[1].dtype() == DType::i64 && in[1].shape() == samples,
                "cross_entropy: 'labels' must be i64", samples, ", found ", describe(in[1]));
  check_parameter("cross_entropy", "weight", in[2], in[0], {in[0].size(1)}, true);
  CrossEntropy{attrs};
  const DType type = in[0].dtype();
  return {{samples, type}, {in[0].shape(), type}, {samples, type}};
}

/// f(sample, its label, the label's weight, the weights of the classes or null); ignored samples
/// have the weight 0.
template <class T, class F>
void each_sample(const CrossEntropy& s, int64_t samples, int64_t classes, const Tensor& labels,
                 const Tensor& weight, F&& f) {
  const int64_t* label = labels.data<int64_t>();
  const T* w = weight.defined() ? weight.data<T>() : nullptr;
  for (int64_t n = 0; n < samples; ++n) {
    s.check_label(n, label[n], classes);
    f(n, label[n], s.ignored(label[n]) ? T(0) : w ? w[label[n]] : T(1), w);
  }
}

template <class T>
void cross_entropy_forward(const ForwardCall& c) {
  const CrossEntropy s(c.attrs);
  const int64_t classes = c.in[0].size(1);
  each_sample<T>(s, c.in[0].size(0), classes, c.in[1], c.in[2],
                 [&](int64_t n, int64_t label, T own, const T* w) {
                   T* lp = c.out[1].data<T>() + n * classes;
                   log_softmax_row(c.in[0].data<T>() + n * classes, lp, classes);
                   c.out[2].data<T>()[n] = own;
                   double loss = 0;
                   if (!s.ignored(label)) {
                     loss = -(1 - s.smoothing) * own * lp[label];
                     for (int64_t i = 0; i < classes && s.smoothing > 0; ++i)
                       loss -= s.smoothing / double(classes) * (w ? w[i] : T(1)) * lp[i];
                   }
                   c.out[0].data<T>()[n] = static_cast<T>(loss);
                 });
}

template <class T>
void cross_entropy_backward(const BackwardCall& c) {
  const CrossEntropy s(c.attrs);
  const int64_t classes = c.out[1].size(1);
  each_sample<T>(
      s, c.out[1].size(0), classes, c.in[1], c.in[2],
      [&](int64_t n, int64_t label, T own, const T* w) {
        const T* lp = c.out[1].data<T>() + n * classes;
        T* dx = c.din[0].data<T>() + n * classes;
        const double dloss = s.ignored(label) ? 0 : double(c.dout[0].data<T>()[n]);
        const double spread = s.smoothing / double(classes);
        const auto target = [&](int64_t i) {
          return (i == label ? (1 - s.smoothing) * own : 0.0) + spread * (w ? w[i] : T(1));
        };
        double mass = 0;
        for (int64_t i = 0; i < classes; ++i) mass += target(i);
        for (int64_t i = 0; i < classes; ++i)
          dx[i] = s.ignored(label)
                      ? T(0)
                      : static_cast<T>(dloss * (std::exp(double(lp[i])) * mass - target(i)));
      });
}

std::vector<OpCase> cross_entropy_cases() {
  const CaseInput none{.given = false};
  std::vector<OpCase> list = {{{values({4, 5}, -3, 3), indices({4}, 5), none}},
                              {{values({1, 1}), indices({1}, 1), none}},
                              {{values({3, 2}, -90, 90), indices({3}, 2), none}},
                              {{values({0, 4}), indices({0}, 4), none}},
                              big_case({values({65, 100}, -5, 5), indices({65}, 100), none})};
  for (const CaseInput& logits : extreme_logits())
    list.push_back({.inputs = {logits, indices({1}, 3), none}, .grad = false, .exact = true});
  const Attrs smoothed{{"label_smoothing", 0.1}}, some{{"ignore_index", int64_t{-100}}},
      both{{"label_smoothing", 0.3}, {"ignore_index", int64_t{2}}};
  const CaseInput labels{{6}, 0, 5, DType::i64, true, {1, -100, 4}};
  list.push_back({{values({4, 5}, -3, 3), indices({4}, 5), none}, smoothed});
  list.push_back({{values({4, 5}, -3, 3), indices({4}, 5), values({5}, 0.2, 2)}});
  list.push_back({{values({6, 5}, -3, 3), labels, none}, some});
  list.push_back({{values({9, 4}, -3, 3), indices({9}, 4), values({4}, 0.2, 2)}, both});
  list.push_back(
      big_case({values({65, 100}, -5, 5), indices({65}, 100), values({100}, 0, 2)}, both));
  return list;
}

const RegisterOp cross_entropy_op({
    .name = "cross_entropy",
    .formula = "t_c = (1 - s) w_y [c = y] + s w_c / C for label y, s = label_smoothing; 0 where y "
               "= ignore_index\n"
               "loss[n] = -sum_c t_c log_softmax(logits)[n, c], sample_weight[n] = w_y\n"
               "dlogits = dloss (softmax(logits) sum_c t_c - t)",
    .source = "elementary; label smoothing: Szegedy et al., CVPR 2016, section 7",
    .inputs = {{"logits"},
               {"labels", false},
               {.name = "weight", .differentiable = false, .optional = true, .parameter = true}},
    .outputs = {{"loss"}, {"log_probabilities", false}, {"sample_weight", false}},
    .saved_inputs = {1, 2},
    .saved_outputs = {1},
    .infer = infer_cross_entropy,
    .forward = floating<
        ForwardCall, [](auto t, const ForwardCall& c) { cross_entropy_forward<decltype(t)>(c); }>,
    .backward =
        floating<BackwardCall,
                 [](auto t, const BackwardCall& c) { cross_entropy_backward<decltype(t)>(c); }>,
    .cases = cross_entropy_cases(),
    .flops = [](const Tensors& in,
                const Attrs&) { return 4.0 * static_cast<double>(in[0].numel()); },
    .bench_cases = {big_case({values({64, 100}, -5, 5), indices({64}, 100), {.given = false}}),
                    big_case(
                        {values({8192, 1000}, -5, 5), indices({8192}, 1000), {.given = false}})},
});

// --- soft_cross_entropy --------------------------------------------------------------------------
std::vector<TensorSpec> infer_soft_cross_entropy(const Tensors& in, const Attrs&) {
  check_matrix("soft_cross_entropy", "logits", in[0]);
  check_shape("soft_cross_entropy", "target", in[1], in[0], in[0].shape());
  return {{Shape{in[0].size(0)}, in[0].dtype()}, {in[0].shape(), in[0].dtype()}};
}

template <class T>
void soft_cross_entropy_forward(const ForwardCall& c) {
  const int64_t classes = c.in[0].size(1);
  for (int64_t n = 0; n < c.in[0].size(0); ++n) {
    const T* target = c.in[1].data<T>() + n * classes;
    T* lp = c.out[1].data<T>() + n * classes;
    log_softmax_row(c.in[0].data<T>() + n * classes, lp, classes);
    double loss = 0;
    for (int64_t i = 0; i < classes; ++i) loss -= static_cast<double>(target[i]) * lp[i];
    c.out[0].data<T>()[n] = static_cast<T>(loss);
  }
}

template <class T>
void soft_cross_entropy_backward(const BackwardCall& c) {
  const int64_t classes = c.out[1].size(1);
  for (int64_t n = 0; n < c.out[1].size(0); ++n) {
    const T *target = c.in[1].data<T>() + n * classes, *lp = c.out[1].data<T>() + n * classes;
    const T dloss = c.dout[0].data<T>()[n];
    if (c.din[0].defined()) {
      T* dx = c.din[0].data<T>() + n * classes;
      double mass = 0;
      for (int64_t i = 0; i < classes; ++i) mass += target[i];
      for (int64_t i = 0; i < classes; ++i)
        dx[i] = static_cast<T>(dloss * (std::exp(static_cast<double>(lp[i])) * mass - target[i]));
    }
    if (c.din[1].defined()) {
      T* dtarget = c.din[1].data<T>() + n * classes;
      for (int64_t i = 0; i < classes; ++i) dtarget[i] = -dloss * lp[i];
    }
  }
}

std::vector<OpCase> soft_cross_entropy_cases() {
  std::vector<OpCase> list = {{{values({4, 5}, -3, 3), values({4, 5}, 0, 1)}},
                              {{values({1, 3}), values({1, 3})}},
                              {{values({0, 4}), values({0, 4})}},
                              big_case({values({65, 100}, -5, 5), values({65, 100}, 0, 0.02)})};
  for (const CaseInput& logits : extreme_logits())
    list.push_back({.inputs = {logits, values({1, 3}, 0.1, 1)}, .grad = false, .exact = true});
  return list;
}

const RegisterOp soft_cross_entropy_op({
    .name = "soft_cross_entropy",
    .formula = "loss[n] = -sum_c target[n, c] log_softmax(logits)[n, c]\n"
               "dlogits = dloss (softmax(logits) sum_c target - target), dtarget = -dloss "
               "log_softmax(logits)",
    .source = "elementary",
    .inputs = {{"logits"}, {"target"}},
    .outputs = {{"loss"}, {"log_probabilities", false}},
    .saved_inputs = {1},
    .saved_outputs = {1},
    .infer = infer_soft_cross_entropy,
    .forward =
        floating<ForwardCall,
                 [](auto t, const ForwardCall& c) { soft_cross_entropy_forward<decltype(t)>(c); }>,
    .backward = floating<BackwardCall,
                         [](auto t, const BackwardCall& c) {
                           soft_cross_entropy_backward<decltype(t)>(c);
                         }>,
    .cases = soft_cross_entropy_cases(),
    .flops = [](const Tensors& in,
                const Attrs&) { return 6.0 * static_cast<double>(in[0].numel()); },
});

// --- kl_div --------------------------------------------------------------------------------------
std::vector<TensorSpec> infer_kl_div(const Tensors& in, const Attrs&) {
  check_matrix("kl_div", "log_q", in[0]);
  check_shape("kl_div", "p", in[1], in[0], in[0].shape());
  return {{Shape{in[0].size(0)}, in[0].dtype()}};
}

template <class T>
void kl_div_forward(const ForwardCall& c) {
  const int64_t classes = c.in[0].size(1);
  for (int64_t n = 0; n < c.in[0].size(0); ++n) {
    const T *log_q = c.in[0].data<T>() + n * classes, *p = c.in[1].data<T>() + n * classes;
    double loss = 0;
    for (int64_t i = 0; i < classes; ++i)
      if (p[i] != 0) loss += p[i] * (std::log(static_cast<double>(p[i])) - log_q[i]);
    c.out[0].data<T>()[n] = static_cast<T>(loss);
  }
}

template <class T>
void kl_div_backward(const BackwardCall& c) {
  const int64_t classes = c.in[0].size(1);
  for (int64_t n = 0; n < c.in[0].size(0); ++n) {
    const T *log_q = c.in[0].data<T>() + n * classes, *p = c.in[1].data<T>() + n * classes;
    const T dloss = c.dout[0].data<T>()[n];
    for (int64_t i = 0; i < classes; ++i) {
      if (c.din[0].defined()) c.din[0].data<T>()[n * classes + i] = -dloss * p[i];
      if (c.din[1].defined())
        c.din[1].data<T>()[n * classes + i] =
            p[i] == 0 ? T(0) : dloss * (std::log(p[i]) + 1 - log_q[i]);
    }
  }
}

const RegisterOp kl_div_op({
    .name = "kl_div",
    .formula = "loss[n] = sum_c p (log p - log_q), 0 log 0 = 0\ndlog_q = -dloss p, dp = dloss (log "
               "p + 1 - log_q), 0 where p = 0",
    .source = "Kullback and Leibler 1951",
    .inputs = {{"log_q"}, {"p"}},
    .outputs = {{"loss"}},
    .saved_inputs = {0, 1},
    .infer = infer_kl_div,
    .forward =
        floating<ForwardCall, [](auto t, const ForwardCall& c) { kl_div_forward<decltype(t)>(c); }>,
    .backward = floating<BackwardCall,
                         [](auto t, const BackwardCall& c) { kl_div_backward<decltype(t)>(c); }>,
    .cases = {{{values({4, 5}, -3, 0), values({4, 5}, 0.1, 1)}},
              {{values({1, 1}, -1, 0), values({1, 1}, 0.5, 1)}},
              {{values({2, 3}, -3, 0), values({2, 3}, 0, 0)}, {}, false},
              {{values({0, 4}), values({0, 4}, 0.1, 1)}},
              big_case({values({65, 100}, -9, 0), values({65, 100}, 0.001, 0.02)})},
    .flops = [](const Tensors& in,
                const Attrs&) { return 4.0 * static_cast<double>(in[0].numel()); },
});

// --- smooth_l1 -----------------------------------------------------------------------------------
double beta_of(const Attrs& attrs) { return attrs.number("beta", 1); }

std::vector<TensorSpec> infer_smooth_l1(const Tensors& in, const Attrs& attrs) {
  check_floating("smooth_l1", "x", in[0]);
  check_shape("smooth_l1", "target", in[1], in[0], in[0].shape());
  LIMBECK_CHECK(beta_of(attrs) > 0, "smooth_l1: 'beta' must be positive, found ", beta_of(attrs));
  return {{in[0].shape(), in[0].dtype()}};
}

template <class T>
void smooth_l1_forward(const ForwardCall& c) {
  const T *x = c.in[0].data<T>(), *target = c.in[1].data<T>(),
          beta = static_cast<T>(beta_of(c.attrs));
  T* y = c.out[0].data<T>();
  for (int64_t i = 0; i < c.out[0].numel(); ++i) {
    const T d = std::abs(x[i] - target[i]);
    y[i] = d < beta ? d * d / (2 * beta) : d - beta / 2;
  }
}

template <class T>
void smooth_l1_backward(const BackwardCall& c) {
  const T *x = c.in[0].data<T>(), *target = c.in[1].data<T>(), *dy = c.dout[0].data<T>(),
          beta = static_cast<T>(beta_of(c.attrs));
  for (int64_t i = 0; i < c.dout[0].numel(); ++i) {
    const T slope = dy[i] * std::clamp((x[i] - target[i]) / beta, T(-1), T(1));
    if (c.din[0].defined()) c.din[0].data<T>()[i] = slope;
    if (c.din[1].defined()) c.din[1].data<T>()[i] = -slope;
  }
}

const RegisterOp smooth_l1_op({
    .name = "smooth_l1",
    .formula = "d = x - target; y = d^2 / (2 beta) if |d| < beta, else |d| - beta / 2\ndx = dy "
               "clamp(d / beta, -1, 1), dtarget = -dx",
    .source = "Girshick, Fast R-CNN, ICCV 2015, equation 3",
    .inputs = {{"x"}, {"target"}},
    .outputs = {{"y"}},
    .saved_inputs = {0, 1},
    .infer = infer_smooth_l1,
    .forward = floating<ForwardCall,
                        [](auto t, const ForwardCall& c) { smooth_l1_forward<decltype(t)>(c); }>,
    .backward = floating<BackwardCall,
                         [](auto t, const BackwardCall& c) { smooth_l1_backward<decltype(t)>(c); }>,
    .cases = {{{values({4, 5}, -3, 3), values({4, 5}, -3, 3)}, Attrs{{"beta", 1.0}}},
              {{values({7}), values({7})}, Attrs{{"beta", 0.25}}},
              {{values({}), values({})}, Attrs{{"beta", 2.0}}},
              {{values({0, 4}), values({0, 4})}},
              big_case({values({3, 9, 7, 33}, -2, 2), values({3, 9, 7, 33}, -2, 2)})},
    .flops = [](const Tensors& in,
                const Attrs&) { return 5.0 * static_cast<double>(in[0].numel()); },
});

}  // namespace
}  // namespace limbeck::losses_op
