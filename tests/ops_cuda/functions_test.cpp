// The lists of element-wise functions on the device cuda, and scatter_rows there: the CPU's bits,
// what it refuses, inside a recorded step.
#include <gtest/gtest.h>

#include "autograd/functions.h"
#include "nn/step_graph.h"
#include "ops/binary.h"
#include "ops/cases.h"
#include "ops/unary.h"
#include "tests/ops_cuda/errors.h"

namespace limbeck {
namespace {

const Device cuda0{DeviceKind::cuda, 0};

bool registered(const std::string& op, const std::string& kernel, DType type) {
  for (const Kernel* k : kernels_of(op))
    if (k->device == DeviceKind::cuda && k->name == kernel && k->dtype == type)
      return k->forward && (k->backward || !find_op(op).backward);
  return false;
}

template <class... F>
void expect_registered(FunctionList<F...>) {
  for (const std::string name : {F::about().name...}) {
    for (const DType type : {DType::f32, DType::f64})
      EXPECT_TRUE(registered(name, "cuda-naive", type)) << name << " " << type;
    for (const DType type : {DType::f32, DType::bf16})
      EXPECT_TRUE(registered(name, "cuda", type)) << name << " " << type;
  }
}

TEST(CudaFunctionLists, EveryFunctionHasNaiveAndTunedKernels) {
  expect_registered(unary::Functions());
  expect_registered(binary::Functions());
}

TEST(CudaScatterRows, RepeatedRowsEndAsOnTheCpu) {
  const Op& op = find_op("scatter_rows");
  for (const OpCase& c : op.cases)
    for (const DType type : {DType::f32, DType::f64}) {
      const Tensors in = case_inputs(op, c, type);
      const Tensor there = in[0].to(cuda0);
      scatter_rows(there, in[1].to(cuda0), in[2].to(cuda0));
      scatter_rows(in[0], in[1], in[2]);
      EXPECT_EQ(there.to(cpu).to(DType::f64).to_vector<double>(),
                in[0].to(DType::f64).to_vector<double>())
          << describe(op, c);
    }
}

TEST(CudaScatterRows, ARowOutsideIsReportedAndNotWritten) {
  const Tensor memory = Tensor::zeros({3, 2}, DType::f32, cuda0),
               values = Tensor::full({2, 2}, 1, DType::f32, cuda0);
  scatter_rows(memory, Tensor::of<int64_t>({1, 3}).to(cuda0), values);
  EXPECT_ERROR(memory.to(cpu), "scatter_rows: index[1] = 3 is outside [0, 3)");
  EXPECT_EQ(memory.to(cpu).to_vector<float>(), (std::vector<float>{0, 0, 1, 1, 0, 0}));
}

/// The memory after seven steps, each of which reads a row's old value and then writes three rows.
std::vector<float> memory_after_steps(Device device) {
  const Tensor memory = Tensor::zeros({5, 4}).to(device);
  nn::StepGraph step(device, {}, [&](const Tensors& in) {
    const Variable old = index_select(Variable(memory), in[0]);
    scatter_rows(memory, in[0], (old * 0.5 + Variable(in[1])).data());
    return Tensors{};
  });
  for (int64_t i = 0; i < 7; ++i)
    step({Tensor::of<int64_t>({i % 5, (2 * i) % 5, i % 5}).to(device),
          Tensor::full({3, 4}, double(i + 1)).to(device)});
  return memory.to(cpu).to_vector<float>();
}

TEST(CudaScatterRows, WritesInARecordedStepToo) {
  EXPECT_EQ(memory_after_steps(cuda0), memory_after_steps(cpu));
}

}  // namespace
}  // namespace limbeck
