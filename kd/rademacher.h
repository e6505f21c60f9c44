// Empirical Rademacher complexity of a network's body, the first term of Theorem 1: the mean over
// draws of random signs s of max_h (1/n) sum s_i h(x_i), h = tanh of one linear output. Training is
// not the maximum, so what it reaches is a bound from below.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "kd/theorem1.h"
#include "nn/layers.h"
#include "nn/models/registry.h"
#include "nn/monitor.h"
#include "tensor/fields.h"
#include "train/supervised.h"

namespace limbeck::kd {

/// [theorem1.rademacher] of a configuration.
struct RademacherSettings {
  bool measure = false;
  std::vector<int64_t> sizes = {500, 2000, 8000};
  int64_t draws = 3;
  int64_t steps = 2000;
  void fields(FieldVisitor& v) {
    v("measure", measure,
      "also the first term: the student's body is trained on random signs, draws x sizes times");
    const Influence measured = influence_if(measure);
    v("sizes", sizes, "images of such a training; sizes above the student's images are left out",
      measured);
    v("draws", draws, "of the signs and of the images, for each size", measured);
    v("steps", steps,
      "of each training, with the student's optimiser, its learning rate falling in half a cosine",
      measured);
  }
};
/// Throws naming the key.
void check(const RademacherSettings& settings);

/// A network's body up to its last linear layer, and one output o in its place; h = tanh(o).
class SignNetwork : public nn::Network {
 public:
  /// `size`: side of its square images.
  SignNetwork(std::unique_ptr<nn::Network> body, int64_t channels, int64_t size);
  void initialise(const Stream& stream) override;
  /// Throws as the body does.
  nn::Features forward_features(const Variable& x, bool preact = false) override;

 private:
  const std::unique_ptr<nn::Network> body_;
  std::unique_ptr<nn::Linear> head_;
};

/// Targets are signs, -1 or 1. The loss is log(1 + exp(-2 s o)), whose gradient does not vanish
/// where tanh saturates at the wrong sign; the metric is the correlation s tanh(o).
class SignCriterion : public train::Criterion {
 public:
  void check(const data::Dataset& dataset, int64_t outputs) const override;
  Variable loss(const Variable& output, const data::Batch& batch) const override;
  double score(const Tensor& output, const data::Batch& batch) const override;
  const char* metric() const override { return "correlation"; }
  std::string unit() const override { return ""; }
  train::Better better() const override { return train::Better::higher; }
};

/// The images with random signs for targets, -1 and 1 with equal probability.
data::Dataset with_signs(const data::Dataset& images, Stream stream);

/// What a training on signs reached.
struct SignFit {
  int64_t images = 0;
  double correlation = 0;  ///< in [0, 1]
};
/// How one begins: a new SignNetwork, initialised, on its device, and how it trains.
struct SignTraining {
  std::function<std::unique_ptr<nn::Network>(const Stream& stream)> network;
  train::Settings settings;  ///< sign_settings()
};
/// How a body trains on signs: the student's settings without its schedule and without what makes
/// other images or targets of them.
train::Settings sign_settings(train::Settings student);

/// Every size that `images` has, `draws` times each; one line of metrics for each training.
/// Resumes bit-equal. In a trial one training stands for all. Throws when every size is above the
/// number of images.
std::vector<SignFit> fit_signs(const data::Dataset& images, const SignTraining& training,
                               const RademacherSettings& settings, const Stream& stream,
                               nn::Monitor& monitor);

/// R0 of R(n) = R0 n^-1/2 by least squares; the error is that of the residuals, so it grows where
/// the fits do not fall like this. 0 with a single fit. Throws without any.
Estimate rademacher_root(const std::vector<SignFit>& fits);

}  // namespace limbeck::kd
