// Results of several blocks joined in the launch that made them: the block of a group that arrives
// last goes on. On a GPU a launch costs about two microseconds, more than joining the partial sums
// of a small layer. Which block is last differs from run to run, but it reads what all have written
// and joins it in a fixed order, so the bits do not differ.
//
//   partial[..] = sum;                                                  // each block its own part
//   if (last_of(blocks, counter)) for (b..) total += load_fresh(&partial[b]);   // all threads of
//   the last block
//
// Source: threadFenceReduction in NVIDIA's CUDA samples.
#pragma once
#include "ops_cuda/block_counters.h"
#include "ops_cuda/launch.h"

namespace limbeck::cuda {

/// True in every thread of the last of `blocks` blocks that call it with this counter
/// (block_counters(), one for each group); what the others wrote before is then visible through
/// load_fresh(). The counter is zero again afterwards. All threads of the block (of one dimension)
/// call it.
__device__ inline bool last_of(unsigned blocks, unsigned* counter) {
  SHARED(unsigned, arrived, [1]);
  __threadfence();  // each thread's results before the block's arrival
  __syncthreads();
  if (threadIdx.x == 0) arrived[0] = atomicInc(counter, blocks - 1);
  __syncthreads();
  const bool last = arrived[0] == blocks - 1;
  __threadfence();
  return last;
}

/// Reads past the first-level cache, which does not see other multiprocessors' writes.
template <class T>
__device__ T load_fresh(const T* p) {
  return __ldcg(p);
}

}  // namespace limbeck::cuda
