// Conditioning on a response, as CcGAN and cGAN-KD for regression: real images from the vicinity of
// a target (gan/vicinity.h), and the response enters the networks as an embedding.
#pragma once
#include <memory>

#include "gan/conditioning.h"
#include "gan/settings.h"

namespace limbeck::gan {

/// How a response enters the networks: h(y) [N, size], f32, on the device of y. It must be fit for
/// a recorded step.
struct EmbeddedResponses {
  ResponseEmbedding embed;
  int64_t size = 0;
};
/// The naive label input: y [N, 1] itself.
EmbeddedResponses responses_as_they_are();

/// Of [gan]: batch, flip, loader_threads, vicinity, negatives. The dataset's targets are normalised
/// to [0, 1], else Error; its tensors are shared.
std::unique_ptr<Conditioning> condition_on_responses(const data::Dataset& data,
                                                     const GanSettings& settings,
                                                     EmbeddedResponses embedding,
                                                     Device device = cpu);

}  // namespace limbeck::gan
