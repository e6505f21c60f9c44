// The registry of networks: built by name and options. A network file registers its names with RegisterModel; no list to edit.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "nn/module.h"

namespace limbeck::nn {

struct ModelOptions {
  int64_t outputs = 10;      ///< classes, or 1 for a scalar response
  int64_t channels = 3;      ///< of the input image
  int64_t size = 32;         ///< input height = width; chooses the stem (32: CIFAR, 128: ImageNet-100, 64: regression)
};

/// What forward_features returns: the taps of spec 1.4 (image maps are [N,H,W,C]; the last one is pooled [N,C]) and the raw output.
struct Features {
  std::vector<Variable> taps;
  Variable output;           ///< logits [N, classes], or the response [N, 1]
};

/// A network of the paper: images to outputs, with feature taps for the distillation methods.
class Network : public Module {
 public:
  Variable forward(const Variable& x) override { return forward_features(x).output; }
  /// preact: the middle taps before their closing activation.
  virtual Features forward_features(const Variable& x, bool preact = false) = 0;
};

struct ModelEntry {
  std::string name;          ///< "resnet20"
  std::string family;        ///< "resnet"
  std::function<std::unique_ptr<Network>(const ModelOptions&)> build;
};
struct RegisterModel {
  explicit RegisterModel(ModelEntry entry);
};
/// Sorted by family, then as registered.
const std::vector<ModelEntry>& all_models();
/// Builds a network with zero parameters (call initialise or load_state_dict). Throws with the nearest name when unknown.
std::unique_ptr<Network> create_model(const std::string& name, const ModelOptions& options);

}  // namespace limbeck::nn
