// Method: a knowledge-distillation term. A method is one class in one file of kd/methods/ that
// registers itself with settings of its own; training loops and the workflow never name one. Loss
// of a step (RepDistiller's frame; the paper's experiments):
//   hard_weight CE(student, labels) + soft_weight KL_T(student, teacher) + loss(step)
#pragma once
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/dataset.h"
#include "nn/models/registry.h"
#include "nn/monitor.h"
#include "tensor/fields.h"
#include "train/criterion.h"
#include "train/extra_loss.h"
#include "train/supervised.h"

namespace limbeck::kd {

/// Base of every method's settings ([methods.NAME] of a configuration).
struct LossWeights {
  double hard_weight = 1;  ///< gamma, of the labels' loss
  double soft_weight =
      1;  ///< alpha, of T^2 KL(softmax(t/T) || softmax(s/T)) / N; regression has no such term
  double temperature = 4;           ///< T
  bool standardise = false;         ///< logits to mean 0 and deviation 1 before T (kd/terms.h)
  std::string teacher_bn = "eval";  ///< kd/teacher_statistics.h
  void fields(FieldVisitor& v) {
    v("hard_weight", hard_weight, "gamma: weight of the labels' loss");
    v("soft_weight", soft_weight, "alpha: weight of the teacher's soft targets");
    v("temperature", temperature, "softening of the logits");
    v("standardise", standardise,
      "logits to mean 0 and deviation 1 over the classes before they are softened (Sun et al. "
      "2024, "
      "who then take temperature 2 and soft terms 9 times as heavy)");
    v("teacher_bn", teacher_bn,
      "what the teacher's batch norms go by: eval: the statistics it was saved with | batch: those "
      "of each batch | adapt: those of each batch, and the saved ones follow (Szatkowski et al. "
      "2024) | refit: those of the student's training images, found in a pass before",
      influence_if(teacher_bn != "eval"));
  }
};
/// The same for methods whose official code drops the learning rate at a milestone, where [student]
/// and [transfer] do so an epoch behind it.
struct EarlyDropWeights : LossWeights {
  bool late_drop = false;
  void fields(FieldVisitor& v) {
    LossWeights::fields(v);
    v("late_drop", late_drop, "as that of [student] and [transfer], whose place it takes");
  }
};
/// Throws naming the key ("methods.NAME.temperature") for what no training can follow.
void check(const LossWeights& weights, const std::string& method);
/// The same for the weight of a term of the method's own.
void check_weight(double weight, const std::string& method, const std::string& key = "weight");

/// A student and its teacher on a probe batch of two images, before any training: both in eval
/// mode, without gradients.
struct Pair {
  nn::Network& student_network;
  nn::Network& teacher_network;
  const nn::Features& student;
  const nn::Features& teacher;
  const data::Dataset& train;  ///< what the student will train on
  Stream init;                 ///< for the weights of auxiliary modules
  int64_t batch = 0;           ///< images per step
  /// Of a finished Preparation of this method. Empty when the pair is only tried, before anything
  /// runs: then no files are read.
  std::function<std::string(const std::string& preparation)> directory_of;
  int64_t epochs = 0;  ///< of the training
  int64_t first_fake =
      std::numeric_limits<int64_t>::max();     ///< rows of `train` from this one on are fakes
  data::Standardisation standardisation = {};  ///< of its images; empty when the pair is only tried
};

/// What a method looks at in one step. The teacher ran on the same augmented images, without
/// gradient and in eval mode unless the method (or teacher_bn) says otherwise. train/extra_loss.h
/// says what the parts of `step` are, and what holds on a device.
struct DistillationStep {
  const nn::Features& student;
  const nn::Features& teacher;
  const train::Step& step;
  nn::Network& teacher_network;
  Variable teacher_images = {};  ///< on the teacher's tape, where input_gradients() asks for it
};

/// A stage that must have run before a student of this method trains (FT's paraphraser, TAKD's
/// assistant).
struct PreparationContext {
  nn::Network& student;     ///< with the weights that its training will begin with
  nn::Network& teacher;     ///< frozen, in eval mode
  const data::Split& data;  ///< real images; of a student's own preparation, what it will train on
  const data::Standardisation& standardisation;
  const train::Criterion& criterion;
  Stream stream;
  nn::Monitor& monitor;
  std::string directory;                   ///< of the stage
  std::string student_name, teacher_name;  ///< of the pair, in the model registry
  nn::ModelOptions options;                ///< of both networks
  const train::Settings& training;         ///< the student's
  std::function<std::string(const std::string& preparation)>
      directory_of;  ///< of one before this one
};
struct Preparation {
  std::string name;  ///< "paraphraser": the stage is METHOD_paraphraser
  std::string title;
  std::function<void(PreparationContext&)> run;
  /// Whether it trains the student: then a second phase, which begins with other weights, has a
  /// preparation of its own instead of sharing that of the first.
  bool of_student = false;
};

class Method {
 public:
  virtual ~Method() = default;
  virtual LossWeights weights() const = 0;
  /// Whether the middle taps are wanted before their closing activation
  /// (nn::Network::forward_features).
  virtual bool preact() const { return false; }
  /// The same for the teacher.
  virtual bool teacher_preact() const { return preact(); }
  /// Whether it needs derivatives with respect to the images: then step.images and step.calls are
  /// there, and the teacher's output has a tape from teacher_images.
  virtual bool input_gradients() const { return false; }
  /// Whether the teacher normalises by the statistics of the batch (and moves its running ones).
  virtual bool teacher_in_train_mode() const { return false; }
  /// What is made of every image (train/extra_loss.h); both networks see all views.
  virtual data::Views views() const { return {}; }
  /// Whether incomplete batches are left out.
  virtual bool drop_last() const { return false; }
  /// What the official scripts of the method have otherwise than [student] or, in a second phase,
  /// [transfer].
  virtual void adjust(train::Settings& /*training*/, bool /*second_phase*/) const {}
  /// Whether a second phase begins with this method's student of the first one, auxiliary modules
  /// included, instead of with the one that nobody taught.
  virtual bool continues_own_student() const { return false; }
  /// Stages before the student's, in order; each sees the files of those before it.
  virtual std::vector<Preparation> preparations() const { return {}; }
  /// Another teacher than the pair's, from the files of a preparation; null: the pair's.
  virtual std::unique_ptr<nn::Network> other_teacher(
      const std::function<std::string(const std::string& preparation)>& /*directory_of*/,
      Device /*device*/) {
    return nullptr;
  }
  /// Refuses pairs by their names in the model registry, as check() below.
  virtual void check_names(const std::string& /*teacher*/, const std::string& /*student*/) {}
  /// Refuses unsupported pairs with the reason (throws Error), before any work.
  virtual void check(const Pair& /*pair*/) {}
  /// Called once before training, after check(): builds and initialises auxiliary modules; may
  /// refuse as check() does. Before a run pairs are tried on a probe: then no file of a preparation
  /// is there, and directory_of is empty.
  virtual void prepare(const Pair& /*pair*/) {}
  /// Trained with the student's optimiser and kept in its checkpoints; null when there are none.
  /// Valid after prepare().
  virtual nn::Module* auxiliary() { return nullptr; }
  /// Whether it teaches without a term of the loss: by a stage before, or by what it does between
  /// steps.
  virtual bool teaches_without_term() const { return !preparations().empty(); }
  /// The method's own term with its weight; undefined when the soft targets are all.
  virtual Variable loss(const DistillationStep& /*step*/) { return {}; }
  /// After the optimiser's update, as part of the step: the place to write a memory.
  virtual void after_step(const DistillationStep& /*step*/) {}
  /// As of train::ExtraLoss, for a method whose student's own head says nothing.
  virtual Tensor prediction(const DistillationStep& /*step*/) { return {}; }
  /// As of train::ExtraLoss.
  virtual void finish(nn::Network& /*student*/) {}
  /// As of train::ExtraLoss; of a class that kd/checkpoint.h can save.
  virtual nn::Network& deployed(nn::Network& student) { return student; }
};

/// What a method compares; docs/methods/ has a page for each family. Those on logits see nothing
/// else of the teacher.
enum class Family { logits, features, relations, self_supervision, gradients };
/// "logits", "features", "relations", "self-supervision", "gradients".
const char* name_of(Family family);

struct MethodEntry {
  std::string name;   ///< "fitnet"
  std::string title;  ///< "FitNet", as tables print it
  Family family;
  std::string summary;   ///< with the source
  AnySettings settings;  ///< the defaults
  std::function<std::unique_ptr<Method>(const AnySettings&)> build;
};
void register_method(MethodEntry entry);
/// Registers a class with a nested `Settings` and a constructor from it.
template <class M>
struct RegisterMethod {
  RegisterMethod(std::string name, std::string title, Family family, std::string summary) {
    register_method(
        {std::move(name), std::move(title), family, std::move(summary), typename M::Settings{},
         [](const AnySettings& s) { return std::make_unique<M>(s.as<typename M::Settings>()); }});
  }
};
/// Sorted by name.
const std::vector<MethodEntry>& all_methods();
/// Throws naming `where` with the nearest name when unknown.
const MethodEntry& find_method(const std::string& name, std::string_view where);
/// [methods] with the defaults of all that are registered, those of kd/data_free/ too.
NamedSettings default_method_settings();
/// Throws as find_method, and for settings that the method refuses.
std::unique_ptr<Method> create_method(const std::string& name, const NamedSettings& settings);

}  // namespace limbeck::kd
