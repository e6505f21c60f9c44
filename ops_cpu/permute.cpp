// permute of two neighbouring groups of dimensions, f32 on the CPU: [batch, m, n, inner] -> [batch,
// n, m, inner], which covers the changes between channels last and channels first and the
// transposition of matrices. Formula in ops/permute.cpp. 4 bytes read and written an element; tiles
// of 16 x 16 keep both sides in the cache. Other orders run the reference.
#include <algorithm>
#include <cstring>
#include <optional>

#include "ops/op.h"
#include "ops_cpu/parallel.h"

namespace limbeck::cpu_permute {
namespace {

/// order = 0 .. first-1 | second .. end-1 | first .. second-1 | end .. rank-1
struct Swap {
  int first, second, end;
};

std::optional<Swap> swap_of(const std::vector<int64_t>& order) {
  const int rank = static_cast<int>(order.size());
  int first = 0, end = rank;
  while (first < rank && order[first] == first) ++first;
  while (end > first && order[end - 1] == end - 1) --end;
  if (first == end) return Swap{0, 0, 0};  // the identity: one block
  const int second = static_cast<int>(order[first]);
  for (int i = first; i < end; ++i)
    if (order[i] != (i < first + end - second ? second + i - first : i - (end - second)))
      return std::nullopt;
  return Swap{first, second, end};
}

/// y[b, j, i, :] = x[b, i, j, :] for i < m, j < n.
void transpose(const float* x, float* y, int64_t batch, int64_t m, int64_t n, int64_t inner) {
  constexpr int64_t tile = 16;
  const int64_t across = (n + tile - 1) / tile;
  parallel_parts(batch * across, batch * m * n * inner, [&](int64_t part) {
    const int64_t b = part / across, j0 = part % across * tile, j1 = std::min(n, j0 + tile);
    const float* from = x + b * m * n * inner;
    float* to = y + b * m * n * inner;
    for (int64_t i0 = 0; i0 < m; i0 += tile)
      for (int64_t j = j0; j < j1; ++j)
        for (int64_t i = i0; i < std::min(m, i0 + tile); ++i) {
          if (inner == 1)
            to[j * m + i] = from[i * n + j];
          else
            std::memcpy(to + (j * m + i) * inner, from + (i * n + j) * inner,
                        static_cast<size_t>(inner) * sizeof(float));
        }
  });
}

void run(const Tensor& x, const Tensor& y, const std::vector<int64_t>& order) {
  const Swap s = *swap_of(order);
  const Shape& shape = x.shape();
  if (x.numel() == 0) return;
  transpose(x.data<float>(), y.data<float>(), shape.numel(0, s.first),
            shape.numel(s.first, s.second), shape.numel(s.second, s.end),
            shape.numel(s.end, shape.rank()));
}

void forward(const ForwardCall& c) { run(c.in[0], c.out[0], c.attrs.integers("order")); }

void backward(const BackwardCall& c) {
  const std::vector<int64_t> order = c.attrs.integers("order");
  std::vector<int64_t> inverse(order.size());
  for (size_t i = 0; i < order.size(); ++i) inverse[order[i]] = static_cast<int64_t>(i);
  run(c.dout[0], c.din[0], inverse);
}

const RegisterKernel kernel({.op = "permute",
                             .name = "cpu",
                             .forward = forward,
                             .backward = backward,
                             .supports = [](const Tensors& in, const Attrs& attrs) {
                               // Backward saves no input; only floating ones have a gradient.
                               const bool f32 = !in[0].defined() || in[0].dtype() == DType::f32;
                               return f32 && swap_of(attrs.integers("order")).has_value();
                             }});

}  // namespace
}  // namespace limbeck::cpu_permute
