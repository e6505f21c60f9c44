// The common engine of batch_norm, cond_batch_norm and their eval forms in f32: normalisation per
// channel with a gain and a bias per sample. Plain batch norm is the case of one "sample" that
// holds all rows.
#pragma once
#include <vector>

#include "ops/op.h"
#include "ops_cpu/batch_norm_kernels.h"

namespace limbeck {

/// x as [samples, rows, channels], cut into chunks of at most chunk_rows rows of one sample.
/// Depends on the shape only.
struct NormLayout {
  int64_t samples, rows, channels;
  int64_t
      /// of the kernels' parameters: the channels, repeated until the vector width divides them
      period;
  int64_t chunk_rows, chunks_per_sample;

  NormLayout(int64_t samples, int64_t rows, int64_t channels);
  /// The whole tensor as one sample.
  static NormLayout plain(const Shape& x) { return {1, x[-1] ? x.numel() / x[-1] : 0, x[-1]}; }
  /// One sample for each entry of the leading dimension.
  static NormLayout conditional(const Shape& x) { return {x[0], x.numel(1, x.rank() - 1), x[-1]}; }

  int64_t chunks() const { return samples * chunks_per_sample; }
  int64_t numel() const { return samples * rows * channels; }
  int64_t sample_of(int64_t chunk) const { return chunk / chunks_per_sample; }
  int64_t first_row(int64_t chunk) const {
    return sample_of(chunk) * rows + chunk % chunks_per_sample * chunk_rows;
  }
  int64_t rows_of(int64_t chunk) const {
    return std::min(chunk_rows, rows - chunk % chunks_per_sample * chunk_rows);
  }
};

/// Mean, biased variance and 1 / sqrt(var + eps), [channels] each: one pass of shifted sums per
/// chunk, combined in double (Chan et al. 1979).
void batch_statistics(const NormLayout& layout, const Tensor& x, double eps, const Tensor& mean,
                      const Tensor& var, const Tensor& invstd);

/// y = act((x - mean) invstd gain + bias + residual); gain (default 1) and bias (default 0) are
/// [samples, channels].
void batch_apply(const NormLayout& layout, const Tensor& x, const Tensor& gain, const Tensor& bias,
                 const Tensor& residual, const Tensor& mean, const Tensor& invstd, bool relu,
                 const Tensor& y);

struct NormGradients {
  Tensor dx, dgain, dbias, dresidual;  ///< undefined where not wanted
};
/// `batch`: mean and invstd depend on x. y is read only with relu and a residual.
/// x [rows, C], statistics and gain [C].
void batch_gradients(const NormLayout& layout, const Tensor& x, const Tensor& gain,
                     const Tensor& bias, const Tensor& residual, const Tensor& mean,
                     const Tensor& invstd, const Tensor& y, const Tensor& dy, bool relu, bool batch,
                     const NormGradients& out);

/// 1 / sqrt(var + eps) as a new tensor.
Tensor invstd_of(const Tensor& var, double eps);

}  // namespace limbeck
