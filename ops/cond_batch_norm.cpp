// Conditional batch normalisation (gain and bias per sample) with fused ReLU: contract and
// reference.
//   forward   xhat = (x - mean) invstd,  y = act(gain[n] xhat + bias[n]),
//             invstd = 1 / sqrt(var + eps)
//   backward  g = dy [y > 0 if act is relu];  dbias[n] = sum over pixels g,  dgain[n] = sum over
//                                             pixels g xhat
//             batch statistics:  dx = invstd (gain g - (A + xhat B) / m),  A = sum_n gain dbias,
//                                B = sum_n gain dgain
//             given statistics:  dx = invstd gain g
// x, y [N, .., C]; gain, bias [N, C] (gain already holds BigGAN's "1 +"); mean, var (biased),
// invstd [C]; m values per channel. Source: de Vries et al. 2017; Brock et al. 2019 (BigGAN),
// appendix B.
#include <cmath>

#include "ops/checks.h"
#include "ops/norm.h"

namespace limbeck::cond_batch_norm_op {
namespace {

struct Sizes {
  int64_t samples, pixels, channels;
  explicit Sizes(const Shape& x)
      : samples(x[0]), pixels(x.numel(1, x.rank() - 1)), channels(x[-1]) {}
};

template <class F>
void each(const Sizes& s, F&& f) {  // f(element of x, element of gain, channel)
  for (int64_t n = 0; n < s.samples; ++n)
    for (int64_t p = 0; p < s.pixels; ++p)
      for (int64_t c = 0; c < s.channels; ++c)
        f((n * s.pixels + p) * s.channels + c, n * s.channels + c, c);
}

template <class T>
std::vector<double> doubles(const Tensor& t) {
  const auto s = t.span<T>();
  return {s.begin(), s.end()};
}

template <class T>
std::vector<double> invstd_of(const Tensor& var, const Attrs& attrs) {
  std::vector<double> result = doubles<T>(var);
  for (double& v : result) v = 1 / std::sqrt(v + attrs.number("eps", 1e-5));
  return result;
}

template <class T>
void normalise(const ForwardCall& c, const std::vector<double>& mean,
               const std::vector<double>& invstd) {
  const bool relu = fused_relu("cond_batch_norm", c.attrs);
  const T *x = c.in[0].data<T>(), *gain = c.in[1].data<T>(), *bias = c.in[2].data<T>();
  T* y = c.out[0].data<T>();
  each(Sizes(c.in[0].shape()), [&](int64_t at, int64_t nc, int64_t ch) {
    const double value = (x[at] - mean[ch]) * invstd[ch] * gain[nc] + bias[nc];
    y[at] = static_cast<T>(relu && value <= 0 ? 0.0 : value);
  });
}

template <class T>
void backward(const BackwardCall& c, const std::vector<double>& mean,
              const std::vector<double>& invstd, bool batch) {
  const bool relu = fused_relu("cond_batch_norm", c.attrs);
  const Sizes s(c.dout[0].shape());
  const T *x = c.in[0].data<T>(), *gain = c.in[1].data<T>(),
          *y = relu ? c.out[0].data<T>() : nullptr, *dy = c.dout[0].data<T>();
  const auto g = [&](int64_t at) { return y && y[at] <= 0 ? 0.0 : double(dy[at]); };
  std::vector<double> dgain(s.samples * s.channels, 0.0), dbias(dgain), a(s.channels, 0.0),
      b(s.channels, 0.0);
  each(s, [&](int64_t at, int64_t nc, int64_t ch) {
    dbias[nc] += g(at);
    dgain[nc] += g(at) * (x[at] - mean[ch]) * invstd[ch];
  });
  if (c.din[1].defined()) std::copy(dgain.begin(), dgain.end(), c.din[1].data<T>());
  if (c.din[2].defined()) std::copy(dbias.begin(), dbias.end(), c.din[2].data<T>());
  if (!c.din[0].defined()) return;
  for (int64_t nc = 0; nc < s.samples * s.channels; ++nc) {
    a[nc % s.channels] += gain[nc] * dbias[nc];
    b[nc % s.channels] += gain[nc] * dgain[nc];
  }
  T* dx = c.din[0].data<T>();
  const double m = double(s.samples * s.pixels);
  each(s, [&](int64_t at, int64_t nc, int64_t ch) {
    const double correction = batch ? (a[ch] + (x[at] - mean[ch]) * invstd[ch] * b[ch]) / m : 0.0;
    dx[at] = static_cast<T>(invstd[ch] * (gain[nc] * g(at) - correction));
  });
}

void check_inputs(const char* op, const Tensors& in, const Attrs& attrs, bool batch) {
  check_normalised(op, in[0], batch);
  check_parameter(op, "gain", in[1], in[0], {in[0].size(0), in[0].size(-1)});
  check_parameter(op, "bias", in[2], in[0], {in[0].size(0), in[0].size(-1)});
  fused_relu(op, attrs);
}

std::vector<TensorSpec> infer_train(const Tensors& in, const Attrs& attrs) {
  check_inputs("cond_batch_norm", in, attrs, true);
  check_running_statistics("cond_batch_norm", in, 3);
  const TensorSpec channel{{in[0].size(-1)}, accumulation_type(in[0].dtype())};
  return {{in[0].shape(), in[0].dtype()}, channel, channel, channel};
}

std::vector<TensorSpec> infer_eval(const Tensors& in, const Attrs& attrs) {
  check_inputs("cond_batch_norm_eval", in, attrs, false);
  check_parameter("cond_batch_norm_eval", "mean", in[3], in[0], {in[0].size(-1)});
  check_parameter("cond_batch_norm_eval", "var", in[4], in[0], {in[0].size(-1)});
  return {{in[0].shape(), in[0].dtype()}};
}

template <class T>
void train_forward(const ForwardCall& c) {
  const ChannelStatistics s = channel_statistics<T>(c.in[0], c.attrs.number("eps", 1e-5));
  std::copy(s.mean.begin(), s.mean.end(), c.out[1].data<T>());
  std::copy(s.var.begin(), s.var.end(), c.out[2].data<T>());
  std::copy(s.invstd.begin(), s.invstd.end(), c.out[3].data<T>());
  normalise<T>(c, s.mean, s.invstd);
  update_running_statistics<T>(c, 3);
}

std::vector<OpCase> cases(bool eval) {
  std::vector<OpCase> list;
  for (const char* act : {"none", "relu"})
    for (const auto& [x, grad] : std::vector<std::pair<Shape, bool>>{{{2, 3, 2, 5}, true},
                                                                     {{1, 3, 3, 17}, true},
                                                                     {{4, 3}, true},
                                                                     {{3, 1, 2, 1}, true},
                                                                     {{0, 2, 2, 3}, true},
                                                                     {{2, 3, 0}, true},
                                                                     {{3, 17, 13, 16}, false},
                                                                     {{5, 9, 7, 67}, false},
                                                                     {{33, 130}, false}}) {
      const Shape per_sample{x[0], x[-1]}, channel{x[-1]};
      OpCase c{{{x, -1, 2}, {per_sample, 0.5, 1.5}, {per_sample}},
               {{"act", std::string(act)}, {"eps", 1e-4}},
               grad};
      const bool given = eval || list.size() % 2 == 0;
      c.inputs.push_back({channel, -0.5, 0.5, DType::f32, given});
      c.inputs.push_back({channel, 0.2, 2, DType::f32, given});
      list.push_back(c);
    }
  return list;
}

const RegisterOp cond_batch_norm_op({
    .name = "cond_batch_norm",
    .formula = "y = act(gain[n] (x - mean) invstd + bias[n])\n"
               "g = dy [y > 0 if relu], dbias = sum_pixels g, dgain = sum_pixels g xhat, dx = "
               "invstd (gain g - (A + xhat B) / m), "
               "A = sum_n gain dbias, B = sum_n gain dgain",
    .source = "de Vries et al. 2017; Brock et al. 2019, appendix B",
    .inputs = {{"x"},
               {.name = "gain", .parameter = true},
               {.name = "bias", .parameter = true},
               {"running_mean", false, true, true},
               {"running_var", false, true, true}},
    .outputs = {{"y"}, {"mean", false}, {"var", false}, {"invstd", false}},
    // The bias serves kernels that recompute the ReLU's mask instead of reading y.
    .saved_inputs = {0, 1, 2},
    .saved_outputs = {0, 1, 3},
    .mutated_inputs = {3, 4},
    .infer = infer_train,
    .forward =
        floating<ForwardCall, [](auto t, const ForwardCall& c) { train_forward<decltype(t)>(c); }>,
    .backward = floating<BackwardCall,
                         [](auto t, const BackwardCall& c) {
                           using T = decltype(t);
                           backward<T>(c, doubles<T>(c.out[1]), doubles<T>(c.out[3]), true);
                         }>,
    .cases = cases(false),
    .flops = [](const Tensors& in, const Attrs&) { return 7.0 * double(in[0].numel()); },
    .images = true,
});

const RegisterOp cond_batch_norm_eval_op({
    .name = "cond_batch_norm_eval",
    .formula = "y = act(gain[n] (x - mean) / sqrt(var + eps) + bias[n])\n"
               "g = dy [y > 0 if relu], dbias = sum_pixels g, dgain = sum_pixels g xhat, dx = "
               "invstd gain g",
    .source = "de Vries et al. 2017; Brock et al. 2019, appendix B",
    .inputs = {{"x"},
               {.name = "gain", .parameter = true},
               {.name = "bias", .parameter = true},
               {"mean", false, false, true},
               {"var", false, false, true}},
    .outputs = {{"y"}},
    .saved_inputs = {0, 1, 2, 3, 4},
    .saved_outputs = {0},
    .infer = infer_eval,
    .forward = floating<ForwardCall,
                        [](auto t, const ForwardCall& c) {
                          using T = decltype(t);
                          normalise<T>(c, doubles<T>(c.in[3]), invstd_of<T>(c.in[4], c.attrs));
                        }>,
    .backward = floating<BackwardCall,
                         [](auto t, const BackwardCall& c) {
                           using T = decltype(t);
                           backward<T>(c, doubles<T>(c.in[3]), invstd_of<T>(c.in[4], c.attrs),
                                       false);
                         }>,
    .cases = cases(true),
    .flops = [](const Tensors& in, const Attrs&) { return 3.0 * double(in[0].numel()); },
    .images = true,
});

}  // namespace
}  // namespace limbeck::cond_batch_norm_op
