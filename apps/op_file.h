// One operator on tensors from a file: what `limbeck op` does, without the files.
#pragma once
#include <string>

#include "ops/op.h"
#include "tensor/safetensors.h"

namespace limbeck {

struct OpFileOptions {
  bool gradients = false;
  std::string kernel;            ///< only this implementation; empty: the best one
  std::string source = "input";  ///< names the file in errors
};

/// Reads the operator's inputs by name ("xs.0", "xs.1", ... where an input repeats) and its
/// attributes from the metadata "attrs", in PyTorch's layouts: for operators on images tensors of
/// three to five dimensions are [N, C, L], [N, C, H, W], [out, in, kh, kw] or [N, C, D, H, W], and
/// v of the spectral norms counts in the order in, kh, kw. Returns the outputs by name, in the same
/// layouts; errors write shapes in them too. With gradients: cotangents are read as "grad_<output>"
/// or, when absent, drawn uniformly from [-1, 1) with a fixed seed; they are returned under that
/// name, the gradients as "grad_<input>".
TensorFile run_op_file(const std::string& op, const TensorFile& in, const OpFileOptions& options);

}  // namespace limbeck
