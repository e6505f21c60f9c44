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

/// [k]: k, k - 1, .. 1, of the type of `like` and where it is.
Tensor descending_ranks(int64_t k, const Tensor& like);

/// x / eps projected onto the permutahedron, the convex hull of all orders of the ranks (Blondel,
/// Teboul, Berthet, Djolonga, "Fast differentiable sorting and ranking", 2020):
///   s = x / eps, largest first;  s - isotonic(s - (K, .. 1)), back in x's order
/// Exact ranks with a gradient of 0 where gaps between neighbours are above eps; a line where they
/// are far below. Equal entries have equal ranks. x [n, K], and so is the result; `descending` is
/// descending_ranks(K, x).
Variable projected_ranks(const Variable& x, double eps, const Tensor& descending);

/// Rows with mean 0 and deviation 1: (x - mean) / sqrt(var + 1e-12), the variance biased.
Variable standardised_rows(const Variable& x);

}  // namespace limbeck::kd
