// Tensors on the device cuda: copies, fills, reading back, files, random numbers, memory, recorded
// work, and its errors.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <limits>

#include <unistd.h>

#include "ops/execution.h"
#include "ops/op.h"
#include "ops_cuda/device.h"
#include "tensor/device.h"
#include "tensor/random.h"
#include "tensor/safetensors.h"
#include "tests/ops_cuda/errors.h"

namespace limbeck {
namespace {

constexpr Device cuda0{DeviceKind::cuda, 0};

Tensors run(const char* op, const Tensors& in, const Attrs& attrs = {}) {
  return run_forward(find_op(op), in, attrs);
}

/// The same bits, except that one NaN is as good as another: converted, it is 0x7fffffff on a GPU
/// and 0x7fc00000 on x86.
bool same_numbers(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || a.shape() != b.shape()) return false;
  const auto size = static_cast<size_t>(size_of(a.dtype()));
  const Tensor x = a.to(DType::f64), y = b.to(DType::f64);
  for (size_t i = 0; i < static_cast<size_t>(a.numel()); ++i) {
    if (std::isnan(x.data<double>()[i]) && std::isnan(y.data<double>()[i])) continue;
    if (std::memcmp(static_cast<const char*>(a.raw()) + i * size,
                    static_cast<const char*>(b.raw()) + i * size, size) != 0)
      return false;
  }
  return true;
}

TEST(CudaTensor, OneNanIsAsGoodAsAnother) {
  const auto with = [](uint32_t bits) {
    return Tensor::of<float>({1, std::bit_cast<float>(bits)});
  };
  EXPECT_TRUE(same_numbers(with(0x7fffffff), with(0x7fc00000)));  // a GPU's and an x86's
  EXPECT_FALSE(same_numbers(with(0x7fffffff), with(0x7f800000)));
  EXPECT_FALSE(same_numbers(with(0), with(0x80000000)));
}

TEST(CudaTensor, CopiesKeepEveryBit) {
  for (const DType dtype :
       {DType::f32, DType::f64, DType::bf16, DType::i64, DType::i32, DType::u8, DType::boolean}) {
    const Tensor t = Tensor::of<int64_t>({0, 1, 1, 0, 1, 0}, {2, 3}).to(dtype);
    const Tensor there = t.to(cuda0), back = there.clone().to(cpu);
    EXPECT_EQ(there.device(), cuda0);
    EXPECT_EQ(back.shape(), t.shape());
    EXPECT_EQ(std::memcmp(back.raw(), t.raw(), size_t(t.bytes())), 0) << dtype;
    for (int64_t i = 0; i < 6; ++i) EXPECT_EQ(there.at(i), t.at(i)) << dtype;
  }
  EXPECT_EQ(Tensor::empty({0, 3}).to(cuda0).to(cpu).numel(), 0);
  EXPECT_FALSE(Tensor().to(cuda0).defined());
}

TEST(CudaTensor, FillsAndViews) {
  const Tensor t = Tensor::zeros({4, 3}, DType::f32, cuda0);
  const uint64_t version = t.version();
  t.rows(1, 3).fill(2.5);
  EXPECT_GT(t.version(), version);
  EXPECT_EQ(t.to_vector<float>(),
            (std::vector<float>{0, 0, 0, 2.5, 2.5, 2.5, 2.5, 2.5, 2.5, 0, 0, 0}));
  t.rows(0, 1).copy_from(Tensor::of<float>({1, 2, 3}, {1, 3}));  // from the host
  t.rows(3, 4).copy_from(t.rows(0, 1));                          // within the device
  EXPECT_EQ(t.rows(3, 4).to_vector<float>(), (std::vector<float>{1, 2, 3}));
  EXPECT_EQ(Tensor::full({2}, 1, DType::boolean, cuda0).to_vector<bool>(),
            (std::vector<bool>{true, true}));
  EXPECT_EQ(Tensor::full({}, 7, DType::i64, cuda0).item(), 7);
}

TEST(CudaTensor, ConvertsTypesAsTheCpuDoes) {
  const Tensor t = Tensor::of<double>(
      {0, 1.00390625, -2.75, 3e38, std::numeric_limits<double>::quiet_NaN(), 1e-40});
  for (const DType dtype : {DType::f32, DType::bf16, DType::f64}) {
    const Tensor here = t.to(dtype), there = t.to(cuda0).to(dtype).to(cpu);
    EXPECT_TRUE(same_numbers(there, here)) << dtype;
  }
  EXPECT_EQ(Tensor::of<float>({-1.5f, 2.9f}).to(cuda0).to(DType::i64).to_vector<int64_t>(),
            (std::vector<int64_t>{-1, 2}));
}

TEST(CudaTensor, Bfloat16RoundsToNearestEven) {
  EXPECT_EQ(float(bfloat16(1.0f + 0x1p-8f)), 1.0f);  // half-way, to even
  EXPECT_EQ(float(bfloat16(1.0f + 0x1p-7f + 0x1p-8f)), 1.0f + 0x1p-6f);
  EXPECT_EQ(float(bfloat16(1.0f + 0x1.8p-8f)), 1.0f + 0x1p-7f);
  EXPECT_TRUE(std::isnan(float(bfloat16(std::numeric_limits<float>::signaling_NaN()))));
  EXPECT_TRUE(std::isinf(float(bfloat16(std::numeric_limits<float>::max()))));
}

TEST(CudaTensor, RandomNumbersAreTheSameOnEveryDevice) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Tensor here = Tensor::empty({3, 7}, dtype), there = Tensor::empty({3, 7}, dtype, cuda0);
    Stream a(5), b(5);
    a.fill_normal(here), b.fill_normal(there);
    EXPECT_EQ(std::memcmp(here.raw(), there.to(cpu).raw(), size_t(here.bytes())), 0);
    a.fill_uniform(here, -1, 3), b.fill_uniform(there, -1, 3);
    EXPECT_EQ(std::memcmp(here.raw(), there.to(cpu).raw(), size_t(here.bytes())), 0);
    EXPECT_EQ(a, b);
  }
}

