// Runs streams as late as CUDA allows (ops_cuda/sim/late.h), to show a missing wait. Only through
// the shim: a GPU has its own order.
#pragma once
#include "ops_cuda/runtime.h"

#if defined(LIMBECK_SIM)
#include "ops_cuda/sim/late.h"

namespace limbeck {

enum class Late { copies, compute, both };

/// Runs f with the compute stream of cuda:0, all others, or both as late as possible.
template <class F>
void late(Late which, F&& f) {
  const cudaStream_t compute = cuda::stream(0);
  const sim::RunLate now([=](cudaStream_t s) {
    return which == Late::both || (s == compute) == (which == Late::compute);
  });
  f();
}

}  // namespace limbeck
#endif
