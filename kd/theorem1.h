// Theorem 1 of cGAN-KD as numbers (Ding et al. 2023, section 4): with probability 1 - delta a
// student that minimises its mean loss over n = N^r real and M^g fake images has
//   V(student) - V(best) <= 4 C_L R_n  +  2 C_L sqrt((4 / n) log(2 / delta))
//                           + 4 C_L (1 - theta) TV(real, fake)  +  capacity
// theta = N^r / n, C_L bounds the loss of any image, V is the expected loss on real images, TV the
// total variation between the real and the fake distribution of (image, label). What a run can
// measure stands here; docs/theorem1.md says how, and which assumptions do not hold.
#pragma once
#include <cstdint>
#include <vector>

#include "tensor/random.h"
#include "tensor/tensor.h"

namespace limbeck::kd {

/// Mean of independent values and its standard error, deviation (n - 1) / sqrt(n); 0 for n = 1.
struct Estimate {
  double mean = 0, error = 0;
};
/// Of these values. Throws without any.
Estimate estimate(const std::vector<double>& values);

/// 4 C_L R_n, R_n = min(1, root n^-1/2), with the error of `root`.
Estimate complexity_term(double loss_bound, const Estimate& root, int64_t n);
/// 2 C_L sqrt((4 / n) log(2 / delta)).
double sample_term(double loss_bound, int64_t n, double delta);
/// 4 C_L (1 - theta) tv.
double gap_term(double loss_bound, double theta, double tv);

/// The 99.9 % quantile of the losses, the largest one, and the share above the quantile. Cross
/// entropy has no bound: there the quantile stands for C_L, for responses the largest squared
/// error.
struct LossBound {
  double quantile = 0, largest = 0, share_above = 0;
};
/// Of one loss per image. Throws without any.
LossBound loss_bound(const std::vector<double>& losses);

/// |E_real f - E_fake f| of a loss f in [0, 1]: not above TV. The error is that of the difference.
Estimate gap_of_losses(const std::vector<double>& real, const std::vector<double>& fake);

/// 2 a - 1, a the balanced accuracy of a classifier real/fake that has seen half of each kind and
/// is tested on the other half: not above TV but for the error of a. Rows [n, D] of both kinds with
/// n >= 4; they describe image and label, and are standardised here. A two-layer perceptron; any
/// classifier gives a lower bound.
Estimate gap_of_classifier(const Tensor& real, const Tensor& fake, const Stream& stream);

/// Mean of |r - 1| / 2 over fakes, r the density ratio real / fake divided by its mean, which is 1
/// where r is exact: this is then TV of the images. Throws without any positive ratio.
Estimate gap_of_ratio(const std::vector<double>& ratios);

/// Total variation between two distributions of labels, given by how often each class (or cell of
/// responses) occurs. Throws for different lengths and for no labels.
double gap_of_labels(const std::vector<int64_t>& real, const std::vector<int64_t>& fake);

/// Share of real images among all that a student saw: `real` images for first_epochs, then n images
/// of which `real` are real for second_epochs.
double theta_of_run(int64_t real, int64_t n, int64_t first_epochs, int64_t second_epochs);

}  // namespace limbeck::kd
