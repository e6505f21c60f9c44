// Operators on tensors without elements: a kernel gives what the definition gives, or the operator
// refuses them with an error.
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "ops/cases.h"
#include "ops/check.h"

namespace limbeck {

/// The cases of `op` with every dimension of one size set to zero, as far as the operator takes
/// them.
inline std::vector<OpCase> emptied_cases(const Op& op) {
  std::vector<OpCase> list;
  std::set<std::string> seen;
  for (const OpCase& c : op.cases) {
    std::set<int64_t> sizes;
    for (const CaseInput& i : c.inputs) sizes.insert(i.shape.begin(), i.shape.end());
    for (const int64_t size : sizes) {
      OpCase emptied = c;
      for (CaseInput& i : emptied.inputs)
        for (int d = 0; d < i.shape.rank(); ++d)
          if (i.shape[d] == size) i.shape.set(d, 0);
      try {
        op.infer(case_inputs(op, emptied, DType::f32), emptied.attrs);
      } catch (const Error&) {
        continue;
      }
      if (seen.insert(describe(op, emptied)).second) list.push_back(emptied);
    }
  }
  return list;
}

/// Runs them forward and backward, and compares outputs, inputs and gradients with the reference in
/// f32 (a bf16 kernel rounds what it gets and gives). Returns how many ran.
inline int expect_empties_as_defined(const Op& op, const Kernel& kernel) {
  int ran = 0;
  for (const OpCase& c : emptied_cases(op)) {
    const Tensors in = case_inputs(op, c, kernel.dtype);
    if (kernel.supports && !kernel.supports(in, c.attrs)) continue;
    const std::string where = cat(op.name, "/", kernel.name, " on ", describe(op, c));
    SCOPED_TRACE(where);
    const double allowed = kernel.dtype == DType::bf16 ? 0.02 : 1e-4;
    Tensors expected;
    try {
      expected = run_case(op, c, reference_kernel(op));
    } catch (const Error&) {
      continue;  // refused: a label where there is no class
    }
    const Tensors found = run_case(op, c, kernel);
    for (size_t k = 0; k < std::min(expected.size(), found.size()); ++k) {
      if (!expected[k].defined() || !found[k].defined()) continue;
      const Tensor a = expected[k].to(cpu), b = found[k].to(cpu);
      EXPECT_EQ(a.shape(), b.shape()) << "tensor " << k;
      for (int64_t i = 0; i < std::min(a.numel(), b.numel()); ++i)
        EXPECT_TRUE(std::abs(a.at(i) - b.at(i)) <= allowed * std::max(1.0, std::abs(a.at(i))) ||
                    a.at(i) == b.at(i) || (std::isnan(a.at(i)) && std::isnan(b.at(i))))
            << "tensor " << k << " element " << i << ": found " << b.at(i) << ", expected "
            << a.at(i);
    }
    ++ran;
  }
  return ran;
}

/// The only output of an operator on empty x, into elements that were 7 before.
inline double reduced_empty(const Op& op, const Kernel& kernel, const Attrs& attrs) {
  const Device device{kernel.device};
  const Tensors in{Tensor::empty({0, 3}, kernel.dtype, device)};
  const TensorSpec spec = op.infer(in, attrs)[0];
  const Tensors out{Tensor::full(spec.shape, 7, spec.dtype).to(device)};
  kernel.forward({in, out, attrs});
  const Tensor y = out[0].to(cpu);
  EXPECT_EQ(y.shape(), (Shape{3}));
  for (int64_t i = 1; i < 3; ++i) EXPECT_TRUE(y.at(i) == y.at(0) || std::isnan(y.at(i))) << i;
  return y.at(2);
}

/// A sum of nothing is 0; a mean of nothing, and a variance of nothing, are not a number; a maximum
/// of nothing is refused.
inline void expect_empty_reductions(const Kernel& kernel) {
  const Op& op = find_op(kernel.op);
  const Attrs rows{{"axes", std::vector<int64_t>{0}}};
  if (op.name == "max") {
    EXPECT_THROW(op.infer({Tensor::empty({0, 3})}, rows), Error);
    return;
  }
  const double value = reduced_empty(op, kernel, rows);
  if (op.name == "sum")
    EXPECT_EQ(value, 0) << kernel.name;
  else
    EXPECT_TRUE(std::isnan(value))
        << op.name << "/" << kernel.name << " " << kernel.dtype << ": " << value;
}

}  // namespace limbeck
