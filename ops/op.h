// The operator table. Each primitive operator is one Op record that registers itself from a static
// object; its kernels register per device. Dispatch, autograd, `limbeck ops`, the gradient checks
// and the device comparisons all iterate this table.
#pragma once
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "ops/attrs.h"
#include "tensor/tensor.h"

namespace limbeck {

using Tensors = std::vector<Tensor>;

/// One forward call. `in` holds undefined tensors for optional inputs that were not given; `out` is
/// allocated as `infer` said. Kernels write every element of `out` (they never accumulate).
struct ForwardCall {
  const Tensors& in;
  const Tensors& out;
  const Attrs& attrs;
};

/// One backward call. `in`/`out` hold only what the operator saves (others are undefined);
/// `dout[j]` is defined for each differentiable output; `din[i]` is allocated with the shape of
/// input i where a gradient is wanted, undefined elsewhere. Kernels write every element of the
/// defined `din` (they never accumulate; the tape adds).
struct BackwardCall {
  const Tensors& in;
  const Tensors& out;
  const Tensors& dout;
  const Tensors& din;
  const Attrs& attrs;
};

using ForwardFn = void (*)(const ForwardCall&);
using BackwardFn = void (*)(const BackwardCall&);

struct TensorSpec {
  Shape shape;
  DType dtype;
};

struct OpInput {
  std::string name;
  bool differentiable = true;
  bool optional = false;
  bool parameter =
      false;  ///< stays f32 where the others are bf16: weights, gains, given statistics
  bool weighted =
      /// summed with weights that a bf16 kernel may round to bf16 on their way to the tensor cores
      /// (attention's v)
      false;
};

struct OpOutput {
  std::string name;
  bool differentiable = true;  ///< false for indices, statistics and other auxiliaries
};

/// How a test fills one input of a case. Floating inputs: uniform in [low, high). Integers: uniform
/// in [low, high).
struct CaseInput {
  Shape shape;
  double low = -1, high = 1;
  DType dtype = DType::f32;        ///< f32 stands for "the floating type under test"
  bool given = true;               ///< false: this optional input is left out
  std::vector<double> first = {};  ///< the first elements; the others are drawn
};

struct OpCase {
  std::vector<CaseInput> inputs;
  Attrs attrs;
  bool grad =
      /// false for cases too big for central differences (the forward/backward comparison still
      /// runs)
      true;
  /// The inputs are what they are: no kernel is excused by how far the result moves with them.
  bool exact = false;
  /// Every element of the cotangents; NaN: drawn from [-1, 1).
  double cotangent = std::numeric_limits<double>::quiet_NaN();
};

/// The contract of a primitive operator with its reference implementation (any floating type,
/// straightforward loops: the definition).
struct Op {
  std::string name;
  std::string formula;  ///< forward; backward, one line each
  std::string source;   ///< paper and equation, or "elementary"
  std::vector<OpInput> inputs;
  bool variadic = false;  ///< the last input repeats any number of times (concat)
  std::vector<OpOutput> outputs;
  std::vector<int> saved_inputs;   ///< inputs that backward reads
  std::vector<int> saved_outputs;  ///< outputs that backward reads
  std::vector<int>
      /// inputs changed in place (optimiser steps, running statistics): neither differentiable nor
      /// saved
      mutated_inputs;
  /// Checks shapes, types and attributes (throws Error naming the operator, the argument, expected
  /// and found) and says the outputs.
  std::vector<TensorSpec> (*infer)(const Tensors& in, const Attrs& attrs) = nullptr;
  ForwardFn forward = nullptr;  ///< reference
  BackwardFn backward =
      nullptr;  ///< reference; null only for operators without differentiable inputs
  std::vector<OpCase> cases;
  std::vector<double> kinks;     ///< input values that gradient checks keep away from (ReLU: 0)
  bool distinct_values = false;  ///< gradient checks need distinct input values (max)
  /// Whether the gradient of input i is the (only) output's gradient as it is, so that the tape may
  /// hand it on without a kernel; null: never.
  bool (*passes_gradient)(const std::vector<TensorSpec>& in, const TensorSpec& out, size_t i,
                          const Attrs& attrs) = nullptr;
  double (*flops)(const Tensors& in,
                  const Attrs& attrs) = nullptr;  ///< of one forward; null: one per output element
  bool images =
      /// tensors of three to five dimensions are images or convolution weights: `limbeck op` reads
      /// them channels-first
      false;
  std::vector<OpCase>
      /// sizes of real networks for `limbeck ops bench`; when empty, the largest of `cases`
      bench_cases;
  std::vector<OpCase> device_bench_cases;  ///< more of them, as large as a GPU needs to be busy
};

/// A device implementation. Several per operator and device may coexist; the one with the highest
/// priority whose `supports` says yes runs, or another one that ops/tuner.h measured to be faster.
struct Kernel {
  std::string op;
  DeviceKind device = DeviceKind::cpu;
  std::string name;          ///< "reference", "cpu", "cuda-naive", "cuda", "cudnn"
  DType dtype = DType::f32;  ///< floating type that it serves
  ForwardFn forward = nullptr;
  BackwardFn backward = nullptr;  ///< null: the reference's backward is used
  int priority =
      1;  ///< negative: never by itself, only when it is named (Execution::kernel) or measured
  bool (*supports)(const Tensors& in,
                   const Attrs& attrs) = nullptr;  ///< null: everything that `infer` accepts
  std::string (*missing)() =
      /// why it cannot run in this process (a library that is not there), or empty; null: never
      nullptr;
  std::string (*library)() =
      /// the vendor's library that does the work, with version and file; null: ours. Not while
      /// missing
      nullptr;
  const char* source =
      /// the file that registered it, as the compiler was given its name; set by RegisterKernel
      "";
};

/// All operators by name; all kernels of one operator. Filled before main() by the registrars
/// below.
const std::vector<const Op*>& all_ops();
/// Throws Error with the nearest name for an unknown one. (A view: with a temporary string,
/// compilers take the result for dangling.)
const Op& find_op(std::string_view name);
std::vector<const Kernel*> kernels_of(const std::string& op);
/// Whether some kernel of `op` is registered for this type and device (references are not).
bool has_kernel(const Op& op, DType dtype, DeviceKind device);

struct RegisterOp {
  /// Throws when the name is taken.
  explicit RegisterOp(Op op);
};
struct RegisterKernel {
  explicit RegisterKernel(Kernel kernel, const char* source = __builtin_FILE());
};

/// Runs an operator: infer, allocate, launch. Returns all outputs, auxiliaries included. Forward
/// and backward run the kernel for the type of the first floating input.
/// Inputs of any shapes that `infer` takes; it throws for others.
Tensors run_forward(const Op& op, const Tensors& in, const Attrs& attrs);
/// Runs its backward. Returns one tensor per input, undefined where `wanted` is false. `in_specs`
/// are the inputs' shapes and types (saved inputs may be gone); undefined `dout` of differentiable
/// outputs count as zero.
/// Throws when it has none.
Tensors run_backward(const Op& op, const Tensors& saved_in, const Tensors& saved_out,
                     const Tensors& dout, const std::vector<TensorSpec>& in_specs,
                     const std::vector<bool>& wanted, const Attrs& attrs);

/// Reference kernels are templates over the element type T: picks T from the first floating tensor.
/// Use: .forward = floating<ForwardCall, [](auto t, const
/// ForwardCall& c) { impl<decltype(t)>(c); }>
template <class Call, auto Body>
void floating(const Call& call) {
  DType dtype = DType::f32;
  for (const Tensors* list : {&call.in, &call.out})
    for (const Tensor& t : *list)
      if (t.defined() && is_floating(t.dtype())) {
        dtype = t.dtype();
        goto found;
      }
  if constexpr (requires { call.dout; })
    for (const Tensor& t : call.dout)
      if (t.defined() && is_floating(t.dtype())) {
        dtype = t.dtype();
        goto found;
      }
found:
  dispatch_floating(dtype, "operator", [&](auto t) { Body(t, call); });
}

}  // namespace limbeck
