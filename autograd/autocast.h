// Activations in bf16 (Micikevicius et al., "Mixed precision training", 2018, with bfloat16 and
// therefore without loss scaling).
//   - conv2d and conv_transpose2d take an f32 input as bf16 while Execution::activations
//     (ops/execution.h) is bf16, and so everything behind them is bf16 too;
//   - an operator on bf16 data runs in bf16 where its device has a kernel for that; parameters and
//     statistics are f32;
//   - any other operator gets its bf16 inputs as f32: losses, softmax, and whatever mixes bf16
//     with f32 data;
//   - linear() takes f32: it is the head of a network, little work, and its scores need more than
//     eight bits.
// Parameters, their gradients, losses and all sums stay f32; f64 is left alone.
#pragma once
#include <optional>

#include "autograd/variable.h"

namespace limbeck {

/// The same numbers, rounded, in another floating type; the gradient comes back in x's type.
/// Of any shape. Throws for types that are not floating.
Variable cast(const Variable& x, DType type);
/// f32 becomes Execution::activations, other types stay: for what enters a network's convolutional
/// part in front of its first convolution.
/// Of any shape.
Variable as_activation(const Variable& x);
/// bf16 becomes f32, other types stay: for what leaves a network.
/// Of any shape.
Variable from_activation(const Variable& x);

/// The inputs as `op` can take them when some are bf16; nothing when they are fine as they are.
/// apply() calls it.
/// Of any shapes.
std::optional<Variables> with_agreed_types(const Op& op, const Variables& inputs);

}  // namespace limbeck
