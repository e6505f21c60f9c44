// Group normalisation and l2 normalisation: contract and reference. group_norm: x [N, .., C] viewed
// as [N, pixels, G, C/G]; mean and invstd [N, G] over pixels and the C/G channels of each group.
//   forward   xhat = (x - mean) invstd,  y = gamma xhat + beta,  invstd = 1 / sqrt(var + eps)
//   backward  dbeta = sum dy,  dgamma = sum dy xhat,  h = gamma dy,  dx = invstd (h - mean(h) -
//                                                     xhat mean(h xhat)), means over the group
//   Source: Wu & He 2018, equations 1 to 7.
// l2_normalize: y = x / max(|x|, eps) over the last axis;  dx = (dy - y (y . dy)) / |x| where |x|
// >= eps, else dy / eps. Elementary.
#include <cmath>

#include "ops/checks.h"
#include "ops/norm.h"

namespace limbeck::group_norm_op {
namespace {

struct Sizes {
  int64_t samples, pixels, channels, groups, width;
  Sizes(const Shape& x, const Attrs& attrs)
      : samples(x[0]),
        pixels(x.numel(1, x.rank() - 1)),
        channels(x[-1]),
        groups(attrs.integer("groups", 1)),
        width(channels / groups) {}
  double group_values() const { return double(pixels * width); }
};

template <class F>
void each(const Sizes& s, F&& f) {  // f(element of x, element of mean, channel)
  for (int64_t n = 0; n < s.samples; ++n)
    for (int64_t p = 0; p < s.pixels; ++p)
      for (int64_t c = 0; c < s.channels; ++c)
        f((n * s.pixels + p) * s.channels + c, n * s.groups + c / s.width, c);
}

template <class T>
void group_forward(const ForwardCall& c) {
  const Sizes s(c.in[0].shape(), c.attrs);
  const T* x = c.in[0].data<T>();
  const T* gamma = c.in[1].defined() ? c.in[1].data<T>() : nullptr;
  const T* beta = c.in[2].defined() ? c.in[2].data<T>() : nullptr;
  std::vector<double> mean(s.samples * s.groups, 0.0), invstd(mean);
  each(s, [&](int64_t at, int64_t ng, int64_t) { mean[ng] += x[at]; });
  for (double& m : mean) m /= s.group_values();
  each(s, [&](int64_t at, int64_t ng, int64_t) {
    invstd[ng] += (x[at] - mean[ng]) * (x[at] - mean[ng]);
  });
  for (double& v : invstd) v = 1 / std::sqrt(v / s.group_values() + c.attrs.number("eps", 1e-5));
  std::copy(mean.begin(), mean.end(), c.out[1].data<T>());
  std::copy(invstd.begin(), invstd.end(), c.out[2].data<T>());
  T* y = c.out[0].data<T>();
  each(s, [&](int64_t at, int64_t ng, int64_t ch) {
    y[at] = static_cast<T>((x[at] - mean[ng]) * invstd[ng] * (gamma ? gamma[ch] : T(1)) +
                           (beta ? beta[ch] : T(0)));
  });
}

template <class T>
void group_backward(const BackwardCall& c) {
  const Sizes s(c.dout[0].shape(), c.attrs);
  const T *x = c.in[0].data<T>(), *gamma = c.in[1].defined() ? c.in[1].data<T>() : nullptr;
  const T *mean = c.out[1].data<T>(), *invstd = c.out[2].data<T>(), *dy = c.dout[0].data<T>();
  const auto xhat = [&](int64_t at, int64_t ng) { return (double(x[at]) - mean[ng]) * invstd[ng]; };
  std::vector<double> dgamma(s.channels, 0.0), dbeta(dgamma), mean_h(s.samples * s.groups, 0.0),
      mean_hx(mean_h);
  each(s, [&](int64_t at, int64_t ng, int64_t ch) {
    dbeta[ch] += dy[at];
    dgamma[ch] += dy[at] * xhat(at, ng);
    const double h = dy[at] * (gamma ? gamma[ch] : T(1));
    mean_h[ng] += h / s.group_values();
    mean_hx[ng] += h * xhat(at, ng) / s.group_values();
  });
  if (c.din[1].defined()) std::copy(dgamma.begin(), dgamma.end(), c.din[1].data<T>());
  if (c.din[2].defined()) std::copy(dbeta.begin(), dbeta.end(), c.din[2].data<T>());
  if (!c.din[0].defined()) return;
  T* dx = c.din[0].data<T>();
  each(s, [&](int64_t at, int64_t ng, int64_t ch) {
    dx[at] = static_cast<T>(invstd[ng] * (dy[at] * (gamma ? gamma[ch] : T(1)) - mean_h[ng] -
                                          xhat(at, ng) * mean_hx[ng]));
  });
}

std::vector<TensorSpec> infer_group(const Tensors& in, const Attrs& attrs) {
  const Tensor& x = in[0];
  check_normalised("group_norm", x, false);
  const int64_t groups = size_attribute("group_norm", attrs, "groups", 1, 1);
  LIMBECK_CHECK(x.size(-1) % groups == 0,
                "group_norm: attribute 'groups' must divide the channels of 'x', found groups=",
                groups, " and ", describe(x));
  check_parameter("group_norm", "gamma", in[1], x, {x.size(-1)}, true);
  check_parameter("group_norm", "beta", in[2], x, {x.size(-1)}, true);
  const TensorSpec statistic{{x.size(0), groups}, accumulation_type(x.dtype())};
  return {{x.shape(), x.dtype()}, statistic, statistic};
}

OpCase group_case(const Shape& x, int64_t groups, bool gamma, bool beta, bool grad = true,
                  double eps = 1e-5) {
  return {{{x, -1, 2}, {{x[-1]}, 0.5, 1.5, DType::f32, gamma}, {{x[-1]}, -1, 1, DType::f32, beta}},
          {{"groups", groups}, {"eps", eps}},
          grad};
}

const RegisterOp group_norm_op({
    .name = "group_norm",
    .formula = "y = gamma (x - mean) invstd + beta, statistics per sample and group\n"
               "dbeta = sum dy, dgamma = sum dy xhat, h = gamma dy, dx = invstd (h - mean(h) - "
               "xhat mean(h xhat))",
    .source = "Wu & He 2018, equations 1 to 7",
    .inputs = {{"x"},
               {.name = "gamma", .optional = true, .parameter = true},
               {.name = "beta", .optional = true, .parameter = true}},
    .outputs = {{"y"}, {"mean", false}, {"invstd", false}},
    .saved_inputs = {0, 1},
    .saved_outputs = {1, 2},
    .infer = infer_group,
    .forward =
        floating<ForwardCall, [](auto t, const ForwardCall& c) { group_forward<decltype(t)>(c); }>,
    .backward = floating<BackwardCall,
                         [](auto t, const BackwardCall& c) { group_backward<decltype(t)>(c); }>,
    .cases = {group_case({2, 3, 2, 6}, 2, true, true),
              group_case({1, 2, 3, 5}, 5, true, false),
              group_case({3, 4}, 1, false, true),
              group_case({2, 2, 1, 3}, 1, false, false),
              group_case({2, 2, 3, 4}, 2, true, true, true, 0.1),
              group_case({0, 2, 2, 4}, 2, true, true),
              group_case({3, 7, 9, 66}, 3, true, true, false),
              group_case({2, 8, 8, 32}, 8, true, true, false),
              {.inputs = {{{1, 1 << 16, 2}, -1, 2}, {{2}, 0.5, 1.5}, {{2}}},
               .grad = false,
               .cotangent = 0.1}},
    .flops = [](const Tensors& in, const Attrs&) { return 7.0 * double(in[0].numel()); },
    .images = true,
    .bench_cases = {group_case({64, 16, 16, 64}, 8, true, true, false)},
});

template <class T>
double norm_of(const T* x, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += double(x[i]) * x[i];
  return std::sqrt(sum);
}

template <class T>
void l2_forward(const ForwardCall& c) {
  const int64_t width = c.in[0].size(-1), rows = width ? c.in[0].numel() / width : 0;
  const double eps = c.attrs.number("eps", 1e-12);
  for (int64_t r = 0; r < rows; ++r) {
    const T* x = c.in[0].data<T>() + r * width;
    T* y = c.out[0].data<T>() + r * width;
    const double norm = std::max(norm_of(x, width), eps);
    for (int64_t i = 0; i < width; ++i) y[i] = static_cast<T>(x[i] / norm);
  }
}

template <class T>
void l2_backward(const BackwardCall& c) {
  if (!c.din[0].defined()) return;
  const int64_t width = c.in[0].size(-1), rows = width ? c.in[0].numel() / width : 0;
  const double eps = c.attrs.number("eps", 1e-12);
  for (int64_t r = 0; r < rows; ++r) {
    const T* x = c.in[0].data<T>() + r * width;
    const T* dy = c.dout[0].data<T>() + r * width;
    T* dx = c.din[0].data<T>() + r * width;
    const double norm = norm_of(x, width), scale = std::max(norm, eps);
    double dot = 0;
    for (int64_t i = 0; i < width; ++i) dot += double(dy[i]) * x[i] / scale;
    for (int64_t i = 0; i < width; ++i)
      dx[i] = static_cast<T>((dy[i] - (norm >= eps ? dot * x[i] / scale : 0.0)) / scale);
  }
}

std::vector<TensorSpec> infer_l2(const Tensors& in, const Attrs&) {
  check_floating("l2_normalize", "x", in[0]);
  LIMBECK_CHECK(in[0].rank() >= 1, "l2_normalize: 'x' must have at least one dimension, found ",
                describe(in[0]));
  return {{in[0].shape(), in[0].dtype()}};
}

const RegisterOp l2_normalize_op({
    .name = "l2_normalize",
    .formula = "y = x / max(|x|, eps) over the last axis\ndx = (dy - y (y . dy)) / |x| where |x| "
               ">= eps, else dy / eps",
    .source = "elementary",
    .inputs = {{"x"}},
    .outputs = {{"y"}},
    .saved_inputs = {0},
    .infer = infer_l2,
    .forward =
        floating<ForwardCall, [](auto t, const ForwardCall& c) { l2_forward<decltype(t)>(c); }>,
    .backward =
        floating<BackwardCall, [](auto t, const BackwardCall& c) { l2_backward<decltype(t)>(c); }>,
    .cases = {{{{{4, 7}}}},
              {{{{2, 3, 5}}}},
              {{{{1, 1}, 0.5, 1}}},
              {{{{0, 3}}}},
              {{{{3, 4}}}, {{"eps", 10.0}}},
              {{{{33, 131}}}, {}, false},
              {{{{1, 1 << 16}, 0.1, 0.4}}, {}, false}},
    .flops = [](const Tensors& in, const Attrs&) { return 3.0 * double(in[0].numel()); },
});

}  // namespace
}  // namespace limbeck::group_norm_op
