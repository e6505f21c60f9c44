// Task: what depends on whether images carry a class or a response. The data decide; one object
// answers for the whole workflow. [task] of a configuration says which it is, because the graph of
// stages is known before the data are read; check() compares.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "gan/conditioning.h"
#include "gan/density_ratio.h"
#include "gan/settings.h"
#include "kd/fake_data.h"
#include "kd/settings.h"
#include "kd/stage.h"
#include "nn/models/label_embedding.h"
#include "nn/models/registry.h"
#include "train/criterion.h"

namespace limbeck::kd {

/// How responses enter the networks of generation; null for classes.
using LabelNet = std::shared_ptr<nn::LabelToEmbedding>;

/// The trained features of the density ratio.
struct RatioFeatures {
  gan::FeatureExtractor extractor;
  /// What the Frechet distance takes of images that are standardised as the task says.
  std::function<Variable(const Variable&)> pooled;
  std::shared_ptr<nn::Module> owner;
};

/// Rows of real and of fake images that stand for the same: a class, or a window of responses.
struct Group {
  std::vector<int64_t> real, fake;
};

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
  /// By which networks are measured too, on the test images, once they have trained.
  virtual std::vector<const train::Criterion*> further_criteria() const { return {}; }
  /// Of the responses; the default for classes.
  virtual data::ResponseScale scale() const { return {}; }
  /// How images enter classifiers and regressors.
  virtual data::Standardisation standardisation(const data::Dataset& data) const = 0;

  /// The data as GAN and density ratio see them: responses normalised to [0, 1].
  virtual data::Dataset for_generation(const data::Dataset& data) const { return data; }
  /// What a GAN of these data (for_generation()) is conditioned on.
  virtual std::unique_ptr<gan::Conditioning> conditioning(const data::Dataset& data,
                                                          const gan::GanSettings& settings,
                                                          const LabelNet& embedding,
                                                          Device device) const = 0;
  /// The density-ratio net, conditioned as the task says.
  virtual std::unique_ptr<gan::RatioNet> ratio_net(const data::Dataset& data,
                                                   const gan::RatioSettings& settings,
                                                   int64_t feature,
                                                   const LabelNet& embedding) const = 0;
  /// From the directory of the stage that trained them; frozen, on the device.
  virtual RatioFeatures load_features(const data::Dataset& data, const std::string& directory,
                                      Device device) const = 0;
  /// What fakes are made for, one condition each; responses normalised to [0, 1].
  virtual std::vector<Tensor> conditions(const data::Dataset& data) const = 0;
  /// M2's verdict, on labels as data sets have them. `judge` outlives the result and stays on its
  /// device.
  virtual Judge judge(nn::Network& judge, const data::Standardisation& standardisation,
                      const data::Augmentation& augmentation) const = 0;
  /// Fakes that M3 will train on, known before they exist.
  virtual int64_t fakes_used(const data::Dataset& data, const FakeSettings& fakes,
                             int64_t wanted) const = 0;
  virtual data::Dataset load_fakes(const std::string& path, const data::Dataset& real) const = 0;
  /// M1 and M2: writes the set and says what came of it.
  virtual Results make_fakes(const FakeTask& task, const FakeSettings& settings) const = 0;
  /// What the judge's verdict on a finished set comes to. `set` is raw, m1 or m2; rho the share
  /// that M2 keeps.
  virtual Results describe(const data::Dataset& fakes, const Judgement& verdict,
                           const std::string& set, double rho) const = 0;
  virtual std::vector<Group> groups(const data::Dataset& real,
                                    const data::Dataset& fakes) const = 0;
  /// Whether the Frechet distance within groups is asked for (Intra-FID).
  virtual bool intra_fid() const { return false; }
  /// Of the Frechet distance (ResponseEvaluationSettings); 0: none.
  virtual int64_t official_batch() const { return 0; }
  /// A picture of fakes, rows of one condition.
  virtual Tensor sheet(const data::Dataset& fakes) const = 0;
};

/// Classes or responses, as the training images have them; throws when `settings.task` says the
/// other.
std::unique_ptr<Task> task_of(const data::Dataset& train, const ExperimentSettings& settings);
std::unique_ptr<Task> classification_task(const ExperimentSettings& settings);
std::unique_ptr<Task> regression_task(const data::Dataset& train,
                                      const ExperimentSettings& settings);

}  // namespace limbeck::kd
