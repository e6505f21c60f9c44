// How a thread computes: every setting on which the numbers of operators and networks may depend,
// in one place. They belong to the thread, so trainers with different settings live in one program:
// one after the other, by turns, or in threads of their own.
//   Execution mine = execution();
//   mine.products = Precision::tf32;
//   const ExecutionScope scope(mine);                                          // several settings
//   const ExecutionScope named(with(&Execution::kernel, "reference"));         // one of them
//
// Threads: a new thread begins with the defaults, not with its parent's settings. One that runs
// operators for another is handed a copy:
//   std::thread([mine = execution()] { const ExecutionScope scope(mine); ... });
// The helpers of a parallel region inherit what they need (ops_cpu/parallel.h). The threads of
// data::Loader run no operator: their batches come from bytes, draws and copies alone.
// A recorded step (nn/step_graph.h) keeps the settings that it was recorded with.
//
// Not here, because no result depends on it: what was measured (ops/profile.h, the choices of
// ops/tuner.h), caches (allocators, scratch memory), and who listens (nn/trace.h).
#pragma once
#include <optional>
#include <string>
#include <type_traits>

#include "ops/isa.h"
#include "tensor/dtype.h"

namespace limbeck {

/// In which format a device multiplies matrices and convolves. Sums, statistics, losses and weights
/// stay f32; with bf16, programs store activations in bf16 too (autograd/autocast.h).
enum class Precision { f32, tf32, bf16 };
const char* name_of(Precision precision);
/// "f32", "tf32", "bf16"; throws on other names.
Precision parse_precision(const std::string& name);

/// Which of a device's kernels serve calls (ops/op.h). `--kernels own|tuned` of the programs.
enum class KernelPolicy {
  rule,  ///< the kernel of the highest priority; vendors' libraries only where a caller names them
  own,   ///< the same, and vendors' libraries are not even opened
  /// the fastest for each shape, vendors' libraries among them: measured at the first call, so the
  /// choice may differ between runs (ops/tuner.h)
  tuned,
};

/// Overrides of the rules by which the device cuda cuts matrix products and convolutions
/// (ops_cuda/implicit_gemm.h): for tests and the autotuner.
struct ProductCuts {
  /// 0: by the rule; otherwise rows * 1000 + columns: 64064, 128128, 128032, 128016. Stored
  /// matrices take 128032 for 128016.
  int tile = 0;
  /// Into how many parts sums are split, 0: by the rule; fewer where a sum is too short.
  int parts = 0;
  /// bf16 convolutions: 1: weights are rounded to bf16 by a launch before, 0: on their way to
  /// registers, -1: by the rule.
  int round_weights = -1;
};

struct Execution {
  /// How a device other than the CPU multiplies matrices and convolves (ops_cuda/precision.h).
  Precision products = Precision::f32;
  /// In which type activations are stored between operators: f32 or bf16 (autograd/autocast.h).
  DType activations = DType::f32;
  /// Whether the tape records (NoGrad of autograd/variable.h).
  bool gradients = true;
  KernelPolicy kernels = KernelPolicy::rule;
  /// Only kernels of this name run ("reference" for the definition); empty: any.
  std::string kernel;
  ProductCuts cuts;
  /// Instruction set of the CPU's kernels; none: as environment and processor say
  /// (ops_cpu/isa.h).
  std::optional<Isa> isa;
};

/// The settings of this thread.
const Execution& execution();

/// Replaces them until the innermost scope ends (for the program's options; elsewhere take a
/// scope). Throws Error when activations are neither f32 nor bf16.
void set_execution(Execution settings);

/// The settings of this thread with one changed.
template <class T>
Execution with(T Execution::*setting, std::type_identity_t<T> value) {
  Execution e = execution();
  e.*setting = std::move(value);
  return e;
}

/// Puts the thread's settings back when it ends, all of them. Scopes end in reverse order.
class ExecutionScope {
 public:
  ExecutionScope() : outer_(execution()) {}
  explicit ExecutionScope(Execution settings) : outer_(execution()) {
    set_execution(std::move(settings));
  }
  ~ExecutionScope();
  ExecutionScope(const ExecutionScope&) = delete;
  ExecutionScope& operator=(const ExecutionScope&) = delete;

 private:
  Execution outer_;
};

}  // namespace limbeck
