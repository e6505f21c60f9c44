// The label embedding of CcGAN's improved label input (Ding, Wang, Xu, Welch, Wang: "Continuous
// conditional generative adversarial networks", 2023; cGAN-KD
// SteeringAngle/models/ResNet_embed.py). An embedding network learns image -> h -> response; then
// the label-to-embedding net learns to map a response to an h from which the same h -> response
// gives it back. Afterwards only that is used.
#pragma once
#include "nn/layers.h"
#include "nn/models/registry.h"

namespace limbeck::nn {

/// Image to response through the embedding h [N, 128], its last tap. Registered as ResNet18_embed,
/// ResNet34_embed, ResNet50_embed.
class EmbeddingNetwork : public Network {
 public:
  /// h -> response [N, outputs] >= 0.
  virtual Variable response(const Variable& embedding) = 0;
};
/// create_model for the networks above; throws when `name` is another network.
std::unique_ptr<EmbeddingNetwork> create_embedding_network(const std::string& name,
                                                           const ModelOptions& options);

/// Responses [N] or [N, 1], normalised to [0, 1], to embeddings [N, dim] >= 0: four times linear,
/// GroupNorm(8), ReLU, then linear, ReLU. The original's model_y2h: adds 1e-8 to the response; keys
/// main.0, 1, 3, 4, 6, 7, 9, 10, 12.
class LabelToEmbedding : public Module {
 public:
  /// Throws unless dim is a multiple of 8.
  explicit LabelToEmbedding(int64_t dim = 128);
  Variable forward(const Variable& responses) override;
  int64_t dim() const { return dim_; }

 private:
  const int64_t dim_;
  Sequential main_;
};

}  // namespace limbeck::nn
