// The operator table proves itself: every record is complete, every kernel agrees with the reference in f64 on every case, every
// gradient agrees with central differences, and every operator works through the tape.
#include <gtest/gtest.h>

#include "autograd/gradcheck.h"
#include "ops/cases.h"
#include "ops/check.h"

namespace limbeck {
namespace {

std::vector<std::string> op_names() {
  std::vector<std::string> names;
  for (const Op* op : all_ops()) names.push_back(op->name);
  return names;
}

class OpTable : public testing::TestWithParam<std::string> {
 protected:
  const Op& op() const { return find_op(GetParam()); }
};

TEST_P(OpTable, RecordIsComplete) {
  for (const std::string& problem : audit(op())) ADD_FAILURE() << problem;
}

TEST_P(OpTable, KernelsAgreeWithTheReference) {
  for (const Kernel& kernel : implementations(op())) {
    int ran = 0;
    for (const OpCase& c : op().cases) {
      const CheckReport report = check_kernel(op(), c, kernel);
      EXPECT_TRUE(report.ok) << op().name << "/" << kernel.name << " on " << describe(op(), c) << ": " << report.message;
      ran += !report.skipped;
    }
    EXPECT_GT(ran, 0) << op().name << "/" << kernel.name << " supports no case: it is never tested";
  }
}

TEST_P(OpTable, GradientAgreesWithCentralDifferences) {
  for (const OpCase& c : op().cases) {
    const CheckReport report = check_gradient(op(), c, 0, 60);
    EXPECT_TRUE(report.ok) << op().name << " on " << describe(op(), c) << ": " << report.message;
  }
}

// Through apply(): the tape saves what backward needs, gives gradients only where wanted, and adds a second backward to the first.
TEST_P(OpTable, TapeAgreesWithCentralDifferences) {
  if (!op().backward) return;
  for (const OpCase& c : op().cases) {
    if (check_gradient(op(), c, 0, 0).skipped) continue;
    const Tensors inputs = case_inputs(op(), c, DType::f64);
    Variables variables;
    for (size_t i = 0; i < inputs.size(); ++i)
      variables.push_back(inputs[i].defined() ? Variable(inputs[i], input_of(op(), i).differentiable) : Variable());
    size_t output = 0;
    while (!op().outputs[output].differentiable) ++output;
    const auto report = gradcheck([&](const Variables& v) { return apply(op(), v, c.attrs)[output]; }, variables, {.max_elements = 6});
    EXPECT_TRUE(report.ok) << op().name << " on " << describe(op(), c) << ": " << report.message;
    return;  // one case is enough here
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, OpTable, testing::ValuesIn(op_names()), [](const auto& info) { return info.param; });

}  // namespace
}  // namespace limbeck
