// Normalisation, reductions and pooling on the CPU: equal bits for any number of threads, known
// values, hard numbers, refused arguments.
#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>
#include <cstring>

#include "ops/op.h"
#include "ops_cpu/isa.h"
#include "tensor/random.h"

namespace limbeck {
namespace {

Tensor random_tensor(const Shape& shape, uint64_t seed, double mean = 0, double deviation = 1) {
  Tensor t = Tensor::empty(shape);
  Stream(seed).fill_normal(t, mean, deviation);
  return t;
}

struct Call {
  const char* op;
  Tensors in;
  Attrs attrs;
};

/// All outputs and all gradients of one call, one after the other.
Tensors everything(const Call& call) {
  const Op& op = find_op(call.op);
  Tensors out = run_forward(op, call.in, call.attrs), saved_in(call.in.size()),
          saved_out(out.size()), dout;
  for (int i : op.saved_inputs) saved_in[size_t(i)] = call.in[size_t(i)];
  for (int i : op.saved_outputs) saved_out[size_t(i)] = out[size_t(i)];
  for (size_t j = 0; j < out.size(); ++j)
    dout.push_back(op.outputs[j].differentiable ? random_tensor(out[j].shape(), 77) : Tensor());
  std::vector<TensorSpec> specs;
  std::vector<bool> wanted;
  for (size_t i = 0; i < call.in.size(); ++i) {
    const Tensor& t = call.in[i];
    specs.push_back(t.defined() ? TensorSpec{t.shape(), t.dtype()} : TensorSpec{});
    wanted.push_back(t.defined() && op.inputs[i].differentiable);
  }
  for (const Tensor& t : run_backward(op, saved_in, saved_out, dout, specs, wanted, call.attrs))
    out.push_back(t);
  return out;
}

std::vector<Call> calls() {
  const Shape shape{9, 16, 17, 67};
  const Tensor x = random_tensor(shape, 1), residual = random_tensor(shape, 2),
               gamma = random_tensor({67}, 3), beta = random_tensor({67}, 4);
  const Tensor gain = random_tensor({9, 67}, 5), bias = random_tensor({9, 67}, 6);
  const Attrs relu{{"act", std::string("relu")}};
  return {
      {"batch_norm", {x, gamma, beta, {}, {}, {}}, relu},
      {"batch_norm", {x, gamma, beta, residual, {}, {}}, relu},
      {"batch_norm", {random_tensor({64, 16, 16, 32}, 7), {}, {}, {}, {}, {}}, {}},
      {"cond_batch_norm", {x, gain, bias, {}, {}}, relu},
      {"group_norm",
       {random_tensor({65, 3, 3, 66}, 8), random_tensor({66}, 9), random_tensor({66}, 10)},
       {{"groups", int64_t{3}}}},
      {"sum", {x}, {}},
      {"mean", {x}, {{"axes", std::vector<int64_t>{0, 2}}}},
      {"mul", {x, gamma}, {}},
      {"max_pool2d",
       {x},
       {{"kernel", int64_t{3}}, {"stride", int64_t{2}}, {"padding", int64_t{1}}}},
      {"avg_pool2d",
       {x},
       {{"kernel", int64_t{3}}, {"stride", int64_t{1}}, {"padding", int64_t{1}}}},
  };
}

TEST(CpuKernels, SameBitsForAnyNumberOfThreads) {
  const int before = omp_get_max_threads();
  for (const Call& call : calls()) {
    omp_set_num_threads(1);
    const Tensors expected = everything(call);
    for (const int threads : {2, 3, 7}) {
      omp_set_num_threads(threads);
      const Tensors found = everything(call);
      for (size_t i = 0; i < expected.size(); ++i)
        if (expected[i].defined()) {
          EXPECT_EQ(std::memcmp(expected[i].raw(), found[i].raw(), size_t(expected[i].bytes())), 0)
              << call.op << ", tensor " << i << ", " << threads << " threads";
        }
    }
  }
  omp_set_num_threads(before);
}

TEST(CpuKernels, AgreeWithTheReferenceOnEveryInstructionSet) {
  for (const Call& call : calls()) {
    Tensors expected;
    {
      const ExecutionScope reference(with(&Execution::kernel, "reference"));
      expected = everything(call);
    }
    for (const Isa isa : {Isa::base, Isa::avx2, Isa::avx512}) {
      if (isa > best_isa()) continue;
      const ExecutionScope use(with(&Execution::isa, isa));
      const Tensors found = everything(call);
      for (size_t i = 0; i < expected.size(); ++i) {
        if (!expected[i].defined()) continue;
        double worst = 0, largest = 1;
        for (int64_t k = 0; k < expected[i].numel(); ++k) {
          worst = std::max(worst, std::abs(expected[i].at(k) - found[i].at(k)));
          largest = std::max(largest, std::abs(expected[i].at(k)));
        }
        EXPECT_LE(worst, 2e-5 * largest) << call.op << ", tensor " << i << ", " << name_of(isa);
      }
    }
  }
}

TEST(BatchNorm, KnownValues) {
  // Channel 0: 1, 3 (mean 2, variance 1); channel 1: -4, 0 (mean -2, variance 4).
  const Tensor x = Tensor::of<float>({1, -4, 3, 0}, {2, 2});
  const Tensors out = run_forward(
      find_op("batch_norm"),
      {x, Tensor::of<float>({2, 1}), Tensor::of<float>({1, 0.5f}), {}, {}, {}}, {{"eps", 0.0}});
  EXPECT_EQ(out[0].to_vector<float>(), (std::vector<float>{-1, -0.5f, 3, 1.5f}));
  EXPECT_EQ(out[1].to_vector<float>(), (std::vector<float>{2, -2}));
  EXPECT_EQ(out[2].to_vector<float>(), (std::vector<float>{1, 4}));
  EXPECT_EQ(out[3].to_vector<float>(), (std::vector<float>{1, 0.5f}));
}

TEST(BatchNorm, VarianceSurvivesALargeMean) {
  // A one-pass sum of squares in float would be off by more than the variance itself here.
  const Tensor x = random_tensor({4096, 24}, 11, 3000, 0.5);
  const Tensor var = run_forward(find_op("batch_norm"), {x, {}, {}, {}, {}, {}}, {})[2];
  const Tensor exact = run_forward(find_op("var"), {x.to(DType::f64)},
                                   {{"axes", std::vector<int64_t>{0}}, {"unbiased", false}})[0];
  for (int64_t c = 0; c < 24; ++c) EXPECT_NEAR(var.at(c), exact.at(c), 1e-5 * exact.at(c));
}

TEST(BatchNorm, RefusesOneValuePerChannelAndUnknownActivations) {
  const Op& op = find_op("batch_norm");
  EXPECT_THROW(run_forward(op, {Tensor::zeros({1, 1, 1, 4}), {}, {}, {}, {}, {}}, {}), Error);
  EXPECT_THROW(
      run_forward(op, {Tensor::zeros({2, 4}), {}, {}, {}, {}, {}}, {{"act", std::string("gelu")}}),
      Error);
  EXPECT_THROW(run_forward(op, {Tensor::zeros({2, 4}), Tensor::zeros({3}), {}, {}, {}, {}}, {}),
               Error);
  EXPECT_THROW(run_forward(op, {Tensor::zeros({2, 4}), {}, {}, {}, Tensor::zeros({4}), {}}, {}),
               Error)
      << "a mean without variance";
}

TEST(BatchNorm, MovesRunningStatisticsInPlace) {
  const Tensor x = Tensor::of<float>({1, 3, 8}, {3, 1}), mean = Tensor::of<float>({10}),
               var = Tensor::of<float>({2});  // mean 4, unbiased variance 13
  run_forward(find_op("batch_norm"), {x, {}, {}, {}, mean, var}, {{"momentum", 0.25}});
  EXPECT_FLOAT_EQ(mean.at(0), 0.75f * 10 + 0.25f * 4);
  EXPECT_FLOAT_EQ(var.at(0), 0.75f * 2 + 0.25f * 13);
}

TEST(BatchNorm, NanReachesTheOutputThroughReLU) {
  Tensor x = random_tensor({8, 16}, 12);
  x.data<float>()[5] = NAN;
  const Tensor y = run_forward(find_op("batch_norm"), {x, {}, {}, {}, {}, {}},
                               {{"act", std::string("relu")}})[0];
  EXPECT_TRUE(std::isnan(y.at(5)));
  EXPECT_FALSE(std::isnan(y.at(6)));
}

TEST(Pooling, OutputSizesFollowCeilMode) {
  const auto size = [](int64_t n, Attrs attrs) {
    return run_forward(find_op("max_pool2d"), {Tensor::zeros({1, n, n, 1})}, attrs)[0].size(1);
  };
  EXPECT_EQ(size(6, {{"kernel", int64_t{3}}, {"stride", int64_t{2}}}), 2);
  EXPECT_EQ(size(6, {{"kernel", int64_t{3}}, {"stride", int64_t{2}}, {"ceil_mode", true}}), 3);
  // The last window would start in the padding (PyTorch drops it).
  EXPECT_EQ(size(5, {{"kernel", int64_t{2}},
                     {"stride", int64_t{3}},
                     {"padding", int64_t{1}},
                     {"ceil_mode", true}}),
            2);
  EXPECT_THROW(size(2, {{"kernel", int64_t{3}}}), Error);
}

TEST(Pooling, IndexIsTheFirstMaximum) {
  const Tensors out = run_forward(
      find_op("max_pool2d"), {Tensor::of<float>({1, 5, 5, 2, 0, -1, NAN, 7}, {1, 2, 4, 1})}, {});
  EXPECT_EQ(out[1].to_vector<int32_t>(), (std::vector<int32_t>{1, 6}));
  EXPECT_EQ(out[0].at(0), 5);
  EXPECT_TRUE(std::isnan(out[0].at(1)));
}

}  // namespace
}  // namespace limbeck
