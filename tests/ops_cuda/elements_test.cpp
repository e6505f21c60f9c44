// Kernels that go by elements and take them in vectors or wide words where they can: those give the
// bits of the naive kernels, and the same bits where every tensor lies one element off.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "ops/cases.h"
#include "ops/op.h"
#include "tensor/random.h"

namespace limbeck {
namespace {

const Device device{DeviceKind::cuda};

const Kernel* kernel_of(const Op& op, const char* name, DType dtype) {
  for (const Kernel* k : kernels_of(op.name))
    if (k->device == DeviceKind::cuda && k->name == name && k->dtype == dtype) return k;
  return nullptr;
}

/// A copy whose address is one element past one that suits vectors.
Tensor shifted(const Tensor& t) {
  if (!t.defined()) return t;
  const Tensor copy = Tensor::empty({t.numel() + 1}, t.dtype(), t.device())
                          .rows(1, t.numel() + 1)
                          .reshape(t.shape());
  copy.copy_from(t);
  return copy;
}

/// Outputs and gradients of a case; `off`: with all tensors shifted.
Tensors results_of(const Op& op, const OpCase& c, const Kernel& kernel, bool off) {
  const auto placed = [&](const Tensor& t) { return off ? shifted(t) : t; };
  const auto filled = [&](const Shape& shape, DType dtype) {
    return placed(Tensor::full(shape, 1, dtype, device));
  };
  Tensors in, out, dout, din, saved_in, saved_out;
  for (const Tensor& t : case_inputs(op, c, kernel.dtype))
    in.push_back(t.defined() ? placed(t.to(device)) : t);
  for (const TensorSpec& spec : op.infer(in, c.attrs))
    out.push_back(filled(spec.shape, spec.dtype));
  kernel.forward({in, out, c.attrs});
  saved_in.resize(in.size()), saved_out.resize(out.size()), dout.resize(out.size()),
      din.resize(in.size());
  for (const int i : op.saved_inputs) saved_in[size_t(i)] = in[size_t(i)];
  for (const int i : op.saved_outputs) saved_out[size_t(i)] = out[size_t(i)];
  for (size_t j = 0; j < out.size(); ++j) {
    if (!op.outputs[j].differentiable) continue;
    const Tensor g = Tensor::empty(out[j].shape());
    Stream(7).fork("cotangent", j).fill_uniform(g, -1, 1);
    dout[j] = placed(g.to(out[j].dtype()).to(device));
  }
  bool has_gradient = false;  // numbers that are integers here, as those of where, have none
  for (size_t i = 0; i < in.size(); ++i)
    if (op.inputs[std::min(i, op.inputs.size() - 1)].differentiable && is_floating(in[i].dtype()))
      din[i] = filled(in[i].shape(), in[i].dtype()), has_gradient = true;
  if (has_gradient) kernel.backward({saved_in, saved_out, dout, din, c.attrs});
  Tensors results;
  for (const Tensors* list : {&out, &din})
    for (const Tensor& t : *list) results.push_back(t.to(cpu));
  return results;
}

void expect_same_bits(const Op& op, const OpCase& c, const Tensors& found,
                      const Tensors& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    if (!found[i].defined() || found[i].bytes() == 0) continue;
    EXPECT_EQ(std::memcmp(found[i].raw(), expected[i].raw(), size_t(expected[i].bytes())), 0)
        << op.name << ", tensor " << i << ": " << describe(op, c);
  }
}

/// Sums of more than 4096 terms are cut into slices: other bits than the naive kernel's, as good.
bool sums_in_slices(const Op& op, const OpCase& c) {
  int64_t largest = 0, smallest = std::numeric_limits<int64_t>::max();
  const Tensors in = case_inputs(op, c, DType::f32);
  for (const Tensor& t : in)
    if (t.defined())
      largest = std::max(largest, t.numel()), smallest = std::min(smallest, t.numel());
  for (const TensorSpec& spec : op.infer(in, c.attrs))
    smallest = std::min(smallest, spec.shape.numel());
  return largest > 4096 * smallest;
}

/// Whether it takes the case: integers are for the naive kernels.
bool takes(const Kernel& kernel, const Op& op, const OpCase& c) {
  return !kernel.supports || kernel.supports(case_inputs(op, c, kernel.dtype), c.attrs);
}

class CudaElements : public testing::TestWithParam<const char*> {};

TEST_P(CudaElements, AreTheNaiveKernelsBits) {
  const Op& op = find_op(GetParam());
  const Kernel *tuned = kernel_of(op, "cuda", DType::f32),
               *naive = kernel_of(op, "cuda-naive", DType::f32);
  ASSERT_NE(naive, nullptr);
  if (!tuned) return;  // one kernel in words for all types
  for (const OpCase& c : op.cases)
    if (takes(*tuned, op, c) && !sums_in_slices(op, c))
      expect_same_bits(op, c, results_of(op, c, *tuned, false), results_of(op, c, *naive, false));
}

TEST_P(CudaElements, DoNotDependOnAddresses) {
  const Op& op = find_op(GetParam());
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const Kernel* kernel = kernel_of(op, "cuda", dtype);
    if (!kernel) kernel = kernel_of(op, "cuda-naive", dtype);
    ASSERT_NE(kernel, nullptr) << op.name << " " << dtype;
    for (const OpCase& c : op.cases)
      if (takes(*kernel, op, c))
        expect_same_bits(op, c, results_of(op, c, *kernel, true),
                         results_of(op, c, *kernel, false));
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, CudaElements,
                         testing::Values("relu", "leaky_relu", "sigmoid", "tanh", "silu",
                                         "softplus", "gelu_tanh", "affine", "clamp", "pow_scalar",
                                         "add", "sub", "mul", "div", "maximum", "minimum", "where",
                                         "sum", "mean", "dropout", "max_pool2d", "avg_pool2d",
                                         "adaptive_avg_pool2d", "upsample_nearest", "concat",
                                         "slice", "pad2d", "permute", "channel_shuffle",
                                         "index_select"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace limbeck
