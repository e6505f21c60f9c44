// The registry of networks: built by name and options. A network file registers its names with
// RegisterModel; no list to edit.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "nn/module.h"

namespace limbeck::nn {

/// A classifier ends with one linear layer to its logits. A regressor predicts responses normalised
/// to [0, 1]: it has a head of three linear layers whose last activation is a ReLU, and the stem,
/// strides and keys of the original's 64x64 networks.
enum class Task { classification, regression };
/// "classification", "regression"; throws on other names.
Task parse_task(const std::string& name);
const char* name_of(Task task);

struct ModelOptions {
  int64_t outputs = 10;  ///< classes, or 1 for a scalar response
  int64_t channels = 3;  ///< of the input image
  int64_t size =
      /// input height = width; chooses a classifier's stem (32: CIFAR, 128: ImageNet-100).
      /// Regressors: 64
      32;
  Task task = Task::classification;
};

/// What forward_features returns: the taps, which are RepDistiller's feature lists (image maps are
/// [N,H,W,C]; some families have none), the raw output, and the pooled features.
struct Features {
  std::vector<Variable> taps;
  Variable output;  ///< logits [N, classes], or the response [N, 1]
  Variable
      /// [N, C], what the head takes; every network has it. The last tap where there are taps
      pooled;
  /// What the last linear layer takes, where the head has several (VGG for large images)
  Variable penultimate = {};
  /// That, or `pooled` where it is the same.
  const Variable& last_input() const { return penultimate.defined() ? penultimate : pooled; }
};

/// A network of the paper: images to outputs, with feature taps for the distillation methods.
class Network : public Module {
 public:
  Variable forward(const Variable& x) override { return forward_features(x).output; }
  /// preact: the middle taps before their closing activation.
  virtual Features forward_features(const Variable& x, bool preact = false) = 0;
};

struct ModelEntry {
  std::string name;    ///< "resnet20"
  std::string family;  ///< "resnet"
  std::function<std::unique_ptr<Network>(const ModelOptions&)> build;
  bool regression_only = false;  ///< exists only as a regressor
  bool classification_only = false;
  int64_t smallest_image =
      8;  ///< side of the smallest image that leaves a pixel behind every stride
  bool serves(Task task) const {
    return task == Task::regression ? !classification_only : !regression_only;
  }
};
struct RegisterModel {
  /// Throws when the name is taken.
  explicit RegisterModel(ModelEntry entry);
};
/// Sorted by family, then as registered.
const std::vector<ModelEntry>& all_models();
/// Builds a network with zero parameters (call initialise or load_state_dict). Throws with the
/// nearest name when unknown.
std::unique_ptr<Network> create_model(const std::string& name, const ModelOptions& options);

}  // namespace limbeck::nn
