// Training of the label-to-embedding net of CcGAN's improved label input
// (nn/models/label_embedding.h): y -> h so that the embedding network's own h -> y gives y back.
#pragma once
#include "data/dataset.h"
#include "gan/epoch_loop.h"
#include "nn/models/label_embedding.h"

namespace limbeck::gan {

/// [label_embedding] of a configuration; the defaults are the original's.
struct LabelEmbeddingSettings : EpochSettings {
  double noise = 0.2;
  LabelEmbeddingSettings() { epochs = 500, milestones = {150, 250, 350}; }
  void fields(FieldVisitor& v) {
    v("noise", noise, "deviation of the noise on responses (normalised to [0, 1], clipped there)");
    EpochSettings::fields(v);
  }
};

/// Throws naming the key.
void check(const LabelEmbeddingSettings& settings);

struct LabelEmbeddingTask {
  nn::LabelToEmbedding& net;         ///< initialised by the caller
  nn::EmbeddingNetwork& embedding;   ///< trained; frozen here, on the same device
  std::span<const float> responses;  ///< of the training images, normalised to [0, 1]
  Stream stream;
  nn::Monitor& monitor;
};

/// MSE(response(net(y')), y'), y' = clamp(y + N(0, noise^2), 0, 1), y over the distinct responses
/// in a new order every epoch. Values of the last epoch: loss. Resumable.
/// Throws when there are no responses.
nn::Values train_label_embedding(const LabelEmbeddingTask& task,
                                 const LabelEmbeddingSettings& settings);

}  // namespace limbeck::gan
