// sum and mean over any axes, f32 on the CPU; formulas in ops/reduce.cpp. Forward 4 bytes an
// element of x, backward 4. Neighbouring axes with the same fate are merged; then one reduced group
// [outer, reduced, inner] is summed at a time, the last one first.
#include "ops/reduce.h"

#include <cstring>

#include "ops/checks.h"
#include "ops/op.h"
#include "ops_cpu/broadcast.h"
#include "ops_cpu/parallel.h"
#include "ops_cpu/reduce_kernels.h"

namespace limbeck {
namespace {

constexpr int64_t longest = 1024;  // rows that one float sum may hold

// y[o, i] = sum over r of x[o, r, i] / divisor.
void sum_group(const float* x, int64_t outer, int64_t reduced, int64_t inner, double divisor,
               float* y) {
  const ReduceKernels& kernels = reduce_kernels();
  // A run of single floats is summed W at a time: it may be longer.
  const int64_t rows =
      inner == 1 ? 16 * longest : std::min(longest, std::max<int64_t>(16, 16384 / inner));
  const int64_t chunks = (reduced + rows - 1) / rows;
  const Tensor buffer = Tensor::empty({outer * std::max<int64_t>(chunks, 1) * inner});
  float* partial = buffer.data<float>();
  // Several outer rows per part when they are short.
  const int64_t group = std::max<int64_t>(
                    1, 16384 / std::max<int64_t>(1, std::min(rows, reduced) * inner)),
                total = outer * chunks;
  parallel_parts((total + group - 1) / group, outer * reduced * inner, [&](int64_t part) {
    for (int64_t k = part * group; k < std::min(total, (part + 1) * group); ++k) {
      const int64_t o = k / chunks, first = k % chunks * rows,
                    count = std::min(rows, reduced - first);
      const float* from = x + (o * reduced + first) * inner;
      if (inner == 1)
        partial[k] = kernels.run_sum(from, count);
      else
        kernels.column_sums(from, count, inner, inner, partial + k * inner);
    }
  });
  parallel_ranges(outer * inner, 4096, [&](int64_t begin, int64_t end) {
    for (int64_t j = begin; j < end; ++j) {
      const int64_t o = j / inner, i = j % inner;
      double sum = 0;
      for (int64_t k = 0; k < chunks; ++k) sum += partial[(o * chunks + k) * inner + i];
      y[j] = float(sum / divisor);
    }
  });
}

}  // namespace

void sum_to(const Tensor& x, const Shape& kept, double divisor, const Tensor& y) {
  if (y.numel() == 0) return;
  // Merged axes, outermost first.
  std::vector<int64_t> size;
  std::vector<bool> reduced;
  for (int d = 0; d < x.rank(); ++d) {
    const int k = d - (x.rank() - kept.rank());
    const bool r = k < 0 || (kept[k] == 1 && x.size(d) != 1);
    if (x.size(d) == 1) continue;
    if (!size.empty() && reduced.back() == r)
      size.back() *= x.size(d);
    else
      size.push_back(x.size(d)), reduced.push_back(r);
  }
  Tensor from = x;
  while (true) {
    int64_t last = -1, left = 0;
    for (size_t i = 0; i < size.size(); ++i)
      if (reduced[i]) last = int64_t(i), ++left;
    if (left == 0) {  // nothing to sum: only the division is left
      for (int64_t i = 0; i < y.numel(); ++i)
        y.data<float>()[i] = float(from.data<float>()[i] / divisor);
      return;
    }
    int64_t outer = 1, inner = 1;
    for (int64_t i = 0; i < last; ++i) outer *= size[size_t(i)];
    for (size_t i = size_t(last) + 1; i < size.size(); ++i) inner *= size[i];
    const Tensor to = left == 1 ? y : Tensor::empty({outer * inner});
    sum_group(from.data<float>(), outer, size[size_t(last)], inner, left == 1 ? divisor : 1.0,
              to.data<float>());
    if (left == 1) return;
    // What follows the summed group merges with what precedes it.
    size.erase(size.begin() + last), reduced.erase(reduced.begin() + last);
    from = to;
  }
}

namespace {

template <bool average>
double divisor(const Shape& x, const Shape& kept) {
  double n = 1;
  for (int d = 0; average && d < x.rank(); ++d)
    if (kept[d] != x[d]) n *= double(x[d]);
  return n;
}

template <bool average>
void forward(const ForwardCall& c) {
  const Shape& x = c.in[0].shape();
  const Shape kept = kept_shape(x, c.attrs);
  sum_to(c.in[0], kept, divisor<average>(x, kept), c.out[0]);
}

template <bool average>
void backward(const BackwardCall& c) {
  if (!c.din[0].defined()) return;
  const Shape& x = c.din[0].shape();
  const Shape kept = kept_shape(x, c.attrs);
  broadcast_binary<binary::Mul>(c.dout[0].reshape(kept),
                                Tensor::scalar(1 / divisor<average>(x, kept)), c.din[0]);
}

const RegisterKernel sum({.op = "sum",
                          .name = "cpu",
                          .forward = forward<false>,
                          .backward = backward<false>,
                          .supports = without_integers});
const RegisterKernel mean(
    {.op = "mean", .name = "cpu", .forward = forward<true>, .backward = backward<true>});

}  // namespace
}  // namespace limbeck
