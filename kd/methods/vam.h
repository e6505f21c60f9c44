// Virtual attention of VAM-R (vam.cpp), for its tests.
#pragma once
#include "autograd/functions.h"

namespace limbeck::kd::vam {

/// softmax over the rows of E / t, [blocks of outputs, blocks of inputs].
Variable attention(const Variable& logits, double temperature);
/// n_in A[o / b, i / b] W[o, .., i] of a weight [out, kh, kw, in]; b channels a block.
Variable reweighed(const Variable& weight, const Variable& attention);
/// Of each row over log n_in: 1 for equal parts. [n_out]
Variable entropies(const Variable& attention);
/// The largest number of channels, at most `wanted`, that divides both; 0 where a row would have
/// one block.
int64_t block_of(int64_t in, int64_t out, int64_t wanted);

}  // namespace limbeck::kd::vam