TEST(CudaTensor, FilesHoldDeviceTensors) {
  const std::string path =
      (std::filesystem::temp_directory_path() / cat("limbeck_cuda_", ::getpid(), ".safetensors"))
          .string();
  TensorFile file;
  file.add("x", Tensor::of<float>({1, 2, 3}).to(cuda0));
  write_safetensors(path, file);
  EXPECT_EQ(read_safetensors(path).get("x").to_vector<float>(), (std::vector<float>{1, 2, 3}));
  std::filesystem::remove(path);
}

TEST(CudaTensor, HostCodeCannotReadIt) {
  const Tensor t = Tensor::zeros({2}, DType::f32, cuda0);
  EXPECT_ERROR(t.span<float>(), "f32[2] on cuda:0 read by host code");
}

TEST(CudaOps, MissingKernelsAndMixedDevicesAreNamed) {
  const Tensor here = Tensor::zeros({2}), there = here.to(cuda0);
  EXPECT_ERROR(run("add", {there, here}),
               "add: input 'b' must be on cuda:0 like the others, found f32[2] on cpu");
  EXPECT_ERROR(run("max", {there.to(DType::bf16)}),
               "max: no bf16 kernel for device cuda:0 serves this call; registered there: "
               "cuda-naive f32, cuda-naive f64");
  const ExecutionScope only(with(&Execution::kernel, "reference"));
  EXPECT_ERROR(run("relu", {there}), "relu: no f32 kernel named 'reference' for device cuda:0");
}

TEST(CudaOps, IndexOutOfRangeIsReportedWhenAResultIsRead) {
  const Tensor x = Tensor::zeros({5, 2}, DType::f32, cuda0);
  const Tensor bad = run("embedding", {x, Tensor::of<int64_t>({1, 4, 17}).to(cuda0)})[0];
  EXPECT_ERROR(bad.to(cpu), "embedding: index[2] = 17 is outside [0, 5)");
  const Tensor good =
      run("embedding", {x, Tensor::of<int64_t>({1, 4}).to(cuda0)})[0];  // the device goes on
  EXPECT_EQ(good.at(0), 0);
}

TEST(CudaOps, GatherAndScatterReportAnIndexOutOfRange) {
  const Tensor x = Tensor::zeros({2, 3}, DType::f32, cuda0),
               index = Tensor::of<int64_t>({0, 1, -1, 2}, {2, 2}).to(cuda0);
  EXPECT_ERROR(run("gather", {x, index})[0].to(cpu), "gather: index[2] = -1 is outside [0, 3)");
  EXPECT_ERROR(run("scatter_add", {x, index, x})[0].to(cpu),
               "scatter_add: index[2] = -1 is outside [0, 3)");
}

TEST(CudaOps, AnIntegerDividedByZeroIsReported) {
  const Tensor a = Tensor::of<int64_t>({7, 8, 9}).to(cuda0),
               b = Tensor::of<int64_t>({2, 0, 3}).to(cuda0);
  for (const char* name : {"floor_divide", "remainder"})
    EXPECT_ERROR(run(name, {a, b})[0].to(cpu),
                 std::string(name) + ": 'b' is 0 at element 1, and integers have no infinity");
  EXPECT_EQ(run("floor_divide", {a, a})[0].at(2), 1);  // the device goes on
}

TEST(CudaOps, IntegersWrapAsOnTheCpu) {
  const int64_t most = std::numeric_limits<int64_t>::max();
  const Tensor a = Tensor::of<int64_t>({most, -most - 1, 5}).to(cuda0),
               b = Tensor::of<int64_t>({2, -1, -3}).to(cuda0);
  for (const char* name : {"add", "sub", "mul", "maximum", "minimum", "floor_divide", "remainder"})
    EXPECT_EQ(run(name, {a, b})[0].to(cpu).to_vector<int64_t>(),
              run(name, {a.to(cpu), b.to(cpu)})[0].to_vector<int64_t>())
        << name;
  EXPECT_EQ(run("sum", {a})[0].to(cpu).to_vector<int64_t>(), (std::vector<int64_t>{4}));
}

