// The operator table on the device cuda: every kernel agrees with the f64 reference, its gradient
// with central differences, and through the SIMT shim the results have the same bits in four orders
// of threads.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "ops/cases.h"
#include "ops/check.h"
#include "tests/ops_cuda/orders.h"

namespace limbeck {
namespace {

std::vector<std::string> names_on_cuda() {
  std::vector<std::string> names;
  for (const Op* op : all_ops())
    for (const Kernel* k : kernels_of(op->name))
      if (k->device == DeviceKind::cuda) {
        names.push_back(op->name);
        break;
      }
  return names;
}

class CudaTable : public testing::TestWithParam<std::string> {
 protected:
  const Op& op() const { return find_op(GetParam()); }
  std::vector<Kernel> kernels() const {
    std::vector<Kernel> list;
    for (const Kernel* k : kernels_of(op().name))
      if (k->device == DeviceKind::cuda && (!k->missing || k->missing().empty()))
        list.push_back(*k);
    return list;
  }
};

/// Calls without a floating tensor run no bf16 kernel.
bool has_floats(const Op& op, const OpCase& c) {
  const Tensors in = case_inputs(op, c, DType::f32);
  const std::vector<TensorSpec> out = op.infer(in, c.attrs);
  return std::any_of(in.begin(), in.end(),
                     [](const Tensor& t) { return t && is_floating(t.dtype()); }) ||
         std::any_of(out.begin(), out.end(),
                     [](const TensorSpec& s) { return is_floating(s.dtype); });
}

TEST_P(CudaTable, AgreesWithTheReference) {
  std::map<std::string, int> ran;
  for (const OpCase& c : op().cases) {
    const bool in_bf16 = has_kernel(op(), DType::bf16, DeviceKind::cuda) && has_floats(op(), c);
    const CaseReference reference(op(), c);
    int bf16_kernels = 0;
    for (const Kernel& kernel : kernels()) {
      const std::string name = cat(kernel.name, " ", kernel.dtype);
      const CheckReport report = reference.check(kernel);
      EXPECT_TRUE(report.ok) << op().name << "/" << name << " on " << describe(op(), c) << ": "
                             << report.message;
      ran[name] += !report.skipped;
      bf16_kernels += kernel.dtype == DType::bf16 && !report.skipped;
    }
    EXPECT_TRUE(!in_bf16 || bf16_kernels > 0)
        << op().name << ": no bf16 kernel serves " << describe(op(), c)
        << ", and autograd trusts that one does";
  }
  for (const auto& [name, count] : ran)
    EXPECT_GT(count, 0) << op().name << "/" << name << " supports no case: it is never tested";
}

TEST_P(CudaTable, GradientAgreesWithCentralDifferences) {
  for (const Kernel& kernel : kernels()) {
    if (kernel.dtype != DType::f64) continue;
    for (const OpCase& c : op().cases) {
      const CheckReport report = check_gradient(op(), c, kernel, 0, 5);
      EXPECT_TRUE(report.ok) << op().name << "/" << kernel.name << " on " << describe(op(), c)
                             << ": " << report.message;
    }
  }
}

bool same_bits(const Tensor& a, const Tensor& b) {
  if (a.defined() != b.defined() || a.bytes() != b.bytes()) return false;
  const Tensor x = a.to(cpu), y = b.to(cpu);
  return a.bytes() == 0 || std::memcmp(x.raw(), y.raw(), size_t(x.bytes())) == 0;
}

// With a GPU the orders are the machine's own, and this compares two runs.
TEST_P(CudaTable, SameBitsInEveryOrderOfThreads) {
  for (const Kernel& kernel : kernels()) {
    if (kernel.dtype == DType::f64) continue;
    for (const OpCase& c : op().cases) {
      if (kernel.supports && !kernel.supports(case_inputs(op(), c, kernel.dtype), c.attrs))
        continue;
      const Tensors expected = run_case(op(), c, kernel);
      for_each_order([&](const char* order) {
        const Tensors found = run_case(op(), c, kernel);
        for (size_t i = 0; i < expected.size(); ++i)
          EXPECT_TRUE(same_bits(found[i], expected[i]))
              << op().name << "/" << kernel.name << ", " << order << " order, tensor " << i << ": "
              << describe(op(), c);
      });
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, CudaTable, testing::ValuesIn(names_on_cuda()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace limbeck
