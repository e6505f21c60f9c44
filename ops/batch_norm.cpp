// Batch normalisation with fused residual and ReLU: contract and reference.
//   forward   running mean and variance, where given, move towards those of the batch (ops/norm.h)
//             xhat = (x - mean) invstd,  y = act(gamma xhat + beta + residual),  invstd = 1 /
//                                        sqrt(var + eps)
//   backward  g = dy [y > 0 if act is relu];  dresidual = g,  dbeta = sum g,  dgamma = sum g xhat
//             batch statistics:  dx = gamma invstd (g - dbeta / n - xhat dgamma / n);   given
//                                statistics:  dx = gamma invstd g
// x, y, residual [.., C]; gamma, beta, mean, var (biased), invstd [C]; n values per channel.
// Missing gamma is 1, missing beta 0. Source: Ioffe & Szegedy 2015, algorithm 1 and section 3.
#include <algorithm>
#include <cmath>

#include "ops/checks.h"
#include "ops/norm.h"

namespace limbeck {

bool fused_relu(const char* op, const Attrs& attrs) {
  const auto act = attrs.text("act", "none");
  LIMBECK_CHECK(act == "none" || act == "relu", op, ": act must be \"none\" or \"relu\", found \"",
                act, "\"");
  return act == "relu";
}

void check_normalised(const char* op, const Tensor& x, bool batch_statistics) {
  check_floating(op, "x", x);
  LIMBECK_CHECK(x.rank() >= 2, op, ": 'x' must be [N, .., C], found ", describe(x));
  const int64_t channels = x.size(-1);
  LIMBECK_CHECK(!batch_statistics || channels == 0 || x.numel() / channels != 1, op,
                ": batch statistics need more than one value per channel, found ", describe(x));
}

template <class T>
ChannelStatistics channel_statistics(const Tensor& x, double eps) {
  const int64_t channels = x.size(-1), n = channels ? x.numel() / channels : 0;
  const T* p = x.data<T>();
  ChannelStatistics s{std::vector<double>(channels), std::vector<double>(channels),
                      std::vector<double>(channels)};
  const double divisor = n ? double(n) : 1.0;
  for (int64_t i = 0; i < n; ++i)
    for (int64_t c = 0; c < channels; ++c) s.mean[c] += p[i * channels + c];
  for (double& m : s.mean) m /= divisor;
  for (int64_t i = 0; i < n; ++i)
    for (int64_t c = 0; c < channels; ++c)
      s.var[c] += (p[i * channels + c] - s.mean[c]) * (p[i * channels + c] - s.mean[c]);
  for (int64_t c = 0; c < channels; ++c) {
    s.var[c] /= divisor;
    s.invstd[c] = 1 / std::sqrt(s.var[c] + eps);
  }
  return s;
}
template ChannelStatistics channel_statistics<float>(const Tensor&, double);
template ChannelStatistics channel_statistics<double>(const Tensor&, double);

RunningFactors::RunningFactors(const Tensor& x, const Attrs& attrs) {
  const double momentum = attrs.number("momentum", 0.1),
               n = static_cast<double>(x.numel()) /
                   static_cast<double>(std::max<int64_t>(1, x.size(-1)));
  keep = 1 - momentum;
  take_mean = momentum;
  take_var = n > 1 ? momentum * n / (n - 1) : momentum;
}

void check_running_statistics(const char* op, const Tensors& in, size_t running) {
  LIMBECK_CHECK(in[running].defined() == in[running + 1].defined(), op,
                ": running_mean and running_var must be given together, found ",
                describe(in[running]), " and ", describe(in[running + 1]));
  check_parameter(op, "running_mean", in[running], in[0], {in[0].size(-1)}, true);
  check_parameter(op, "running_var", in[running + 1], in[0], {in[0].size(-1)}, true);
}

template <class T>
void update_running_statistics(const ForwardCall& c, size_t running) {
  if (!c.in[running].defined() || c.in[0].numel() == 0) return;
  const RunningFactors f(c.in[0], c.attrs);
  T *mean = c.in[running].data<T>(), *var = c.in[running + 1].data<T>();
  const T *batch_mean = c.out[1].data<T>(), *batch_var = c.out[2].data<T>();
  for (int64_t i = 0; i < c.in[running].numel(); ++i) {
    mean[i] = static_cast<T>(f.keep * mean[i] + f.take_mean * batch_mean[i]);
    var[i] = static_cast<T>(f.keep * var[i] + f.take_var * batch_var[i]);
  }
}
template void update_running_statistics<float>(const ForwardCall&, size_t);
template void update_running_statistics<double>(const ForwardCall&, size_t);

namespace {

template <class T>
const T* optional(const Tensor& t) {
  return t.defined() ? t.data<T>() : nullptr;
}

struct Sizes {
  int64_t n, channels;  // values per channel
  explicit Sizes(const Shape& x) : n(x[-1] ? x.numel() / x[-1] : 0), channels(x[-1]) {}
};

// y from given means and 1 / deviations.
template <class T>
void normalise(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& residual,
               const std::vector<double>& mean, const std::vector<double>& invstd, bool relu,
               const Tensor& y) {
  const Sizes s(x.shape());
  const T *px = x.data<T>(), *pg = optional<T>(gamma), *pb = optional<T>(beta),
          *pr = optional<T>(residual);
  T* py = y.data<T>();
  for (int64_t i = 0; i < s.n; ++i)
    for (int64_t c = 0; c < s.channels; ++c) {
      const int64_t at = i * s.channels + c;
      const double value = (px[at] - mean[c]) * invstd[c] * (pg ? pg[c] : T(1)) +
                           (pb ? pb[c] : T(0)) + (pr ? pr[at] : T(0));
      py[at] = static_cast<T>(relu && value <= 0 ? 0.0 : value);
    }
}

// Gradients for given statistics. `batch`: the statistics depend on x. din: x, gamma, beta,
// residual.
template <class T>
void backward(const Tensor& x, const Tensor& gamma, const Tensor& y, const Tensor& dy,
              const std::vector<double>& mean, const std::vector<double>& invstd, bool relu,
              bool batch, const Tensor& dx, const Tensor& dgamma, const Tensor& dbeta,
              const Tensor& dresidual) {
  const Sizes s(dy.shape());
  const T *px = x.data<T>(), *pg = optional<T>(gamma), *py = relu ? y.data<T>() : nullptr,
          *pdy = dy.data<T>();
  std::vector<double> sum_g(s.channels, 0.0), sum_gx(s.channels, 0.0);
  const auto g = [&](int64_t at) { return py && py[at] <= 0 ? 0.0 : double(pdy[at]); };
  for (int64_t i = 0; i < s.n; ++i)
    for (int64_t c = 0; c < s.channels; ++c) {
      const int64_t at = i * s.channels + c;
      sum_g[c] += g(at);
      sum_gx[c] += g(at) * (px[at] - mean[c]) * invstd[c];
      if (dresidual.defined()) dresidual.data<T>()[at] = static_cast<T>(g(at));
    }
  if (dgamma.defined()) std::copy(sum_gx.begin(), sum_gx.end(), dgamma.data<T>());
  if (dbeta.defined()) std::copy(sum_g.begin(), sum_g.end(), dbeta.data<T>());
  if (!dx.defined()) return;
  T* pdx = dx.data<T>();
  for (int64_t i = 0; i < s.n; ++i)
    for (int64_t c = 0; c < s.channels; ++c) {
      const int64_t at = i * s.channels + c;
      const double centred =
          batch ? g(at) - (sum_g[c] + (px[at] - mean[c]) * invstd[c] * sum_gx[c]) / double(s.n)
                : g(at);
      pdx[at] = static_cast<T>((pg ? pg[c] : T(1)) * invstd[c] * centred);
    }
}

std::vector<TensorSpec> infer_train(const Tensors& in, const Attrs& attrs) {
  const Tensor& x = in[0];
  check_normalised("batch_norm", x, true);
  check_parameter("batch_norm", "gamma", in[1], x, {x.size(-1)}, true);
  check_parameter("batch_norm", "beta", in[2], x, {x.size(-1)}, true);
  check_shape("batch_norm", "residual", in[3], x, x.shape(), true);
  check_running_statistics("batch_norm", in, 4);
  fused_relu("batch_norm", attrs);
  const TensorSpec channel{{x.size(-1)}, accumulation_type(x.dtype())};
  return {{x.shape(), x.dtype()}, channel, channel, channel};
}

template <class T>
void train_forward(const ForwardCall& c) {
  const ChannelStatistics s = channel_statistics<T>(c.in[0], c.attrs.number("eps", 1e-5));
  std::copy(s.mean.begin(), s.mean.end(), c.out[1].data<T>());
  std::copy(s.var.begin(), s.var.end(), c.out[2].data<T>());
  std::copy(s.invstd.begin(), s.invstd.end(), c.out[3].data<T>());
  normalise<T>(c.in[0], c.in[1], c.in[2], c.in[3], s.mean, s.invstd,
               fused_relu("batch_norm", c.attrs), c.out[0]);
  update_running_statistics<T>(c, 4);
}

template <class T>
std::vector<double> doubles(const Tensor& t) {
  const auto s = t.span<T>();
  return {s.begin(), s.end()};
}

template <class T>
void train_backward(const BackwardCall& c) {
  backward<T>(c.in[0], c.in[1], c.out[0], c.dout[0], doubles<T>(c.out[1]), doubles<T>(c.out[3]),
              fused_relu("batch_norm", c.attrs), true, c.din[0], c.din[1], c.din[2], c.din[3]);
}

std::vector<TensorSpec> infer_eval(const Tensors& in, const Attrs& attrs) {
  const Tensor& x = in[0];
  check_normalised("batch_norm_eval", x, false);
  check_parameter("batch_norm_eval", "gamma", in[1], x, {x.size(-1)}, true);
  check_parameter("batch_norm_eval", "beta", in[2], x, {x.size(-1)}, true);
  check_parameter("batch_norm_eval", "mean", in[3], x, {x.size(-1)});
  check_parameter("batch_norm_eval", "var", in[4], x, {x.size(-1)});
  check_shape("batch_norm_eval", "residual", in[5], x, x.shape(), true);
  fused_relu("batch_norm_eval", attrs);
  return {{x.shape(), x.dtype()}};
}

template <class T>
std::vector<double> invstd_of(const Tensor& var, const Attrs& attrs) {
  std::vector<double> result = doubles<T>(var);
  for (double& v : result) v = 1 / std::sqrt(v + attrs.number("eps", 1e-5));
  return result;
}

template <class T>
void eval_forward(const ForwardCall& c) {
  normalise<T>(c.in[0], c.in[1], c.in[2], c.in[5], doubles<T>(c.in[3]),
               invstd_of<T>(c.in[4], c.attrs), fused_relu("batch_norm_eval", c.attrs), c.out[0]);
}

template <class T>
void eval_backward(const BackwardCall& c) {
  backward<T>(c.in[0], c.in[1], c.out[0], c.dout[0], doubles<T>(c.in[3]),
              invstd_of<T>(c.in[4], c.attrs), fused_relu("batch_norm_eval", c.attrs), false,
              c.din[0], c.din[1], c.din[2], c.din[5]);
}

// Inputs for every combination of gamma/beta, residual and activation, over awkward shapes.
std::vector<OpCase> cases(bool eval) {
  std::vector<OpCase> list;
  const auto add = [&](const Shape& x, bool gamma, bool beta, bool residual, const char* act,
                       bool grad) {
    const Shape channel{x[-1]};
    OpCase c{
        {{x, -1, 2}, {channel, 0.5, 1.5, DType::f32, gamma}, {channel, -1, 1, DType::f32, beta}},
        {{"act", std::string(act)}},
        grad};
    if (list.size() % 3 == 1) c.attrs.set("eps", 1e-2);
    if (eval) {
      c.inputs.push_back({channel, -0.5, 0.5});
      c.inputs.push_back({channel, 0.2, 2});
    }
    c.inputs.push_back({x, -1, 1, DType::f32, residual});
    if (!eval) {
      const bool running = list.size() % 2 == 0;
      c.inputs.push_back({channel, -0.5, 0.5, DType::f32, running});
      c.inputs.push_back({channel, 0.2, 2, DType::f32, running});
      if (list.size() % 4 == 0) c.attrs.set("momentum", 0.25);
    }
    list.push_back(c);
  };
  for (const char* act : {"none", "relu"})
    for (const bool residual : {false, true}) {
      add({2, 3, 2, 5}, true, true, residual, act, true);
      add({5, 3}, true, true, residual, act, true);
      add({3, 2, 1, 1}, false, false, residual, act, true);
      add({1, 3, 3, 17}, true, false, residual, act, true);
      add({1, 2, 2, 3}, false, true, residual, act, true);
      add({0, 2, 2, 3}, true, true, residual, act, true);
      add({2, 3, 0}, true, true, residual, act, true);
      add({3, 17, 13, 16}, true, true, residual, act, false);
      add({2, 9, 9, 67}, true, true, residual, act, false);
      add({33, 1, 1, 130}, false, true, residual, act, false);
      add({64, 9, 8, 3}, true, true, residual, act, false);
    }
  // an outlier in the first row, and in the first of every channel but one
  add({9000, 1}, true, true, false, "none", false);
  list.back().inputs[0].first = {1e4};
  add({2, 20, 40, 3}, true, true, false, "relu", false);
  list.back().inputs[0].first = {1e4, 0.5, -1e5};
  add({3, 60, 50, 40}, true, true, true, "none", false);
  list.back().inputs[0].first = std::vector<double>(39, -3e4);
  return list;
}

const RegisterOp batch_norm_op({
    .name = "batch_norm",
    .formula = "y = act(gamma (x - mean) invstd + beta + residual)\n"
               "g = dy [y > 0 if relu], dbeta = sum g, dgamma = sum g xhat, dx = gamma invstd (g - "
               "dbeta / n - xhat dgamma / n), dresidual = g",
    .source = "Ioffe & Szegedy 2015, algorithm 1 and section 3",
    .inputs = {{"x"},
               {.name = "gamma", .optional = true, .parameter = true},
               {.name = "beta", .optional = true, .parameter = true},
               {"residual", true, true},
               {"running_mean", false, true, true},
               {"running_var", false, true, true}},
    .outputs = {{"y"}, {"mean", false}, {"var", false}, {"invstd", false}},
    // beta and residual serve kernels that recompute the ReLU's mask instead of reading y.
    .saved_inputs = {0, 1, 2, 3},
    .saved_outputs = {0, 1, 3},
    .mutated_inputs = {4, 5},
    .infer = infer_train,
    .forward =
        floating<ForwardCall, [](auto t, const ForwardCall& c) { train_forward<decltype(t)>(c); }>,
    .backward = floating<BackwardCall,
                         [](auto t, const BackwardCall& c) { train_backward<decltype(t)>(c); }>,
    .cases = cases(false),
    .flops = [](const Tensors& in, const Attrs&) { return 7.0 * double(in[0].numel()); },
    .images = true,
    .bench_cases =
        {{{{{64, 32, 32, 16}},
           {{16}, 0.5, 1.5},
           {{16}},
           {{}, 0, 0, DType::f32, false},
           {{16}},
           {{16}}},
          {{"act", std::string("relu")}},
          false},
         {{{{64, 8, 8, 256}}, {{256}, 0.5, 1.5}, {{256}}, {{64, 8, 8, 256}}, {{256}}, {{256}}},
          {{"act", std::string("relu")}},
          false}},
    .device_bench_cases =
        {{{{{128, 16, 16, 128}},
           {{128}, 0.5, 1.5},
           {{128}},
           {{}, 0, 0, DType::f32, false},
           {{128}},
           {{128}}},
          {{"act", std::string("relu")}},
          false},
         {{{{256, 8, 8, 256}}, {{256}, 0.5, 1.5}, {{256}}, {{256, 8, 8, 256}}, {{256}}, {{256}}},
          {{"act", std::string("relu")}},
          false},
         {{{{256, 4, 4, 512}}, {{512}, 0.5, 1.5}, {{512}}, {{256, 4, 4, 512}}, {{512}}, {{512}}},
          {{"act", std::string("relu")}},
          false}},
});

const RegisterOp batch_norm_eval_op({
    .name = "batch_norm_eval",
    .formula = "y = act(gamma (x - mean) / sqrt(var + eps) + beta + residual)\n"
               "g = dy [y > 0 if relu], dbeta = sum g, dgamma = sum g xhat, dx = gamma invstd g, "
               "dresidual = g",
    .source = "Ioffe & Szegedy 2015, algorithm 2",
    .inputs = {{"x"},
               {.name = "gamma", .optional = true, .parameter = true},
               {.name = "beta", .optional = true, .parameter = true},
               {"mean", false, false, true},
               {"var", false, false, true},
               {"residual", true, true}},
    .outputs = {{"y"}},
    .saved_inputs = {0, 1, 2, 3, 4, 5},
    .saved_outputs = {0},
    .infer = infer_eval,
    .forward =
        floating<ForwardCall, [](auto t, const ForwardCall& c) { eval_forward<decltype(t)>(c); }>,
    .backward = floating<BackwardCall,
                         [](auto t, const BackwardCall& c) { eval_backward<decltype(t)>(c); }>,
    .cases = cases(true),
    .flops = [](const Tensors& in, const Attrs&) { return 3.0 * double(in[0].numel()); },
    .images = true,
});

}  // namespace
}  // namespace limbeck
