// Sums of terms over groups of elements, for reductions and for the gradients of repeated operands.
//   y[j] = (sum over members r of term(element(j, r))) / divisor
// y [groups] is overwritten. Up to 32 members: one thread per group. More: one block per group, whose threads take every blockDim-th member
// and add their sums in a fixed tree. Deterministic, no atomics. Shared memory: 32 partial sums. Each term is read once.
#pragma once
#include "ops_cuda/index.h"

namespace limbeck::cuda {

template <class T, class Term>
__global__ void sum_by_threads(Groups groups, Term term, T* y, T divisor) {
  const int64_t j = global_index();
  if (j >= groups.count) return;
  T sum = 0;
  for (int64_t r = 0; r < groups.members; ++r) sum += term(groups.element(j, r));
  y[j] = sum / divisor;
}

template <class T, class Term>
__global__ void sum_by_blocks(Groups groups, Term term, T* y, T divisor) {
  const int64_t j = blockIdx.x;
  T sum = 0;
  for (int64_t r = threadIdx.x; r < groups.members; r += blockDim.x) sum += term(groups.element(j, r));
  sum = block_sum(sum);
  if (threadIdx.x == 0) y[j] = sum / divisor;
}

/// Threads of a block that works on one group.
inline unsigned threads_for(int64_t members) { return members <= 128 ? 32 : members <= 4096 ? 128 : 512; }

/// Term: a struct with `__device__ T operator()(int64_t element) const`.
template <class T, class Term>
void sum_groups(const Groups& groups, const Term& term, const Tensor& y, double divisor = 1) {
  if (groups.count == 0) return;
  if (groups.members <= 32)
    LAUNCH((sum_by_threads<T, Term>), blocks_for(groups.count), 256, 0, stream_of(y))(groups, term, y.data<T>(), T(divisor));
  else
    LAUNCH((sum_by_blocks<T, Term>), dim3(static_cast<unsigned>(groups.count)), threads_for(groups.members), 0, stream_of(y))(
        groups, term, y.data<T>(), T(divisor));
}

}  // namespace limbeck::cuda
