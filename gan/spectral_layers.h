// Layers of BigGAN (Brock et al. 2019): spectrally normalised linear, convolution and embedding
// layers (Miyato et al. 2018), and the conditional and plain batch norms with BigGAN's names. State
// keys are those of BigGAN-PyTorch's layers.py.
//
// Spectral norm: W seen as [rows, rest]; one power iteration per forward from the buffer u0 [1,
// rows]:
//   v = u W / max(|u W|, eps),  u' = v W^T / max(|v W^T|, eps),  sigma = v W^T u'^T,  weight used
//                               = W / sigma.
// The gradient flows through W in sigma, not through u and v. Training stores u' in u0 and sigma in
// sv0 [1]; eval runs the same iteration from the stored u0 and stores nothing.
#pragma once
#include <memory>
#include <string>

#include "gan/network.h"

namespace limbeck::gan {

/// Base of the spectrally normalised layers: owns u0 and sv0.
class SpectralLayer : public nn::Module {
 public:
  /// The largest singular value as last estimated in train mode (1 before the first forward).
  double singular_value() const { return buffer(sv0_).item(); }

 protected:
  explicit SpectralLayer(double eps) : eps_(eps) {}
  /// Call after the parameters are added.
  void add_spectral_buffers(int64_t rows);
  Variable normalised(const Variable& weight);
  /// N(0, 0.02^2) weights, PyTorch's default bias U(+-1/sqrt(fan_in)), u0 from N(0, 1) (not
  /// normalised), sv0 = 1.
  void reset_spectral(Stream& stream, const Variable& weight, const Variable& bias, int64_t fan_in);

 private:
  double eps_;
  size_t u0_ = 0, sv0_ = 0;
};

/// Convolution with stride 1 and "same" padding, odd kernel. weight [out, k, k, in] (disk OIHW),
/// bias [out] unless left out. pooled and upsampled fold the neighbour into the kernel
/// (gan/resampling_conv.h).
class SNConv2d : public SpectralLayer {
 public:
  SNConv2d(int64_t in, int64_t out, int64_t kernel, double eps, bool has_bias = true);
  Variable forward(const Variable& x) override;
  /// avg_pool2d(forward(x)), 2x2; even sizes.
  Variable pooled(const Variable& x);
  /// forward(upsample_nearest(x)), factor 2.
  Variable upsampled(const Variable& x);
  Variable weight, bias;

 protected:
  void reset(Stream stream) override;
};

/// weight [out, in], bias [out] unless left out.
class SNLinear : public SpectralLayer {
 public:
  SNLinear(int64_t in, int64_t out, double eps, bool has_bias = true);
  Variable forward(const Variable& x) override;
  Variable weight, bias;

 protected:
  void reset(Stream stream) override;
};

/// weight [count, dim]; rows of W / sigma.
class SNEmbedding : public SpectralLayer {
 public:
  SNEmbedding(int64_t count, int64_t dim, double eps);
  Variable operator()(const Tensor& index);
  Variable weight;

 protected:
  void reset(Stream stream) override;
};

/// Maps a condition to one value per channel [N, C]: the gain or bias of a conditional batch norm.
class ConditionMap {
 public:
  virtual ~ConditionMap() = default;
  /// Throws for a condition of the other kind.
  virtual Variable map(const Condition& condition) = 0;
};

/// A table with one row per class: weight [classes, channels], N(0, 0.02^2), no spectral norm.
class ClassEmbedding : public nn::Module, public ConditionMap {
 public:
  ClassEmbedding(int64_t classes, int64_t channels);
  Variable map(const Condition& condition) override;
  Variable weight;

 protected:
  void reset(Stream stream) override;
};

/// A spectrally normalised linear map of the condition's embedding, without bias: weight [channels,
/// d].
class EmbeddingMap : public SNLinear, public ConditionMap {
 public:
  EmbeddingMap(int64_t d, int64_t channels, double eps) : SNLinear(d, channels, eps, false) {}
  Variable map(const Condition& condition) override;
};

/// What drives the conditional batch norms of a network: an embedding of this size, or (0) a table
/// of classes per layer.
struct ConditionSource {
  int64_t embedding = 0, classes = 0;
  double sn_eps = 1e-8;
};

/// Running mean and variance of a batch norm (momentum 0.1, unbiased variance), under BigGAN's
/// names.
class StoredStatistics : public nn::Module {
 protected:
  explicit StoredStatistics(int64_t channels);
  RunningStatistics running() { return {buffer(mean_), buffer(var_)}; }
  const Tensor& stored_mean() const { return buffer(mean_); }
  const Tensor& stored_var() const { return buffer(var_); }
  void reset(Stream stream) override;
  const int64_t channels_;

 private:
  size_t mean_ = 0, var_ = 0;
};

/// relu(BN(x) (1 + gain(y)) + bias(y)), BN without affine parameters. Keys gain.weight,
/// bias.weight, stored_mean, stored_var.
class ConditionalBatchNorm : public StoredStatistics {
 public:
  ConditionalBatchNorm(int64_t channels, const ConditionSource& source, double eps);
  Variable relu(const Variable& x, const Condition& condition);

 private:
  ConditionMap* own_map(const char* name, const ConditionSource& source);
  double eps_;
  ConditionMap* gain_;
  ConditionMap* bias_;
};

/// relu(BN(x) gain + bias) with parameters gain (1) and bias (0).
class BatchNorm : public StoredStatistics {
 public:
  BatchNorm(int64_t channels, double eps);
  Variable relu(const Variable& x);
  Variable gain, bias;

 protected:
  void reset(Stream stream) override;

 private:
  double eps_;
};

}  // namespace limbeck::gan
