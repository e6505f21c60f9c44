// The feature network of cDRE-F-cSP: a ResNet-34 whose middle linear layer has the dimension of the
// image (Ding, Wang, Xu, Welch, "Subsampling generative adversarial networks: density ratio
// estimation in feature space", 2020).
#pragma once
#include "nn/layers.h"
#include "nn/models/registry.h"
#include "tensor/fields.h"

namespace limbeck::gan {

/// Size of the network; the defaults are the original's. Smaller ones are for CPU runs.
struct FeatureNetSize {
  int64_t width = 64;  ///< of the first stage; the others have 2, 4, 8 times as much
  std::vector<int64_t> blocks = {3, 4, 6, 3};  ///< residual blocks per stage; 1 to 4 stages
  int64_t feature = 0;                      ///< dimension of the feature; 0: channels * size * size
  std::vector<int64_t> head = {1024, 256};  ///< hidden layers behind the feature
  double dropout = 0.5;
  void fields(FieldVisitor& v) {
    v("width", width, "channels of the first stage");
    v("blocks", blocks, "residual blocks of each stage");
    v("feature", feature, "dimension of the feature, 0: that of the image");
    v("head", head, "hidden layers between feature and logits");
    v("dropout", dropout, "dropout rate of the head");
  }
};

/// Throws naming the key of [features.net].
void check(const FeatureNetSize& size);

/// main: conv, BN, ReLU, stages, (max-pool behind the first two stages at 128 pixels and more),
/// average pool; classifier_1: linear layer, its raw output is the feature; classifier_2: BN, ReLU,
/// dropout, linear, ... to the logits. Keys main.*, classifier_1.0.*, classifier_2.* are those of
/// the original. Taps: pooled [N, 8 width], feature [N, feature], which is also what the head takes
/// (Features::pooled).
class FeatureNet : public nn::Network {
 public:
  FeatureNet(const nn::ModelOptions& options, const FeatureNetSize& size);
  ~FeatureNet() override;
  nn::Features forward_features(const Variable& x, bool preact = false) override;
  /// The feature alone: skips the head.
  Variable feature(const Variable& x);
  int64_t feature_size() const { return feature_size_; }

 private:
  class Main;
  class Head;
  int64_t feature_size_;
  std::unique_ptr<Main> main_;
  nn::Sequential classifier_1_;
  std::unique_ptr<Head> classifier_2_;
};

}  // namespace limbeck::gan
