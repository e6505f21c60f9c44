// Task: what depends on whether images carry a class or a response. The data decide; one object
// answers for the whole workflow.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "gan/conditioning.h"
#include "gan/density_ratio.h"
#include "gan/settings.h"
#include "kd/fake_data.h"
#include "kd/stage.h"
#include "nn/models/registry.h"
#include "train/criterion.h"

namespace limbeck::kd {

class Task {
 public:
  virtual ~Task() = default;
  virtual nn::Task kind() const = 0;
  std::string name() const { return nn::name_of(kind()); }
  /// Throws naming the key when the workflow cannot finish on these data: one class only, a class
  /// without images, ...
  virtual void check(const data::Split& data) const = 0;

  /// What a network for these data looks like from outside.
  virtual nn::ModelOptions options(const data::Dataset& data) const = 0;
  virtual const train::Criterion& criterion() const = 0;

  /// What a GAN of these data is conditioned on.
  virtual std::unique_ptr<gan::Conditioning> conditioning(const data::Dataset& data,
                                                          const gan::GanSettings& settings,
                                                          Device device) const = 0;
  /// The density-ratio net, conditioned as the task says.
  virtual std::unique_ptr<gan::RatioNet> ratio_net(const data::Dataset& data,
                                                   const gan::RatioSettings& settings,
                                                   int64_t feature) const = 0;
  /// What fakes are made for, one condition each.
  virtual std::vector<Tensor> conditions(const data::Dataset& data) const = 0;
  /// M2's verdict. `judge` outlives the result and stays on its device.
  virtual Judge judge(nn::Network& judge, const data::Standardisation& standardisation,
                      const data::Augmentation& augmentation) const = 0;
  /// Fakes that M3 will train on, known before they exist.
  virtual int64_t fakes_used(const data::Dataset& data, const FakeSettings& fakes,
                             int64_t wanted) const = 0;
  virtual data::Dataset load_fakes(const std::string& path, const data::Dataset& real) const = 0;
  /// What the making of fakes and the judge's verdict on a finished set come to.
  virtual Results describe(const std::vector<FakeStatistics>& statistics) const = 0;
  /// `set` is raw, m1 or m2; rho the share that M2 keeps.
  virtual Results describe(const data::Dataset& fakes, const Judgement& verdict,
                           const std::string& set, double rho) const = 0;
  /// A picture of fakes, rows of one condition.
  virtual Tensor sheet(const data::Dataset& fakes) const = 0;
};

/// Classes or responses, as the training images have them.
std::unique_ptr<Task> task_of(const data::Dataset& train);
std::unique_ptr<Task> classification_task();

}  // namespace limbeck::kd
