// What the backward passes of attention start with: delta_l = sum_e dy y of each query, a warp per
// query. y, dy [queries, e] of type S, delta [queries] f32, overwritten. Sums in a fixed order.
// Bytes: y and dy once.
#pragma once
#include "ops_cuda/pointers.h"
#include "ops_cuda/rows.h"

namespace limbeck::cuda {

template <class S>
__global__ void query_deltas(const S* y, const S* dy, int64_t queries, int64_t e, float* delta) {
  const int64_t at = warp_row();
  if (at >= queries) return;
  float sum = 0;
  for (int64_t i = warp_lane(); i < e; i += 32)
    sum += static_cast<float>(y[at * e + i]) * static_cast<float>(dy[at * e + i]);
  sum = warp_total(sum);
  if (warp_lane() == 0) delta[at] = sum;
}

/// delta [N L] of y, dy [N, L, e].
template <class S>
Tensor attention_deltas(const Tensor& y, const Tensor& dy) {
  const int64_t queries = y.size(0) * y.size(1);
  const Tensor delta = workspace<float>(dy, {queries});
  if (queries > 0)
    LAUNCH(query_deltas<S>, blocks_for_rows(queries), 32 * rows_per_block, 0, stream_of(dy))
  (y.data<S>(), dy.data<S>(), queries, y.size(2), delta.data<float>());
  return delta;
}

}  // namespace limbeck::cuda
