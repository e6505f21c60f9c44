// Vector kernels of sums; see reduce_kernels.h. Several independent chains per sum hide the latency
// of the addition.
#include "ops_cpu/reduce_kernels.h"

#include "ops_cpu/simd/vector.h"

namespace limbeck::LIMBECK_ISA {
namespace {

template <int B>  // vectors side by side
void columns(const float* x, int64_t rows, int64_t pitch, float* sum) {
  constexpr int U = 8 / B;
  V s[U][B] = {};
  int64_t i = 0;
  for (; i + U <= rows; i += U)
    for (int u = 0; u < U; ++u, x += pitch)
      for (int b = 0; b < B; ++b) s[u][b] += load(x + b * W);
  for (; i < rows; ++i, x += pitch)
    for (int b = 0; b < B; ++b) s[0][b] += load(x + b * W);
  for (int b = 0; b < B; ++b) {
    for (int u = 1; u < U; ++u) s[0][b] += s[u][b];
    store(sum + b * W, s[0][b]);
  }
}

void column_sums(const float* x, int64_t rows, int64_t n, int64_t pitch, float* sum) {
  int64_t c = 0;
  for (; c + 4 * W <= n; c += 4 * W) columns<4>(x + c, rows, pitch, sum + c);
  for (; c + W <= n; c += W) columns<1>(x + c, rows, pitch, sum + c);
  for (; c < n; ++c) {
    float s[4] = {};
    for (int64_t r = 0; r < rows; ++r) s[r & 3] += x[r * pitch + c];
    sum[c] = (s[0] + s[1]) + (s[2] + s[3]);
  }
}

/// One vector of columns, of which `lanes` exist when `part`.
template <bool part>
void dots(const float* x, const float* z, int64_t rows, int64_t n, int64_t lanes, float* sum) {
  constexpr int U = 4;
  const auto get = [lanes](const float* p) { return part ? load_some(p, lanes) : load(p); };
  V s[U] = {};
  int64_t i = 0;
  for (; i + U <= rows; i += U)
    for (int u = 0; u < U; ++u, x += n, z += n) s[u] += get(x) * get(z);
  for (; i < rows; ++i, x += n, z += n) s[0] += get(x) * get(z);
  const V total = (s[0] + s[1]) + (s[2] + s[3]);
  part ? store_some(sum, total, lanes) : store(sum, total);
}

void column_dots(const float* x, const float* z, int64_t rows, int64_t n, float* sum) {
  int64_t c = 0;
  for (; c + W <= n; c += W) dots<false>(x + c, z + c, rows, n, W, sum + c);
  if (c < n) dots<true>(x + c, z + c, rows, n, n - c, sum + c);
}

float run_sum(const float* x, int64_t n) {
  V s[4] = {};
  int64_t i = 0;
  for (; i + 4 * W <= n; i += 4 * W)
    for (int u = 0; u < 4; ++u) s[u] += load(x + i + u * W);
  for (; i + W <= n; i += W) s[0] += load(x + i);
  const V all = (s[0] + s[1]) + (s[2] + s[3]);
  float total = 0;
  for (int k = 0; k < W; ++k) total += all[k];
  for (; i < n; ++i) total += x[i];
  return total;
}

}  // namespace

const ReduceKernels& reduce_kernels() {
  static constexpr ReduceKernels table{column_sums, run_sum, column_dots};
  return table;
}

}  // namespace limbeck::LIMBECK_ISA
