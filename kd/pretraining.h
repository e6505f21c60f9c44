// Pretraining: what a stage before the student's (kd/method.h) trains by a loss of its own: FT's
// paraphraser, the bodies of AB's and FSP's students. It is a supervised training
// (train/supervised.h) of a network whose output is its loss, so it resumes bit-equal.
#pragma once
#include <unordered_set>

#include "kd/method.h"
#include "train/supervised.h"

namespace limbeck::kd {

/// The official recipe: 30 epochs with a constant learning rate.
struct PretrainingSettings : train::Settings {
  explicit PretrainingSettings(double rate) { epochs = 30, lr = rate, milestones = {}; }
};

/// A network from images to a loss of each of them.
class SampleLoss : public nn::Network {
 public:
  nn::Features forward_features(const Variable& images, bool preact) final;

 protected:
  virtual Variable losses(const Variable& images) = 0;  ///< [N]
};

/// Lowers the mean loss over the training images; metrics: train_error and test_error, its means.
void pretrain(SampleLoss& network, const PreparationContext& context,
              const train::Settings& settings);

/// The part of a network that its maps f[..-2] depend on: stem and stages, without the head, and of
/// a WRN without the last batch norm. While it lives, nothing else has gradients.
class Body {
 public:
  /// `image` is the shape of one input, [H, W, C].
  /// Throws for a student without maps.
  Body(nn::Network& network, const Shape& image);
  ~Body();
  Body(const Body&) = delete;
  /// The network in eval mode but for its body.
  void train();

 private:
  nn::Network& network_;
  std::vector<Variable> rest_;        // parameters
  std::vector<nn::Module*> modules_;  // with parameters of the body only
};

/// A loss between the maps of a student and its teacher that trains the student's body.
class BodyLoss : public SampleLoss {
 public:
  BodyLoss(const PreparationContext& context, bool preact);

 protected:
  Variable losses(const Variable& images) final;
  virtual Variable losses(const nn::Features& student, const nn::Features& teacher) = 0;

 private:
  nn::Network &student_, &teacher_;
  const bool preact_;
  Body body_;
};

/// The student as a preparation left it: written there, read by prepare() of its method.
void save_student(const PreparationContext& context);
void load_student(const Pair& pair, const std::string& preparation);

}  // namespace limbeck::kd
