// Parity fixtures: tensors filled from their names, and summaries {n, sum, l2, first} in PyTorch's layout.
#pragma once
#include <nlohmann/json.hpp>
#include <string>

#include "nn/module.h"

namespace limbeck::test {

using Json = nlohmann::json;

/// tests/data/fixtures/NAME, read from the working directory (the repository root).
Json read_fixture(const std::string& name);

/// Inputs: s of the fill rule times `scale`, in PyTorch's layout ([N,C,H,W] for images).
Tensor filled_input(const std::string& name, const Shape& shape, double scale = 1);
/// Every parameter and buffer of a module, by the fixtures' rule for state keys. Keeps the module's type.
void fill_state(nn::Module& module);

/// Fails the running test where the summary differs: l2 by `tolerance` relative, sum and first elements by 100 x `tolerance` of the scale.
/// Values below `zero` count as zero. `pytorch_layout` is the tensor as PyTorch would hold it.
void expect_summary(const Tensor& pytorch_layout, const Json& expected, const std::string& what, double tolerance, double zero = 1e-11);

}  // namespace limbeck::test
