// Ranks of the entries of each row of [n, K], ascending from 1 to K: the exact ones, and some that
// have a gradient.
#pragma once
#include "autograd/functions.h"

namespace limbeck::kd {

/// Of x [n, K], in its shape. Equal entries share the mean of their ranks. No gradient.
Variable exact_ranks(const Variable& x);

/// 1/2 + sum_j sigmoid((x_i - x_j) / softness), j = i among them: the exact rank where gaps are
/// large beside `softness`. [n, K, K] numbers on the way.
Variable soft_ranks(const Variable& x, double softness);

/// Rows with mean 0 and deviation 1: (x - mean) / sqrt(var + 1e-12), the variance biased.
Variable standardised_rows(const Variable& x);

}  // namespace limbeck::kd
