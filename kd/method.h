// Method: a knowledge-distillation term. A method is one class in one file that registers itself; the training loop never names one.
//   loss of a step = hard_weight() * criterion(student, labels) + loss(student, teacher)
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "nn/models/registry.h"
#include "tensor/fields.h"

namespace limbeck::kd {

/// [distillation] of a configuration. Every method reads what it needs.
struct MethodSettings {
  std::string name = "blkd";
  std::string form = "official";       ///< official: as the published numbers were made; paper: as the paper's equation says
  double hard_weight = 0.1;            ///< gamma: weight of the criterion on the labels
  double soft_weight = 0.9;            ///< alpha: weight of the soft targets
  double temperature = 4;
  void fields(FieldVisitor& v) {
    v("name", name, "distillation method");
    v("form", form, "official | paper");
    v("hard_weight", hard_weight, "weight of the labels' loss");
    v("soft_weight", soft_weight, "weight of the teacher's soft targets");
    v("temperature", temperature, "softening of the logits");
  }
};

/// What a method looks at in one step. The teacher ran in eval mode without gradient on the same augmented images. On a device, a
/// step is recorded once and replayed: tensors are then those of the running step, but numbers on the host (batch.index) are those of the recording.
struct DistillationStep {
  const nn::Features& student;
  const nn::Features& teacher;
  const data::Batch& batch;
};

class Method {
 public:
  virtual ~Method() = default;
  virtual std::string name() const = 0;
  /// Whether the middle taps are wanted before their closing activation (nn::Network::forward_features).
  virtual bool preact() const { return false; }
  /// Called once before training with the features of a probe batch of both networks: refuses unsupported pairs with the reason
  /// (throws Error) and builds and initialises the auxiliary modules.
  virtual void prepare(const nn::Features& student, const nn::Features& teacher, const Stream& init);
  /// Trainable modules that share the student's optimiser; null when there are none. Valid after prepare().
  virtual nn::Module* auxiliary() { return nullptr; }
  virtual double hard_weight() const = 0;
  virtual Variable loss(const DistillationStep& step) = 0;
};

struct MethodEntry {
  std::string name;
  std::string summary;
  std::function<std::unique_ptr<Method>(const MethodSettings&)> build;
};
struct RegisterMethod {
  explicit RegisterMethod(MethodEntry entry);
};
/// Sorted by name.
const std::vector<MethodEntry>& all_methods();
/// Throws with the nearest name when unknown.
std::unique_ptr<Method> create_method(const MethodSettings& settings);

}  // namespace limbeck::kd
