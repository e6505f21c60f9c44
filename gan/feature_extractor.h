// What the density ratio sees of an image: the frozen features of a FeatureNet (classes) or of the
// encoder of a sparse autoencoder (responses).
#pragma once
#include "gan/feature_net.h"
#include "gan/sparse_autoencoder.h"

namespace limbeck::gan {

/// Refers to a network that outlives it.
class FeatureExtractor {
 public:
  FeatureExtractor(FeatureNet& net)
      : net_(&net),
        size_(net.feature_size()),
        feature_([&net](const Variable& x) { return net.feature(x); }) {}
  FeatureExtractor(SparseEncoder& net)
      : net_(&net),
        size_(net.feature_size()),
        feature_([&net](const Variable& x) { return net(x); }) {}

  /// Images [N, H, W, C] in [-1, 1], on device() -> [N, size()].
  Variable operator()(const Variable& images) const { return feature_(images); }
  void eval() const { net_->eval(); }
  Device device() const { return net_->device(); }
  int64_t size() const { return size_; }

 private:
  nn::Module* net_;
  int64_t size_;
  std::function<Variable(const Variable&)> feature_;
};

}  // namespace limbeck::gan
