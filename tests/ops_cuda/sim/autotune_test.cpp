// The autotuner through the shim, where kernels of ours run as fibers, slowly, and the stand-ins of
// cuBLAS and cuDNN as plain loops, or as slowly as a test says.
#include <gtest/gtest.h>

#include <cstring>

#include "apps/command.h"
#include "nn/step_graph.h"
#include "ops_cuda/autotune.h"
#include "ops_cuda/precision.h"
#include "tensor/device.h"
#include "tensor/random.h"
#include "tests/ops_cuda/sim/fake_libraries.h"

namespace limbeck {
namespace {

constexpr Device gpu{DeviceKind::cuda};

Tensor random(Shape shape, uint64_t seed) {
  const Tensor t = Tensor::empty(shape);
  Stream(seed).fill_uniform(t, -1, 1);
  return t.to(gpu);
}

bool same_bits(const Tensor& a, const Tensor& b) {
  const Tensor x = a.to(cpu), y = b.to(cpu);
  return x.shape() == y.shape() &&
         std::memcmp(x.raw(), y.raw(), static_cast<size_t>(x.bytes())) == 0;
}

void expect_close(const Tensor& found, const Tensor& expected) {
  const Tensor a = found.to(cpu), b = expected.to(cpu);
  ASSERT_EQ(a.shape(), b.shape());
  for (int64_t i = 0; i < a.numel(); ++i)
    ASSERT_NEAR(a.data<float>()[i], b.data<float>()[i], 1e-5) << "element " << i;
}

class Autotune : public testing::Test {
 protected:
  void SetUp() override {
    cuda::autotuner().clear();
    set_kernel_policy(KernelPolicy::tuned, gpu);
  }
  void TearDown() override {
    set_kernel_policy(KernelPolicy::rule, gpu);
    fake_cublas().delay_ms = fake_cudnn().delay_ms = 0;
    fake_cublas().fail = fake_cudnn().fail = false;
  }
  static Tensor linear() { return run_forward(find_op("linear"), {x(), w(), {}}, {})[0]; }
  static Tensor x() { return random({4, 8}, 1); }
  static Tensor w() { return random({5, 8}, 2); }
  static Tensor named(const char* kernel) {
    const ExecutionScope only(with(&Execution::kernel, kernel));
    return linear();
  }
  static std::vector<TunedChoice> choices() { return cuda::autotuner().choices(); }
};

TEST_F(Autotune, TheFastestKernelServesFromThenOn) {
  const Tensor first = linear();
  ASSERT_EQ(choices().size(), 1u);
  const TunedChoice c = choices()[0];
  EXPECT_EQ(c.kernel, "cublas");
  EXPECT_EQ(c.call, "linear forward [4, 8] [5, 8] - f32");
  EXPECT_EQ(c.rule, "cuda");
  EXPECT_LT(c.seconds, c.rule_seconds);
  EXPECT_EQ(c.passed_over, "");
  const int before = fake_cublas().calls;
  const Tensor second = linear();
  EXPECT_EQ(fake_cublas().calls, before + 1) << "one call and no measurement";
  EXPECT_EQ(choices().size(), 1u);
  EXPECT_TRUE(same_bits(first, second));
  EXPECT_TRUE(same_bits(first, named("cublas")));
}

TEST_F(Autotune, ASlowLibraryIsNotChosen) {
  fake_cublas().delay_ms = 150;
  const Tensor first = linear();
  ASSERT_EQ(choices().size(), 1u);
  EXPECT_EQ(choices()[0].kernel.rfind("cuda", 0), 0u) << choices()[0].kernel;
  const int before = fake_cublas().calls;
  EXPECT_TRUE(same_bits(first, linear()));
  EXPECT_EQ(fake_cublas().calls, before);
}

TEST_F(Autotune, AKernelThatFailsIsPassedOverAndNamed) {
  fake_cublas().fail = true;
  expect_close(linear(), named("cuda"));
  ASSERT_EQ(choices().size(), 1u);
  EXPECT_EQ(choices()[0].kernel.rfind("cuda", 0), 0u);
  EXPECT_EQ(
      choices()[0].passed_over,
      "cublas: cuBLAS: cublasSgemmStridedBatched: CUBLAS_STATUS_EXECUTION_FAILED (status 13)");
}

TEST_F(Autotune, EachDirectionShapeAttributeAndPrecisionIsAChoice) {
  const Op& op = find_op("conv2d");
  const Attrs attrs{{"padding", int64_t{1}}},
      strided{{"padding", int64_t{1}}, {"stride", int64_t{2}}};
  const Tensor image = random({1, 4, 4, 2}, 3), filter = random({3, 3, 3, 2}, 4),
               bias = random({3}, 5), dy = random({1, 4, 4, 3}, 6);
  const Tensor y = run_forward(op, {image, filter, bias}, attrs)[0];
  const std::vector<TensorSpec> specs{
      {image.shape(), DType::f32}, {filter.shape(), DType::f32}, {bias.shape(), DType::f32}};
  const Tensors din =
      run_backward(op, {image, filter, {}}, {}, {dy}, specs, {true, true, true}, attrs);
  ASSERT_EQ(choices().size(), 3u);
  EXPECT_EQ(choices()[0].call, "conv2d forward [1, 4, 4, 2] [3, 3, 3, 2] [3] padding=1 f32");
  EXPECT_EQ(choices()[1].call, "conv2d gradient of x [1, 4, 4, 2] [3, 3, 3, 2] - padding=1 f32");
  EXPECT_EQ(choices()[2].call, "conv2d gradient of w [1, 4, 4, 2] [3, 3, 3, 2] - padding=1 f32");
  for (const TunedChoice& c : choices()) EXPECT_EQ(c.kernel, "cudnn");
  {
    const ExecutionScope only(with(&Execution::kernel, "reference"));
    expect_close(y, run_forward(op, {image.to(cpu), filter.to(cpu), bias.to(cpu)}, attrs)[0]);
    const Tensors expected = run_backward(op, {image.to(cpu), filter.to(cpu), {}}, {}, {dy.to(cpu)},
                                          specs, {true, true, true}, attrs);
    for (size_t i = 0; i < 3; ++i) expect_close(din[i], expected[i]);
  }
  run_forward(op, {image, filter, bias}, strided);
  EXPECT_EQ(choices().size(), 4u);
  {
    const ExecutionScope bf16(with(&Execution::products, Precision::bf16));
    run_forward(op, {image, filter, bias}, attrs);
  }
  ASSERT_EQ(choices().size(), 5u);
  EXPECT_EQ(choices()[4].kernel.rfind("cuda", 0), 0u) << "bf16 is ours";
  run_forward(op, {image, filter, bias}, attrs);
  EXPECT_EQ(choices().size(), 5u);
}

TEST_F(Autotune, StorageInBf16IsAChoiceOfItsOwn) {
  const Op& op = find_op("conv2d");
  const Tensor image = random({1, 4, 4, 2}, 3), filter = random({3, 3, 3, 2}, 4);
  run_forward(op, {image, filter, {}}, {});
  const Tensor y = run_forward(op, {image.to(DType::bf16), filter, {}}, {})[0];
  ASSERT_EQ(choices().size(), 2u);
  EXPECT_EQ(choices()[1].call, "conv2d forward [1, 4, 4, 2] [3, 3, 3, 2] - stored in bf16");
  EXPECT_EQ(choices()[1].kernel, "cudnn");
  EXPECT_EQ(y.dtype(), DType::bf16);
  run_forward(op, {image.to(DType::bf16), filter, {}}, {});
  EXPECT_EQ(choices().size(), 2u);
}

TEST_F(Autotune, NothingIsMeasuredWhileAGraphIsRecorded) {
  linear();  // chosen: cublas
  const int before = fake_cublas().calls;
  const Tensor a = x(), b = w(), other = random({7, 8}, 9);
  DeviceBackend& device = backend(gpu);
  device.begin_recording(0);
  const Tensor known = run_forward(find_op("linear"), {a, b, {}}, {})[0];
  const Tensor unknown = run_forward(find_op("linear"), {other, b, {}}, {})[0];
  const auto recorded = device.end_recording(0);
  EXPECT_EQ(fake_cublas().calls, before + 1)
      << "the earlier choice, and the rule's kernel for what nobody measured";
  EXPECT_EQ(choices().size(), 1u);
  recorded->replay();
  EXPECT_TRUE(same_bits(known, named("cublas")));
  const ExecutionScope rule(with(&Execution::kernel, "cuda"));
  EXPECT_TRUE(same_bits(unknown, run_forward(find_op("linear"), {other, b, {}}, {})[0]));
}

// Two steps as usual, where the first one measures; the third is recorded, and from then on
// replayed.
TEST_F(Autotune, ARecordedStepKeepsWhatTheStepsBeforeItMeasured) {
  int steps = 0;
  std::vector<int> library_calls;
  nn::StepGraph step(gpu, {}, [&](const Tensors& in) {
    const int before = fake_cublas().calls;
    const Tensors out = run_forward(find_op("linear"), {in[0], in[1], {}}, {});
    library_calls.push_back(fake_cublas().calls - before);
    ++steps;
    return out;
  });
  Tensor last;
  for (uint64_t i = 0; i < 5; ++i) {
    last = step({random({4, 8}, i), w()})[0];
    ASSERT_EQ(choices().size(), 1u) << "in step " << i;
  }
  EXPECT_EQ(choices()[0].kernel, "cublas");
  ASSERT_EQ(steps, 3);
  EXPECT_GT(library_calls[0], 1) << "measured";
  EXPECT_EQ(library_calls[1], 1);
  EXPECT_EQ(library_calls[2], 1) << "recorded, not measured";
  const ExecutionScope only(with(&Execution::kernel, "cublas"));
  EXPECT_TRUE(same_bits(last, run_forward(find_op("linear"), {random({4, 8}, 4), w(), {}}, {})[0]))
      << "the replay has the new input";
}

TEST_F(Autotune, ALibraryThatCannotBeSetUpIsPassedOverAndNamed) {
  const int devices = sim::machine().devices;
  sim::machine().devices = std::max(devices, 6);
  const Device last{DeviceKind::cuda, 5};  // no other test calls a library there
  fake_cudnn().fail_to_create = true;
  run_forward(find_op("conv2d"),
              {random({1, 4, 4, 2}, 3).to(last), random({3, 3, 3, 2}, 4).to(last), {}}, {});
  fake_cudnn().fail_to_create = false;
  ASSERT_EQ(choices().size(), 1u);
  EXPECT_EQ(choices()[0].kernel.rfind("cuda", 0), 0u);
  EXPECT_EQ(choices()[0].passed_over,
            "cudnn: cuDNN: cudnnCreate: CUDNN_STATUS_NOT_INITIALIZED (status 1001)");
  sim::machine().devices = devices;
}

TEST_F(Autotune, UnalignedTensorsAreOurs) {
  const Tensor all = random({5, 5, 5, 1}, 1), filter = random({2, 3, 3, 1}, 2);
  const Tensor image = all.rows(1, 3);  // starts 100 bytes into the block
  const int before = fake_cudnn().calls;
  const Tensor y = run_forward(find_op("conv2d"), {image, filter, {}}, {})[0];
  EXPECT_EQ(fake_cudnn().calls, before);
  ASSERT_EQ(choices().size(), 1u);
  EXPECT_EQ(choices()[0].call, "conv2d forward [2, 5, 5, 1] [2, 3, 3, 1] - f32 unaligned");
  const ExecutionScope only(with(&Execution::kernel, "reference"));
  expect_close(y, run_forward(find_op("conv2d"), {image.to(cpu), filter.to(cpu), {}}, {})[0]);
}

TEST_F(Autotune, LeavesNamedKernelsOtherOperatorsAndEmptyTensorsAlone) {
  named("cuda");
  run_forward(find_op("relu"), {x()}, {});
  run_forward(find_op("linear"), {Tensor::empty({0, 8}, DType::f32, gpu), w(), {}}, {});
  EXPECT_TRUE(choices().empty());
}

TEST_F(Autotune, OffByDefaultAndUnknownToTheCpu) {
  set_kernel_policy(KernelPolicy::rule, gpu);
  const int before = fake_cublas().calls;
  linear();
  EXPECT_TRUE(choices().empty());
  EXPECT_EQ(fake_cublas().calls, before);
  EXPECT_EQ(active_tuner(DeviceKind::cuda), nullptr);
  EXPECT_THROW(set_kernel_policy(KernelPolicy::tuned, cpu), Error);
}

std::string output_of(const std::string& name, const std::vector<std::string>& arguments) {
  testing::internal::CaptureStdout();
  try {
    run_command(name, arguments);
  } catch (const Error& e) {
    return testing::internal::GetCapturedStdout() + "error: " + e.what();
  }
  return testing::internal::GetCapturedStdout();
}

TEST_F(Autotune, OpsBenchShowsOursBesideTheLibrary) {
  const std::vector<std::string> arguments{"bench",
                                           "-o",
                                           "matmul",
                                           "--device",
                                           "cuda",
                                           "--seconds",
                                           "0.001",
                                           "--shape",
                                           "a=4x8",
                                           "--shape",
                                           "b=8x4",
                                           "--attrs",
                                           R"({"transpose_a": false, "transpose_b": false})"};
  const auto with = [&](const char* kernels) {
    auto a = arguments;
    a.insert(a.end(), {"--kernels", kernels});
    return output_of("ops", a);
  };
  const auto rows = [](const std::string& text, const char* kernel) {
    int n = 0;
    std::string start = cat("matmul", std::string(15, ' '), kernel, " ");
    for (size_t at = text.find(start); at != std::string::npos; at = text.find(start, at + 1)) ++n;
    return n;
  };
  const std::string both = output_of("ops", arguments), own = with("own"), tuned = with("tuned");
  EXPECT_EQ(rows(both, "cuda"), 2) << both;  // forward and backward
  EXPECT_EQ(rows(both, "cublas"), 2) << both;
  EXPECT_NE(both.find("cublas: cuBLAS 13.1.7 ("), std::string::npos) << both;
  EXPECT_EQ(rows(own, "cuda"), 2) << own;
  EXPECT_EQ(rows(own, "cublas"), 0) << own;
  EXPECT_NE(own.find("cublas: cuBLAS is forbidden by --kernels own"), std::string::npos) << own;
  EXPECT_EQ(rows(tuned, "tuned"), 2) << tuned;
  EXPECT_NE(tuned.find("matmul gradient of b [4, 8] [8, 4]"), std::string::npos) << tuned;
}

TEST_F(Autotune, OpsSupportNamesTheLibraries) {
  set_kernel_policy(KernelPolicy::rule, gpu);
  const std::string text = output_of("ops", {"support", "-o", "linear", "-o", "conv2d"});
  EXPECT_NE(text.find("cublas: cuBLAS 13.1.7 ("), std::string::npos) << text;
  EXPECT_NE(text.find("cudnn: cuDNN 9.19.7 ("), std::string::npos) << text;
}

TEST_F(Autotune, TunedOnTheCpuIsAnError) {
  const char* expected =
      "error: --kernels tuned: the device cpu has one kernel for each call and nothing to choose "
      "from";
  for (const auto& [command, arguments] :
       {std::pair("ops", std::vector<std::string>{"bench", "-o", "relu", "--kernels", "tuned"}),
        std::pair("bench", std::vector<std::string>{"train", "--kernels", "tuned"})}) {
    const std::string text = output_of(command, arguments);
    EXPECT_NE(text.find(expected), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace limbeck
