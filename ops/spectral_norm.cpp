// Spectral normalisation of a weight W viewed as [rows, rest] (Miyato et al., ICLR 2018). Contract
// and reference.
//   spectral_norm (BigGAN): n times v = norm(u W), u = norm(v W^T), norm(a) = a / max(|a|_2, eps);
//   sigma = u W v^T;  w_sn = W / sigma
//   spectral_norm_fixed (PyTorch in eval): u and v are given;                               sigma
//   = u W v^T;  w_sn = W / sigma
// u and v count as constants in both:  dW = (dw_sn - sum(dw_sn w_sn) u^T v) / sigma
// A convolution weight [out, kh, kw, in] gives v in the order kh, kw, in; the norms and sigma do
// not depend on that order.
#include <cmath>

#include "ops/cases.h"
#include "ops/checks.h"
#include "ops/op.h"

namespace limbeck::spectral_norm_op {
namespace {

struct Matrix {
  int64_t rows, rest;
};
Matrix matrix_of(const Shape& s) { return {s[0], s.numel(1, s.rank())}; }

Matrix check_weight(const char* op, const Tensors& in) {
  check_floating(op, "w", in[0]);
  LIMBECK_CHECK(in[0].rank() >= 2 && in[0].numel() > 0, op,
                ": 'w' must be [rows, ..] with at least one element, found ", describe(in[0]));
  const Matrix m = matrix_of(in[0].shape());
  check_shape(op, "u", in[1], in[0], {m.rows});
  return m;
}

template <class T>
void normalise(const std::vector<double>& a, T* result, double eps) {
  double square = 0;
  for (double x : a) square += x * x;
  const double norm = std::max(std::sqrt(square), eps);
  for (size_t i = 0; i < a.size(); ++i) result[i] = static_cast<T>(a[i] / norm);
}

/// u W: [rest].
template <class T>
std::vector<double> times_left(const T* u, const T* w, Matrix m) {
  std::vector<double> result(m.rest, 0.0);
  for (int64_t r = 0; r < m.rows; ++r)
    for (int64_t i = 0; i < m.rest; ++i) result[i] += static_cast<double>(u[r]) * w[r * m.rest + i];
  return result;
}

/// W v^T: [rows].
template <class T>
std::vector<double> times_right(const T* w, const T* v, Matrix m) {
  std::vector<double> result(m.rows, 0.0);
  for (int64_t r = 0; r < m.rows; ++r)
    for (int64_t i = 0; i < m.rest; ++i) result[r] += static_cast<double>(w[r * m.rest + i]) * v[i];
  return result;
}

template <class T>
double sigma_of(const T* u, const std::vector<double>& wv) {
  double sigma = 0;
  for (size_t r = 0; r < wv.size(); ++r) sigma += u[r] * wv[r];
  return sigma;
}

template <class T>
void divide(const Tensor& w, double sigma, const Tensor& result, const Tensor& sigma_out) {
  sigma_out.data<T>()[0] = static_cast<T>(sigma);
  for (int64_t i = 0; i < w.numel(); ++i)
    result.data<T>()[i] = static_cast<T>(w.data<T>()[i] / sigma);
}

template <class T>
void gradient(const Tensor& dw_sn, const Tensor& w_sn, const T* u, const T* v, double sigma,
              const Tensor& dw) {
  const Matrix m = matrix_of(w_sn.shape());
  const T *g = dw_sn.data<T>(), *w = w_sn.data<T>();
  double dot = 0;
  for (int64_t i = 0; i < w_sn.numel(); ++i) dot += static_cast<double>(g[i]) * w[i];
  for (int64_t r = 0; r < m.rows; ++r)
    for (int64_t i = 0; i < m.rest; ++i)
      dw.data<T>()[r * m.rest + i] =
          static_cast<T>((g[r * m.rest + i] - dot * u[r] * v[i]) / sigma);
}

// --- spectral_norm -------------------------------------------------------------------------------
std::vector<TensorSpec> infer_iterated(const Tensors& in, const Attrs& attrs) {
  const Matrix m = check_weight("spectral_norm", in);
  size_attribute("spectral_norm", attrs, "training_iterations", 1, 1);
  const DType type = in[0].dtype();
  return {{in[0].shape(), type}, {Shape{m.rows}, type}, {Shape{m.rest}, type}, {Shape{1}, type}};
}

template <class T>
void iterated_forward(const ForwardCall& c) {
  const Matrix m = matrix_of(c.in[0].shape());
  const double eps = c.attrs.number("eps", 1e-12);
  const T* w = c.in[0].data<T>();
  T *u = c.out[1].data<T>(), *v = c.out[2].data<T>();
  std::copy_n(c.in[1].data<T>(), m.rows, u);
  std::vector<double> wv;
  for (int64_t n = 0; n < c.attrs.integer("training_iterations", 1); ++n) {
    normalise(times_left(u, w, m), v, eps);
    wv = times_right(w, v, m);
    normalise(wv, u, eps);
  }
  divide<T>(c.in[0], sigma_of(u, wv), c.out[0], c.out[3]);
}

template <class T>
void iterated_backward(const BackwardCall& c) {
  gradient<T>(c.dout[0], c.out[0], c.out[1].data<T>(), c.out[2].data<T>(), c.out[3].item(),
              c.din[0]);
}

Attrs iterations(int64_t n) { return Attrs{{"eps", 1e-6}, {"training_iterations", n}}; }

// Central differences see u and v move with W, the formula does not. Both agree where u and v are
// singular vectors: sigma is stationary in them there. So the gradient cases iterate to
// convergence; the rule itself is also checked through the fixed variant.
const RegisterOp spectral_norm_op({
    .name = "spectral_norm",
    .formula = "n times: v = norm(u W), u = norm(v W^T); sigma = u W v^T; w_sn = W / sigma\ndW = "
               "(dw_sn - sum(dw_sn w_sn) u^T v) / sigma",
    .source = "Miyato et al., Spectral Normalization for GANs, ICLR 2018, equations 8 to 12; "
              "BigGAN's layers.py",
    .inputs = {{"w"}, {"u", false}},
    .outputs = {{"w_sn"}, {"u_new", false}, {"v", false}, {"sigma", false}},
    .saved_outputs = {0, 1, 2, 3},
    .infer = infer_iterated,
    .forward = floating<ForwardCall,
                        [](auto t, const ForwardCall& c) { iterated_forward<decltype(t)>(c); }>,
    .backward = floating<BackwardCall,
                         [](auto t, const BackwardCall& c) { iterated_backward<decltype(t)>(c); }>,
    .cases = {{{values({3, 5}), values({3}, 0.1, 1)}, iterations(2000)},
              {{values({4, 2, 3, 2}), values({4}, 0.1, 1)}, iterations(2000)},
              {{values({1, 4}), values({1}, 0.1, 1)}, iterations(1)},
              {{values({5, 1}), values({5}, 0.1, 1)}, iterations(1)},
              {{values({6, 3, 3, 5}), values({6})}, iterations(1), false},
              {{values({33, 3, 3, 17}), values({33})}, iterations(3), false},
              big_case({values({128, 130}), values({128})}, iterations(1))},
    .flops =
        [](const Tensors& in, const Attrs& a) {
          return (4.0 * static_cast<double>(a.integer("training_iterations", 1)) + 1) *
                 static_cast<double>(in[0].numel());
        },
    .images = true,
    .bench_cases = {big_case({values({256, 3, 3, 256}), values({256})}, iterations(1))},
});

// --- spectral_norm_fixed -------------------------------------------------------------------------
std::vector<TensorSpec> infer_fixed(const Tensors& in, const Attrs&) {
  const Matrix m = check_weight("spectral_norm_fixed", in);
  check_shape("spectral_norm_fixed", "v", in[2], in[0], {m.rest});
  return {{in[0].shape(), in[0].dtype()}, {Shape{1}, in[0].dtype()}};
}

template <class T>
void fixed_forward(const ForwardCall& c) {
  const Matrix m = matrix_of(c.in[0].shape());
  const std::vector<double> wv = times_right(c.in[0].data<T>(), c.in[2].data<T>(), m);
  divide<T>(c.in[0], sigma_of(c.in[1].data<T>(), wv), c.out[0], c.out[1]);
}

template <class T>
void fixed_backward(const BackwardCall& c) {
  gradient<T>(c.dout[0], c.out[0], c.in[1].data<T>(), c.in[2].data<T>(), c.out[1].item(), c.din[0]);
}

// Positive values keep sigma away from 0, where the operator has its pole.
const RegisterOp spectral_norm_fixed_op({
    .name = "spectral_norm_fixed",
    .formula = "sigma = u W v^T; w_sn = W / sigma\ndW = (dw_sn - sum(dw_sn w_sn) u^T v) / sigma",
    .source = "torch.nn.utils.spectral_norm, eval mode",
    .inputs = {{"w"}, {"u", false}, {"v", false}},
    .outputs = {{"w_sn"}, {"sigma", false}},
    .saved_inputs = {1, 2},
    .saved_outputs = {0, 1},
    .infer = infer_fixed,
    .forward =
        floating<ForwardCall, [](auto t, const ForwardCall& c) { fixed_forward<decltype(t)>(c); }>,
    .backward = floating<BackwardCall,
                         [](auto t, const BackwardCall& c) { fixed_backward<decltype(t)>(c); }>,
    .cases = {{{values({3, 5}, 0.1, 1), values({3}, 0.1, 1), values({5}, 0.1, 1)}},
              {{values({4, 2, 3, 2}, 0.1, 1), values({4}, 0.1, 1), values({12}, 0.1, 1)}},
              {{values({1, 1}, 0.5, 1), values({1}, 0.5, 1), values({1}, 0.5, 1)}},
              big_case({values({33, 3, 3, 17}, 0.1, 1), values({33}, 0.1, 1),
                        values({153}, 0.1, 1)})},
    .flops = [](const Tensors& in,
                const Attrs&) { return 3.0 * static_cast<double>(in[0].numel()); },
    .images = true,
});

}  // namespace
}  // namespace limbeck::spectral_norm_op
