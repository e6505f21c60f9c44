#include "gan/spectral_layers.h"

#include <cmath>

#include "gan/resampling_conv.h"

namespace limbeck::gan {
namespace {

constexpr double weight_deviation = 0.02;  // BigGAN's "N02"
constexpr double momentum = 0.1;

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

void SpectralLayer::reset_spectral(Stream& stream, const Variable& weight, const Variable& bias,
                                   int64_t fan_in) {
  stream.fork("weight").fill_normal(weight.data(), 0, weight_deviation);
  if (bias) {
    const double bound = 1 / std::sqrt(static_cast<double>(fan_in));
    stream.fork("bias").fill_uniform(bias.data(), -bound, bound);
  }
  stream.fork("u0").fill_normal(buffer(u0_));
  buffer(sv0_).fill(1);
}

SNConv2d::SNConv2d(int64_t in, int64_t out, int64_t kernel, double eps, bool has_bias)
    : SpectralLayer(eps),
      weight(add_parameter("weight", {out, kernel, kernel, in}, nn::DiskLayout::conv)) {
  if (has_bias) bias = add_parameter("bias", {out});
  add_spectral_buffers(out);
}

Variable SNConv2d::forward(const Variable& x) { return same_conv(x, normalised(weight), bias); }
Variable SNConv2d::pooled(const Variable& x) { return pooled_conv(x, normalised(weight), bias); }
Variable SNConv2d::upsampled(const Variable& x) {
  return upsampled_conv(x, normalised(weight), bias);
}

void SNConv2d::reset(Stream stream) {
  reset_spectral(stream, weight, bias, weight.shape().numel(1, 4));
}

SNLinear::SNLinear(int64_t in, int64_t out, double eps, bool has_bias)
    : SpectralLayer(eps), weight(add_parameter("weight", {out, in})) {
  if (has_bias) bias = add_parameter("bias", {out});
  add_spectral_buffers(out);
}

Variable SNLinear::forward(const Variable& x) { return linear(x, normalised(weight), bias); }

void SNLinear::reset(Stream stream) { reset_spectral(stream, weight, bias, weight.size(1)); }

SNEmbedding::SNEmbedding(int64_t count, int64_t dim, double eps)
    : SpectralLayer(eps), weight(add_parameter("weight", {count, dim})) {
  add_spectral_buffers(count);
}

Variable SNEmbedding::operator()(const Tensor& index) {
  return embedding(normalised(weight), index);
}

void SNEmbedding::reset(Stream stream) { reset_spectral(stream, weight, {}, 1); }

ClassEmbedding::ClassEmbedding(int64_t classes, int64_t channels)
    : weight(add_parameter("weight", {classes, channels})) {}

Variable ClassEmbedding::map(const Condition& condition) {
  LIMBECK_CHECK(condition.classes, "class embedding: the condition has no class labels");
  return embedding(weight, condition.classes);
}

void ClassEmbedding::reset(Stream stream) {
  stream.fork("weight").fill_normal(weight.data(), 0, weight_deviation);
}

Variable EmbeddingMap::map(const Condition& condition) {
  LIMBECK_CHECK(condition.embedding, "conditional batch norm: the condition has no embedding");
  return forward(condition.embedding);
}

StoredStatistics::StoredStatistics(int64_t channels) : channels_(channels) {
  mean_ = add_buffer("stored_mean", Tensor::zeros({channels}));
  var_ = add_buffer("stored_var", Tensor::full({channels}, 1));
}

void StoredStatistics::reset(Stream) {
  buffer(mean_).fill(0);
  buffer(var_).fill(1);
}

ConditionalBatchNorm::ConditionalBatchNorm(int64_t channels, const ConditionSource& source,
                                           double eps)
    : StoredStatistics(channels),
      eps_(eps),
      gain_(own_map("gain", source)),
      bias_(own_map("bias", source)) {}

ConditionMap* ConditionalBatchNorm::own_map(const char* name, const ConditionSource& source) {
  if (source.embedding > 0)
    return &own(name, std::make_unique<EmbeddingMap>(source.embedding, channels_, source.sn_eps));
  return &own(name, std::make_unique<ClassEmbedding>(source.classes, channels_));
}

Variable ConditionalBatchNorm::relu(const Variable& x, const Condition& condition) {
  const Variable gain = affine(gain_->map(condition), 1, 1);
  const Variable bias = bias_->map(condition);
  if (!training())
    return cond_batch_norm_eval(x, gain, bias, stored_mean(), stored_var(), eps_, true);
  return cond_batch_norm(x, gain, bias, eps_, true, running()).y;
}

BatchNorm::BatchNorm(int64_t channels, double eps)
    : StoredStatistics(channels),
      gain(add_parameter("gain", {channels})),
      bias(add_parameter("bias", {channels})),
      eps_(eps) {}

Variable BatchNorm::relu(const Variable& x) {
  if (!training()) return batch_norm_eval(x, gain, bias, stored_mean(), stored_var(), eps_, true);
  return batch_norm(x, gain, bias, eps_, true, {}, running()).y;
}

void BatchNorm::reset(Stream stream) {
  StoredStatistics::reset(stream);
  gain.data().fill(1);
  bias.data().fill(0);
}

}  // namespace limbeck::gan
