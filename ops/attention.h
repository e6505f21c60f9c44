// The sizes of one attention, for the reference and the kernels of every device.
#pragma once
#include "ops/op.h"

namespace limbeck {

/// Of q [N, L, d], k [N, S, d], v [N, S, e]: batch N, queries L, keys S. T: the type in which the
/// scores are scaled.
template <class T>
struct AttentionSizes {
  int64_t batch, queries, keys, d, e;
  T scale;
  AttentionSizes(const Tensors& in, const Attrs& attrs)
      : batch(in[0].size(0)),
        queries(in[0].size(1)),
        keys(in[1].size(1)),
        d(in[0].size(2)),
        e(in[2].size(2)),
        scale(static_cast<T>(attrs.number("scale", 1))) {}
};

}  // namespace limbeck
