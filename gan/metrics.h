// Metrics of generated images: Frechet distance of features, label consistency, diversity.
#pragma once
#include <functional>
#include <vector>

#include "tensor/tensor.h"

namespace limbeck::gan {

/// Mean and unbiased covariance of feature rows, in f64.
struct Moments {
  int64_t count = 0;
  std::vector<double> mean;
  std::vector<double> covariance;  ///< row-major dim x dim
  int64_t dim() const { return static_cast<int64_t>(mean.size()); }
};

/// Moments of features [N, D] (f32 or f64), N >= 2.
Moments moments_of(const Tensor& features);

/// Squared Frechet distance of two Gaussians (Heusel et al. 2017):
///   |mu_a - mu_b|^2 + tr(S_a + S_b - 2 (S_a^{1/2} S_b S_a^{1/2})^{1/2}).
/// The original's evaluation script does not square the distance of the means (docs/original.md,
/// "Metrics"); this is the textbook value.
/// Throws when the dimensions differ.
double frechet_distance(const Moments& a, const Moments& b);
/// The same of feature rows [N, D]; with fewer rows than dimensions the matrices have the size of
/// the rows (windows of Intra-FID: tens of images, hundreds of features).
double frechet_distance(const Tensor& a, const Tensor& b);

/// Features of which the last N mod min(batch, N) rows are zero: what the original's cal_FID
/// computes with, whose loop over whole batches leaves those rows empty. For comparisons with its
/// numbers.
/// Throws unless the batch is positive.
Tensor without_last_batch(const Tensor& features, int64_t batch);

/// Mean Euclidean distance between the pixels (u8 [N, ...], as numbers in [0, 1]) of two different
/// images among the first `most`; 0 with fewer than two.
double mean_pixel_distance(const Tensor& images, int64_t most = 100);

/// Share of images whose predicted class is the assigned one; 0 for none.
/// Throws when the lengths differ.
double label_consistency(const std::vector<int64_t>& predicted,
                         const std::vector<int64_t>& assigned);

/// Entropy in nats of the classes within each group, averaged over the groups that are not empty:
/// the diversity of Ding et al. (2021, CcGAN), whose classes are the races of faces, the types of
/// chairs, the scenes of drives. Throws when all groups are empty.
double mean_entropy(const std::vector<std::vector<int64_t>>& groups);

}  // namespace limbeck::gan
