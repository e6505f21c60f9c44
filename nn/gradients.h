// What is done to gradients between backward and the optimiser's step.
#pragma once
#include "nn/module.h"

namespace limbeck::nn {

/// Scales the gradients of all parameters together down to this norm where theirs is larger
/// (PyTorch's clip_grad_norm_: by max_norm / (norm + 1e-6)). Stays on the device, so that it can
/// stand in a recorded step. Throws unless max_norm is positive.
void clip_gradients(const std::vector<Parameter>& parameters, double max_norm);

}  // namespace limbeck::nn
