// What tells that a GAN's training goes well or has broken.
#pragma once
#include <string>

#include "nn/module.h"
#include "nn/monitor.h"

namespace limbeck::gan {

/// The first non-finite parameter, gradient or buffer, "D.blocks.0.conv1.weight", or "".
std::string first_broken(const char* network, const nn::Module& m);
/// Euclidean norm over all parameters that have a gradient.
double gradient_norm(const nn::Module& m);
/// The share of scores with this sign.
/// Of any shape.
double fraction_with_sign(const Tensor& scores, double sign);
/// Appends sv0 of every spectrally normalised layer of BigGAN's and their extremes: a rising
/// maximum in D or a falling minimum in G announces collapse. Nothing where a network has no such
/// layer.
void add_singular_values(nn::Values& values, const char* network, const nn::Module& m);

}  // namespace limbeck::gan
