#include "kd/memory.h"

#include <numeric>

namespace limbeck::kd {
namespace {

/// 0, 1, .. n - 1 on a device; made once, before a step is recorded.
const Tensor& counted(int64_t n, Device device) {
  static thread_local std::vector<Tensor> made;
  for (const Tensor& t : made)
    if (t.numel() == n && t.device() == device) return t;
  std::vector<int64_t> values(static_cast<size_t>(n));
  std::iota(values.begin(), values.end(), 0);
  return made.emplace_back(Tensor::of(values).to(device));
}

/// Without an operator that scatters: which row each value goes to as a matrix of ones, whose
/// product with the values lays them there. Exact, each sum has one term.
void write_by_product(const Tensor& memory, const Tensor& rows, const Tensor& values) {
  const NoGrad no_grad;
  const int64_t n = memory.size(0), m = rows.numel();
  const Tensor here = equal(rows.reshape({m, 1}), counted(n, memory.device()).reshape({1, n}));
  const Variable one(Tensor::full({}, 1, memory.dtype(), memory.device())),
      zero(Tensor::full({}, 0, memory.dtype(), memory.device()));
  const Variable at = where(here, one, zero);  // [m, n]
  const Variable laid = matmul(at, Variable(values), true);
  const Tensor hit = greater(sum(at, {0}).data().reshape({n, 1}), zero.data());
  memory.copy_from(where(hit, laid, Variable(memory)).data());
}

}  // namespace

void write_rows(const Tensor& memory, const Tensor& rows, const Tensor& values) {
  LIMBECK_CHECK(memory.rank() == 2 && values.rank() == 2 && values.size(1) == memory.size(1) &&
                    values.size(0) == rows.numel() && values.dtype() == memory.dtype(),
                "write_rows: expected memory [n, d], rows [m] and values [m, d], found ",
                describe(memory), ", ", describe(rows), " and ", describe(values));
  if (memory.device() != cpu) return write_by_product(memory, rows, values);
  const int64_t* row = rows.data<int64_t>();
  for (int64_t i = 0; i < rows.numel(); ++i) {
    LIMBECK_CHECK(row[i] >= 0 && row[i] < memory.size(0), "write_rows: row ", row[i], " of ",
                  memory.size(0));
    memory.rows(row[i], row[i] + 1).copy_from(values.rows(i, i + 1));
  }
}

}  // namespace limbeck::kd
