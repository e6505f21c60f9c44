// Shared by the operators that normalise rows in log space.
#pragma once
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "ops/cases.h"

namespace limbeck {

/// log sum_i e^x_i as two numbers: x - largest is exact where it matters, while the sum of both
/// loses the logarithm beside a large x. With a logit of +inf, or none above -inf, all is NaN.
struct LogSumExp {
  double largest = -std::numeric_limits<double>::infinity();
  double sum = 0;  ///< of e^(x - largest)
  template <class T>
  LogSumExp(const T* x, int64_t size) {
    for (int64_t i = 0; i < size; ++i) largest = std::max<double>(largest, x[i]);
    for (int64_t i = 0; i < size; ++i) sum += std::exp(x[i] - largest);
  }
  double log_probability(double x) const { return (x - largest) - std::log(sum); }
};

/// Rows [1, 3] at the ends of the range: ties that an f32 holds to a billion only, logits that are
/// impossible, more than certain, or no numbers.
inline std::vector<CaseInput> extreme_logits() {
  constexpr double inf = std::numeric_limits<double>::infinity(),
                   nan = std::numeric_limits<double>::quiet_NaN();
  std::vector<CaseInput> rows;
  for (const std::vector<double>& row :
       std::initializer_list<std::vector<double>>{{1e16, 1e16, 1e16},
                                                  {-1e16, -1e16, 0},
                                                  {-1e38, 1e38, 1e38},
                                                  {0, -1e9, 1e9},
                                                  {-inf, 1, 1},
                                                  {inf, 0, 1},
                                                  {inf, inf, -inf},
                                                  {-inf, -inf, -inf},
                                                  {nan, 0, 1},
                                                  {0, 1, nan}})
    rows.push_back({.shape = {1, 3}, .first = row});
  return rows;
}

/// body(offset of the row, its size) for every row of the last axis.
template <class Body>
void for_each_row(const Tensor& t, Body&& body) {
  const int64_t size = t.size(-1), rows = t.shape().numel(0, t.rank() - 1);
  for (int64_t r = 0; r < rows; ++r) body(r * size, size);
}

}  // namespace limbeck