TEST(CudaMemory, SteadyStateAsksTheSystemForNothing) {
  const auto step = [] {
    const Tensor x = Tensor::full({1000}, 2, DType::f32, cuda0);
    return run("square", {run("affine", {x}, {{"scale", 3.0}})[0]})[0].at(999);
  };
  EXPECT_EQ(step(), 36);
  Allocator& a = allocator(cuda0);
  const size_t calls = a.stats().system_calls, in_use = a.stats().in_use;
  EXPECT_EQ(step(), 36);
  EXPECT_EQ(a.stats().system_calls, calls);
  EXPECT_EQ(a.stats().in_use, in_use);
  a.trim();
  EXPECT_LT(a.stats().reserved, size_t{1} << 20);
  EXPECT_EQ(step(), 36);
}

TEST(CudaGraph, ReplaysWithNewInputs) {
  const Tensor x = Tensor::full({4}, 3, DType::f32, cuda0);
  Tensor y;
  backend(cuda0).begin_recording(0);
  {
    const Tensor square = run("square", {x})[0];
    y = run("affine", {square}, {{"shift", 1.0}})[0];
  }
  const auto graph = backend(cuda0).end_recording(0);
  // What the recorded work uses in between belongs to the graph: tensors made since must not share
  // it.
  const Tensor other = Tensor::full({4}, -1, DType::f32, cuda0);
  graph->replay();
  EXPECT_EQ(y.to_vector<float>(), (std::vector<float>{10, 10, 10, 10}));
  x.fill(5);
  graph->replay();
  EXPECT_EQ(y.at(3), 26);
  EXPECT_EQ(other.at(0), -1);
}

TEST(CudaGraph, ARecordingThatFailsGivesItsMemoryBack) {
  Allocator& a = allocator(cuda0);
  const Tensor x = Tensor::full({1 << 20}, 3, DType::f32, cuda0);
  a.trim();
  const AllocatorStats before = a.stats();
  for (int i = 0; i < 3; ++i) {
    backend(cuda0).begin_recording(0);
    EXPECT_THROW(run("square", {x})[0].at(0), Error) << "a result is read";
    EXPECT_THROW(backend(cuda0).end_recording(0), Error);
  }
  EXPECT_EQ(a.stats().in_use, before.in_use);
  EXPECT_GT(a.stats().reserved, before.reserved) << "kept for others";
  a.trim();
  EXPECT_EQ(a.stats().reserved, before.reserved);
}

#if defined(LIMBECK_SIM)
/// The pretended machine, restored at the end.
struct Pretend {
  sim::Machine before = sim::machine();
  ~Pretend() { sim::machine() = before; }
};

TEST(CudaMemory, RunningOutNamesWhatWasAskedAndWhoHolds) {
  const Pretend pretend;
  Allocator& a = allocator(cuda0);
  a.trim();
  size_t free = 0, total = 0;
  ASSERT_EQ(cudaMemGetInfo(&free, &total), cudaSuccess);
  sim::machine().memory = total - free + (size_t{40} << 10);
  const Tensor x = Tensor::zeros({4 << 10}, DType::f32, cuda0);
  const Tensor held = run("relu", {x})[0];
  EXPECT_ERROR(run("square", {x}),
               "out of memory on cuda:0: asked for 16.0 KiB (square); 8.0 KiB of ");
  EXPECT_ERROR(run("square", {x}), "allocated for: ");
  EXPECT_ERROR(run("square", {x}), "relu 16.0 KiB in 1 block");
  {
    const Tensor freed = x.rows(0, 1 << 10).clone();
  }  // cached: given back when another size is needed
  EXPECT_NO_THROW(Tensor::zeros({7 << 10}, DType::u8, cuda0));
}

TEST(CudaDevice, ErrorsAreNamed) {
  const Pretend pretend;
  EXPECT_ERROR(Tensor::zeros({1}, DType::f32, Device{DeviceKind::cuda, 3}),
               "device cuda:3: this machine has 1 CUDA device, cuda:0");
  sim::machine().devices = 3;
  sim::machine().major = 7, sim::machine().minor = 5;
  EXPECT_ERROR(
      Tensor::zeros({1}, DType::f32, Device{DeviceKind::cuda, 2}),
      "is of architecture sm_75; this program's kernels were compiled for sm_80 and later");
  sim::machine().devices = 0;
  EXPECT_ERROR(Tensor::zeros({1}, DType::f32, Device{DeviceKind::cuda, 1}),
               "no CUDA device was found");
  EXPECT_EQ(backend(cuda0).count(), 0);
}

TEST(CudaDevice, TwoDevices) {
  const Pretend pretend;
  sim::machine().devices = 2;
  const Device cuda1{DeviceKind::cuda, 1};
  const Tensor a = Tensor::full({3}, 4, DType::f32, cuda0).to(cuda1);
  EXPECT_EQ(a.device(), cuda1);
  EXPECT_EQ(run("sqrt", {a})[0].at(2), 2);
  EXPECT_ERROR(run("add", {a, a.to(cuda0)}), "must be on cuda:1 like the others");
}
#endif

}  // namespace
}  // namespace limbeck
