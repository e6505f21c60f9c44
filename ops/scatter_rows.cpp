// scatter_rows: rows of a memory written in place (the banks of features that contrastive methods
// keep). Contract and reference.
//   memory[index[j], ..] = values[j, ..]   for j = 0, 1, ..: of values for one row, the last stays
// memory [m, ..], values [n, ..] of one floating type, index i64 [n]. No gradient: what is written
// is data from then on. An index outside [0, m) is refused; the reference then writes nothing.
#include <algorithm>

#include "ops/cases.h"
#include "ops/checks.h"

namespace limbeck::scatter_rows_op {
namespace {

std::vector<TensorSpec> infer(const Tensors& in, const Attrs&) {
  const Tensor &memory = in[0], &index = in[1], &values = in[2];
  check_floating("scatter_rows", "memory", memory);
  LIMBECK_CHECK(memory.rank() >= 1, "scatter_rows: expected 'memory' [m, ..], found ",
                describe(memory));
  LIMBECK_CHECK(index.dtype() == DType::i64 && index.rank() == 1,
                "scatter_rows: expected 'index' i64[n], found ", describe(index));
  Shape shape = memory.shape();
  shape.set(0, index.size(0));
  check_shape("scatter_rows", "values", values, memory, shape);
  LIMBECK_CHECK(values.numel() == 0 || !values.shares_storage_with(memory),
                "scatter_rows: 'values' must not share the storage of 'memory'");
  return {};
}

void forward(const ForwardCall& c) {
  const Tensor &memory = c.in[0], &index = c.in[1];
  const int64_t row = memory.shape().numel(1, memory.rank());
  const int64_t* at = index.data<int64_t>();
  for (int64_t j = 0; j < index.numel(); ++j)
    LIMBECK_CHECK(at[j] >= 0 && at[j] < memory.size(0), "scatter_rows: index[", j, "] = ", at[j],
                  " is outside [0, ", memory.size(0), ")");
  dispatch_floating(memory.dtype(), "scatter_rows", [&](auto t) {
    using T = decltype(t);
    const T* values = c.in[2].data<T>();
    T* to = memory.data<T>();
    for (int64_t j = 0; j < index.numel(); ++j)
      std::copy_n(values + j * row, row, to + at[j] * row);
  });
}

OpCase scatter(const Shape& memory, int64_t n) {
  Shape written = memory;
  written.set(0, n);
  return big_case({values(memory), indices({n}, memory[0]), values(written)});
}

const RegisterOp scatter_rows_op({
    .name = "scatter_rows",
    .formula = "memory[index[j]] = values[j] in place, the last value of a row stays\nno gradient",
    .source = "elementary",
    .inputs = {{"memory", false}, {"index", false}, {"values", false}},
    .mutated_inputs = {0},
    .infer = infer,
    .forward = forward,
    .cases = {scatter({5, 3}, 4), scatter({3, 2, 2}, 9), scatter({4}, 6), scatter({1, 7}, 5),
              scatter({6, 4}, 0), scatter({2, 0}, 3), scatter({50, 33}, 301),
              scatter({40, 64}, 17)},
    .bench_cases = {scatter({50000, 128}, 64)},
});

}  // namespace
}  // namespace limbeck::scatter_rows_op
