#include "gan/spectral_layers.h"

#include <cmath>

namespace limbeck::gan {
namespace {

constexpr double weight_deviation = 0.02;  // BigGAN's "N02"
constexpr double momentum = 0.1;

/// (w[j] + w[j-1]) / 2 along both kernel axes: [a, k, k, b] -> [a, k+1, k+1, b].
Variable widened(const Variable& w) { return avg_pool2d(w, {.kernel = {2, 2}, .stride = {1, 1}, .padding = {1, 1}}); }

/// A convolution kernel as the transposed convolution takes it, mirrored: [out, k, k, in] -> [in, k, k, out].
Variable mirrored(const Variable& w) {
  const int64_t out = w.size(0), k = w.size(1), in = w.size(3);
  std::vector<int64_t> backwards(static_cast<size_t>(k * k));
  for (size_t i = 0; i < backwards.size(); ++i) backwards[i] = k * k - 1 - static_cast<int64_t>(i);
  const Variable taps_first = permute(reshape(w, {out, k * k, in}), {1, 2, 0});
  return reshape(permute(index_select(taps_first, Tensor::of(backwards)), {1, 0, 2}), {in, k, k, out});
}

}  // namespace

void SpectralLayer::add_spectral_buffers(int64_t rows) {
  u0_ = add_buffer("u0", Tensor::zeros({1, rows}));
  sv0_ = add_buffer("sv0", Tensor::full({1}, 1));
}

Variable SpectralLayer::normalised(const Variable& weight) {
  Tensor& u0 = buffer(u0_);
  const SpectralNormResult result = spectral_norm(weight, u0.reshape({-1}), eps_);
  if (training()) {
    // A new tensor instead of an in-place change: the tape may hold the old one.
    u0 = result.u.reshape(u0.shape());
    buffer(sv0_) = result.sigma.reshape({1});
  }
  return result.weight;
}

void SpectralLayer::reset_spectral(Stream& stream, const Variable& weight, const Variable& bias, int64_t fan_in) {
  stream.fork("weight").fill_normal(weight.data(), 0, weight_deviation);
  if (bias) {
    const double bound = 1 / std::sqrt(static_cast<double>(fan_in));
    stream.fork("bias").fill_uniform(bias.data(), -bound, bound);
  }
  stream.fork("u0").fill_normal(buffer(u0_));
  buffer(sv0_).fill(1);
}

SNConv2d::SNConv2d(int64_t in, int64_t out, int64_t kernel, double eps)
    : SpectralLayer(eps),
      weight(add_parameter("weight", {out, kernel, kernel, in}, nn::DiskLayout::conv)),
      bias(add_parameter("bias", {out})),
      kernel_(kernel) {
  add_spectral_buffers(out);
}

Variable SNConv2d::forward(const Variable& x) {
  const int64_t pad = kernel_ / 2;
  return conv2d(x, normalised(weight), bias, {.padding = {pad, pad}});
}

Variable SNConv2d::pooled(const Variable& x) {
  LIMBECK_CHECK(x.size(1) % 2 == 0 && x.size(2) % 2 == 0, "SNConv2d: pooling by 2 needs even sizes, found ", x.shape());
  const int64_t pad = kernel_ / 2;
  return conv2d(x, widened(normalised(weight)), bias, {.stride = {2, 2}, .padding = {pad, pad}});
}

Variable SNConv2d::upsampled(const Variable& x) {
  const int64_t pad = kernel_ / 2;
  return conv_transpose2d(x, affine(widened(mirrored(normalised(weight))), 4, 0), bias, {.stride = {2, 2}, .padding = {pad, pad}});
}

void SNConv2d::reset(Stream stream) { reset_spectral(stream, weight, bias, weight.shape().numel(1, 4)); }

SNLinear::SNLinear(int64_t in, int64_t out, double eps)
    : SpectralLayer(eps), weight(add_parameter("weight", {out, in})), bias(add_parameter("bias", {out})) {
  add_spectral_buffers(out);
}

Variable SNLinear::forward(const Variable& x) { return linear(x, normalised(weight), bias); }

void SNLinear::reset(Stream stream) { reset_spectral(stream, weight, bias, weight.size(1)); }

SNEmbedding::SNEmbedding(int64_t count, int64_t dim, double eps)
    : SpectralLayer(eps), weight(add_parameter("weight", {count, dim})) {
  add_spectral_buffers(count);
}

Variable SNEmbedding::operator()(const Tensor& index) { return embedding(normalised(weight), index); }

void SNEmbedding::reset(Stream stream) { reset_spectral(stream, weight, {}, 1); }

ClassEmbedding::ClassEmbedding(int64_t classes, int64_t channels) : weight(add_parameter("weight", {classes, channels})) {}

Variable ClassEmbedding::operator()(const Condition& condition) {
  LIMBECK_CHECK(condition.classes, "class embedding: the condition has no class labels");
  return embedding(weight, condition.classes);
}

void ClassEmbedding::reset(Stream stream) { stream.fork("weight").fill_normal(weight.data(), 0, weight_deviation); }

StoredStatistics::StoredStatistics(int64_t channels) : channels_(channels) {
  mean_ = add_buffer("stored_mean", Tensor::zeros({channels}));
  var_ = add_buffer("stored_var", Tensor::full({channels}, 1));
}

void StoredStatistics::update(const Tensor& mean, const Tensor& biased_var, int64_t count) {
  const double unbias = count > 1 ? static_cast<double>(count) / static_cast<double>(count - 1) : 1;
  NoGrad no_grad;
  Tensor& m = buffer(mean_);
  Tensor& v = buffer(var_);
  m = (affine(m, 1 - momentum, 0) + affine(mean, momentum, 0)).data();
  v = (affine(v, 1 - momentum, 0) + affine(biased_var, momentum * unbias, 0)).data();
}

void StoredStatistics::reset(Stream) {
  buffer(mean_).fill(0);
  buffer(var_).fill(1);
}

ConditionalBatchNorm::ConditionalBatchNorm(int64_t channels, int64_t classes, double eps)
    : StoredStatistics(channels),
      eps_(eps),
      gain_(&own("gain", std::make_unique<ClassEmbedding>(classes, channels))),
      bias_(&own("bias", std::make_unique<ClassEmbedding>(classes, channels))) {}

Variable ConditionalBatchNorm::relu(const Variable& x, const Condition& condition) {
  const Variable gain = affine((*gain_)(condition), 1, 1);
  const Variable bias = (*bias_)(condition);
  if (!training()) return cond_batch_norm_eval(x, gain, bias, stored_mean(), stored_var(), eps_, true);
  const BatchNormResult result = cond_batch_norm(x, gain, bias, eps_, true);
  update(result.mean, result.var, x.data().numel() / channels_);
  return result.y;
}

BatchNorm::BatchNorm(int64_t channels, double eps)
    : StoredStatistics(channels), gain(add_parameter("gain", {channels})), bias(add_parameter("bias", {channels})), eps_(eps) {}

Variable BatchNorm::relu(const Variable& x) {
  if (!training()) return batch_norm_eval(x, gain, bias, stored_mean(), stored_var(), eps_, true);
  const BatchNormResult result = batch_norm(x, gain, bias, eps_, true);
  update(result.mean, result.var, x.data().numel() / channels_);
  return result.y;
}

void BatchNorm::reset(Stream stream) {
  StoredStatistics::reset(stream);
  gain.data().fill(1);
  bias.data().fill(0);
}

}  // namespace limbeck::gan
