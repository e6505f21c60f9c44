// The sizes of a BigGAN whose weights stand in a file of another program, which says nothing but
// keys and shapes (BigGAN-PyTorch's G.pth, G_ema.pth, D.pth; cGAN-KD's generators).
#pragma once
#include <string>

#include "gan/network.h"
#include "tensor/safetensors.h"

namespace limbeck::gan {

/// Whether the weights are a discriminator's: only it scores with an embedding.
bool is_discriminator(const TensorFile& weights);

/// The configuration of a generator or a discriminator of family `arch` (biggan, biggan-deep).
/// Epsilons are not in the weights and keep their defaults, those of BigGAN-PyTorch's scripts.
/// Throws naming `what` and the missing key, or the shape that no resolution has.
NetworkConfig biggan_config_of(const TensorFile& weights, const std::string& arch,
                               const std::string& what);

}  // namespace limbeck::gan
