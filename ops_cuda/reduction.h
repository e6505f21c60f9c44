// Sums of terms over groups of elements, for reductions and for the gradients of repeated operands.
//   y[j] = (sum over members r of term(element(j, r))) / divisor
// y [groups], of T or of the type that it is stored as (bfloat16), is overwritten. Up to 32
// members: one thread per group. More: one block per group, whose threads take every blockDim-th
// member and add their sums in a fixed tree. Deterministic, no atomics. Shared memory: 32 partial
// sums. Each term is read once.
//
// Side by side (tuned): where neighbouring groups lie side by side in memory (channels: the mean
// over an image, the gradient of a factor per channel), a block of one group would use 4 bytes of
// each 32 it fetches. So a block takes several neighbouring groups, with the same number of threads
// for each and the same tree: the same bits. Shared memory: a partial sum a thread. In slices
// (tuned, bf16): large groups (the gradient of a scalar) are spread over many blocks, whose sums a
// second launch adds.
#pragma once
#include <algorithm>
#include <type_traits>

#include "ops_cuda/index.h"
#include "ops_cuda/long_sum.h"
#include "ops_cuda/pointers.h"

namespace limbeck::cuda {

template <class T, class Y, class Term>
__global__ void sum_by_threads(Groups groups, Term term, Y* y, T divisor) {
  const int64_t j = global_index();
  if (j >= groups.count) return;
  T sum = 0;
  for (int64_t r = 0; r < groups.members; ++r) sum += term(groups.element(j, r));
  y[j] = Y(sum / divisor);
}

template <class T, class Y, class Term>
__global__ void sum_by_blocks(Groups groups, Term term, Y* y, T divisor) {
  const int64_t j = blockIdx.x;
  LongSum<T> own;
  for (int64_t r = threadIdx.x; r < groups.members; r += blockDim.x)
    own.add(term(groups.element(j, r)));
  const T sum = block_sum(own.value());
  if (threadIdx.x == 0) y[j] = Y(sum / divisor);
}

/// Threads of a block that works on one group.
inline unsigned threads_for(int64_t members) {
  return members <= 128 ? 32 : members <= 4096 ? 128 : 512;
}

/// Term: a struct with `__device__ T operator()(int64_t element) const`.
template <class T, class Y = T, class Term>
void sum_groups(const Groups& groups, const Term& term, const Tensor& y, double divisor = 1) {
  if (groups.count == 0) return;
  if (groups.members <= 32)
    LAUNCH((sum_by_threads<T, Y, Term>), blocks_for(groups.count), 256, 0, stream_of(y))
  (groups, term, y.data<Y>(), T(divisor));
  else LAUNCH((sum_by_blocks<T, Y, Term>), dim3(static_cast<unsigned>(groups.count)),
              threads_for(groups.members), 0, stream_of(y))(groups, term, y.data<Y>(), T(divisor));
}

// --- side by side --------------------------------------------------------------------------------
/// `lanes` threads for each of `across` groups, which are the fastest index.
template <int lanes, int across, class Y, class Term>
__global__ void __launch_bounds__(lanes* across)
    sum_side_by_side(Groups groups, Term term, Y* y, float divisor) {
  SHARED(float, partial, [lanes * across]);
  const int at = static_cast<int>(threadIdx.x), lane = at / across;
  const int64_t j = static_cast<int64_t>(blockIdx.x) * across + at % across;
  float sum = 0;
  if (j < groups.count) {
    const int64_t begin = groups.group.at(j);
    for (int64_t r = lane; r < groups.members; r += lanes) sum += term(begin + groups.member.at(r));
  }
  partial[at] = sum;
  for (int half = 16; half > 0;
       half /= 2) {  // warp_sum's order, a warp being 32 lanes of one group
    __syncthreads();
    if (lane % 32 < half) partial[at] += partial[at + half * across];
  }
  __syncthreads();
  if (lane > 0 || j >= groups.count) return;
  sum = partial[at];
  for (int warp = 1; warp < lanes / 32; ++warp) sum += partial[at + warp * 32 * across];
  y[j] = Y(sum / divisor);
}

// --- in slices -----------------------------------------------------------------------------------
/// partial [groups, slices]: block (j, slice) adds `size` members of group j.
template <class Term>
__global__ void sum_slices(Groups groups, Term term, int64_t size, float* partial) {
  const int64_t j = blockIdx.x, first = blockIdx.y * size,
                last = first + size < groups.members ? first + size : groups.members;
  const int64_t begin = groups.group.at(j);
  LongSum<float> own;
  for (int64_t r = first + threadIdx.x; r < last; r += blockDim.x)
    own.add(term(begin + groups.member.at(r)));
  const float sum = block_sum(own.value());
  if (threadIdx.x == 0) partial[j * gridDim.y + blockIdx.y] = sum;
}

struct PartialTerm {
  const float* partial;
  __device__ float operator()(int64_t i) const { return partial[i]; }
};

constexpr int64_t slice_members = 4096;

template <class Y, class Term>
void sum_groups_in_slices(const Groups& groups, const Term& term, const Tensor& y, double divisor) {
  const int64_t size = ceil_div(groups.members,
                                std::min<int64_t>(1024, ceil_div(groups.members, slice_members))),
                slices = ceil_div(groups.members, size);
  const Tensor partial = workspace<float>(y, {groups.count, slices});
  LAUNCH(sum_slices<Term>, dim3(blocks_for(groups.count, 1).x, static_cast<unsigned>(slices)), 256,
         0, stream_of(y))
  (groups, term, size, partial.data<float>());
  sum_groups<float, Y>(groups_of({groups.count, slices}, {groups.count, 1}),
                       PartialTerm{partial.data<float>()}, y, divisor);
}

/// Summed in float: the bits of sum_groups<float>, faster where groups lie side by side. Groups of
/// more than 4096 members run in slices.
template <class Y, class Term>
void sum_groups_tuned(const Groups& groups, const Term& term, const Tensor& y, double divisor = 1) {
  const Nest& group = groups.group;
  const bool neighbours = group.rank > 0 && group.stride[group.rank - 1] == 1;
  const unsigned threads = threads_for(groups.members);
  if (groups.count > 0 && groups.members > slice_members)
    return sum_groups_in_slices<Y>(groups, term, y, divisor);
  if (!neighbours || groups.count == 0 || groups.members <= 32 || threads > 128)
    return sum_groups<float, Y>(groups, term, y, divisor);
  if (threads == 32)
    LAUNCH((sum_side_by_side<32, 16, Y, Term>), blocks_for(groups.count, 16), 32 * 16, 0,
           stream_of(y))
  (groups, term, y.data<Y>(), float(divisor));
  else LAUNCH((sum_side_by_side<128, 8, Y, Term>), blocks_for(groups.count, 8), 128 * 8, 0,
              stream_of(y))(groups, term, y.data<Y>(), float(divisor));
}

}  // namespace limbeck::cuda
