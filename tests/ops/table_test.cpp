// The operator table proves itself: every record is complete, every kernel agrees with the
// reference in f64 on every case, every gradient agrees with central differences, and every
// operator works through the tape.
#include <gtest/gtest.h>
#include <omp.h>

#include <cstring>
#include <map>

#include "autograd/gradcheck.h"
#include "ops/cases.h"
#include "ops/check.h"
#include "ops_cpu/isa.h"

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
  for (const auto& list : {op().bench_cases, op().device_bench_cases})
    for (const OpCase& c : list) {
      Tensors in;
      for (const CaseInput& i : c.inputs)
        in.push_back(i.given ? Tensor::empty(i.shape, i.dtype) : Tensor());
      EXPECT_NO_THROW(op().infer(in, c.attrs)) << describe(op(), c);
    }
}

std::vector<Isa> instruction_sets() {
  std::vector<Isa> list;
  for (Isa isa : {Isa::base, Isa::avx2, Isa::avx512})
    if (isa <= current_isa()) list.push_back(isa);
  return list;
}

// The kernels are compiled once per instruction set; all that this machine has are checked.
TEST_P(OpTable, KernelsAgreeWithTheReference) {
  const std::vector<Kernel> kernels = implementations(op());
  std::map<std::string, int> ran;
  for (const OpCase& c : op().cases) {
    const CaseReference reference(op(), c);
    for (const Kernel& kernel : kernels)
      for (const Isa isa : instruction_sets()) {
        if (kernel.name == "reference" && isa != current_isa()) continue;
        const ExecutionScope override(with(&Execution::isa, isa));
        const CheckReport report = reference.check(kernel);
        EXPECT_TRUE(report.ok) << op().name << "/" << kernel.name << "/" << name_of(isa) << " on "
                               << describe(op(), c) << ": " << report.message;
        ran[kernel.name] += !report.skipped;
      }
  }
  for (const Kernel& kernel : kernels)
    EXPECT_GT(ran[kernel.name], 0)
        << op().name << "/" << kernel.name << " supports no case: it is never tested";
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.defined() == b.defined() && a.bytes() == b.bytes() &&
         (a.bytes() == 0 || std::memcmp(a.raw(), b.raw(), size_t(a.bytes())) == 0);
}

TEST_P(OpTable, KernelsGiveTheSameBitsForAnyNumberOfThreads) {
  const int threads = omp_get_max_threads();
  for (const Kernel& kernel : implementations(op())) {
    if (kernel.name == "reference") continue;
    for (const OpCase& c : op().cases) {
      if (kernel.supports && !kernel.supports(case_inputs(op(), c, kernel.dtype), c.attrs))
        continue;
      omp_set_num_threads(1);
      const Tensors expected = run_case(op(), c, kernel);
      for (const int n : {2, 3}) {
        omp_set_num_threads(n);
        const Tensors found = run_case(op(), c, kernel);
        for (size_t i = 0; i < expected.size(); ++i)
          EXPECT_TRUE(same_bits(found[i], expected[i]))
              << op().name << "/" << kernel.name << ", " << n << " threads, tensor " << i << ": "
              << describe(op(), c);
      }
    }
  }
  omp_set_num_threads(threads);
}

TEST_P(OpTable, GradientAgreesWithCentralDifferences) {
  for (const OpCase& c : op().cases) {
    const CheckReport report = check_gradient(op(), c, 0, 60);
    EXPECT_TRUE(report.ok) << op().name << " on " << describe(op(), c) << ": " << report.message;
  }
}

// Through apply(): the tape saves what backward needs, gives gradients only where wanted, and adds
// a second backward to the first.
TEST_P(OpTable, TapeAgreesWithCentralDifferences) {
  if (!op().backward) return;
  for (const OpCase& c : op().cases) {
    if (check_gradient(op(), c, 0, 0).skipped) continue;
    const Tensors inputs = case_inputs(op(), c, DType::f64);
    Variables variables;
    for (size_t i = 0; i < inputs.size(); ++i)
      variables.push_back(
          inputs[i].defined() ? Variable(inputs[i], input_of(op(), i).differentiable) : Variable());
    size_t output = 0;
    while (!op().outputs[output].differentiable) ++output;
    const auto report =
        gradcheck([&](const Variables& v) { return apply(op(), v, c.attrs)[output]; }, variables,
                  {.max_elements = 6});
    EXPECT_TRUE(report.ok) << op().name << " on " << describe(op(), c) << ": " << report.message;
    return;  // one case is enough here
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, OpTable, testing::ValuesIn(op_names()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace limbeck
