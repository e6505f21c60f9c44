// cuBLAS and cuDNN through stand-ins that compute what the manuals say (tests/ops_cuda/fake/): what
// is passed, on which stream, with which mathematics; that graphs record it; and what happens
// without the libraries. That every case of the operators gives the reference's results through
// them is in tests/ops_cuda/table_test.cpp.
#include <gtest/gtest.h>

#include <cstdlib>

#include "ops/cases.h"
#include "ops/check.h"
#include "ops/tuner.h"
#include "ops_cuda/cublas.h"
#include "ops_cuda/cudnn.h"
#include "ops_cuda/precision.h"
#include "ops_cuda/vendor.h"
#include "tensor/device.h"
#include "tensor/random.h"
#include "tests/ops_cuda/errors.h"
#include "tests/ops_cuda/sim/fake_libraries.h"

namespace limbeck {
namespace {

constexpr Device gpu{DeviceKind::cuda};

Tensor random(Shape shape, uint64_t seed, Device device = gpu) {
  const Tensor t = Tensor::empty(shape);
  Stream(seed).fill_uniform(t, -1, 1);
  return t.to(device);
}

Tensor product(const Tensor& x, const Tensor& w) {
  const ExecutionScope only(with(&Execution::kernel, "cublas"));
  return run_forward(find_op("linear"), {x, w, {}}, {})[0];
}
Tensor convolution(const Tensor& x, const Tensor& w) {
  const ExecutionScope only(with(&Execution::kernel, "cudnn"));
  return run_forward(find_op("conv2d"), {x, w, {}}, {{"padding", int64_t{1}}})[0];
}

void expect_equal(const Tensor& found, const Tensor& expected) {
  const Tensor a = found.to(cpu), b = expected.to(cpu);
  ASSERT_EQ(a.shape(), b.shape());
  for (int64_t i = 0; i < a.numel(); ++i)
    ASSERT_NEAR(a.data<float>()[i], b.data<float>()[i], 1e-5) << "element " << i;
}

Tensor reference(const char* op, const Tensor& x, const Tensor& w, const Attrs& attrs) {
  const ExecutionScope only(with(&Execution::kernel, "reference"));
  return run_forward(find_op(op), {x.to(cpu), w.to(cpu), {}}, attrs)[0];
}

TEST(Vendor, LibrariesAreCalledWithAWorkspaceOfOurs) {
  const Tensor image = random({1, 4, 4, 2}, 3), filter = random({3, 3, 3, 2}, 4);
  convolution(image, filter);  // the first call of a size makes trials
  const fake::State blas = fake_cublas(), dnn = fake_cudnn();
  product(random({4, 3}, 1), random({5, 3}, 2));
  convolution(image, filter);
  EXPECT_EQ(fake_cublas().calls, blas.calls + 1);
  EXPECT_EQ(fake_cudnn().calls, dnn.calls + 1);
  EXPECT_GE(fake_cublas().workspace, 4096u);
  EXPECT_EQ(fake_cudnn().workspace, 1000u);
  EXPECT_EQ(cuda::cublas::description(),
            cat("cuBLAS 13.1.7 (", std::getenv("LIMBECK_CUBLAS"), ")"));
  EXPECT_EQ(cuda::cudnn::description(), cat("cuDNN 9.19.7 (", std::getenv("LIMBECK_CUDNN"), ")"));
}

TEST(Vendor, OneHandlePerDevice) {
  product(random({4, 3}, 1), random({5, 3}, 2));
  const int before = fake_cublas().creations;
  product(random({4, 3}, 1), random({5, 3}, 2));
  EXPECT_EQ(fake_cublas().creations, before);
}

TEST(Vendor, BatchesAndSumsThatLieTogetherAreOneCall) {
  const ExecutionScope only(with(&Execution::kernel, "cublas"));
  const Op& op = find_op("matmul");
  const Tensor a = random({3, 4, 5}, 1), b = random({5, 2}, 2), dc = random({3, 4, 2}, 3);
  int before = fake_cublas().calls;
  const Tensor c = run_forward(op, {a, b}, {})[0];
  EXPECT_EQ(fake_cublas().calls, before + 1);
  before = fake_cublas().calls;
  const std::vector<TensorSpec> specs{{a.shape(), DType::f32}, {b.shape(), DType::f32}};
  run_backward(op, {a, b}, {}, {dc}, specs, {false, true},
               {});  // sums over the batch: one product with a longer k
  EXPECT_EQ(fake_cublas().calls, before + 1);
}

TEST(Vendor, MultipliesInTheAskedPrecision) {
  const ExecutionScope scope;
  const auto multiply_in = [](Precision p) { set_execution(with(&Execution::products, p)); };
  const Tensor x = random({4, 3}, 1), w = random({5, 3}, 2), image = random({1, 4, 4, 2}, 3),
               filter = random({3, 3, 3, 2}, 4);
  multiply_in(Precision::f32);
  product(x, w), convolution(image, filter);
  EXPECT_EQ(fake_cublas().math, cuda::cublas::default_math);
  EXPECT_EQ(fake_cudnn().math, cuda::cudnn::fma_math);  // default_math would allow TF32
  multiply_in(Precision::tf32);
  product(x, w), convolution(image, filter);
  EXPECT_EQ(fake_cublas().math, cuda::cublas::tf32_tensor_op_math);
  EXPECT_EQ(fake_cudnn().math, cuda::cudnn::default_math);
  multiply_in(Precision::bf16);
  EXPECT_NE(error_of([&] { product(x, w); }).find("no f32 kernel named 'cublas'"),
            std::string::npos);
  EXPECT_NE(error_of([&] { convolution(image, filter); }).find("no f32 kernel named 'cudnn'"),
            std::string::npos);
}

TEST(Vendor, DataInBf16IsMultipliedAsItIs) {
  const Tensor x = random({4, 3}, 1), w = random({5, 3}, 2), image = random({1, 4, 4, 2}, 3),
               filter = random({3, 3, 3, 2}, 4);
  for (const Precision precision :
       {Precision::f32, Precision::bf16}) {  // the precision is that of products of f32 data
    const ExecutionScope scope(with(&Execution::products, precision));
    const Tensor y = product(x.to(DType::bf16), w), z = convolution(image.to(DType::bf16), filter);
    EXPECT_TRUE(fake_cublas().in_bf16 && fake_cudnn().in_bf16);
    EXPECT_EQ(fake_cublas().math, cuda::cublas::default_math);
    EXPECT_EQ(fake_cudnn().math, cuda::cudnn::default_math);
    EXPECT_EQ(y.dtype(), DType::bf16);
    EXPECT_EQ(z.dtype(), DType::bf16);
  }
  product(x, w), convolution(image, filter);
  EXPECT_FALSE(fake_cublas().in_bf16 || fake_cudnn().in_bf16);
}

// The gradient of a matrix that serves the whole batch is a sum of products: rounded to bf16 after
// each, 256 + 1 + 1 - 256 would be 0.
TEST(Vendor, SumsOfProductsStayInF32) {
  const ExecutionScope only(with(&Execution::kernel, "cublas"));
  const Tensor a = Tensor::empty({2, 1}), b = Tensor::empty({4, 1, 1}),
               dc = Tensor::empty({4, 2, 1});
  a.fill(1), b.fill(1);
  const float terms[] = {256, 1, 1, -256};
  for (int64_t i = 0; i < 8; ++i) dc.data<float>()[i] = terms[i / 2];
  const auto there = [](const Tensor& t) { return t.to(DType::bf16).to(gpu); };
  const std::vector<TensorSpec> specs{{a.shape(), DType::bf16}, {b.shape(), DType::bf16}};
  const Tensor da = run_backward(find_op("matmul"), {there(a), there(b)}, {}, {there(dc)}, specs,
                                 {true, false}, {})[0]
                        .to(DType::f32)
                        .to(cpu);
  EXPECT_EQ(da.data<float>()[0], 2.f);
  EXPECT_EQ(da.data<float>()[1], 2.f);
}

TEST(Vendor, NeverRunByThemselves) {
  const int blas = fake_cublas().calls, dnn = fake_cudnn().calls;
  run_forward(find_op("linear"), {random({4, 3}, 1), random({5, 3}, 2), {}}, {});
  run_forward(find_op("conv2d"), {random({1, 4, 4, 2}, 3), random({3, 3, 3, 2}, 4), {}}, {});
  EXPECT_EQ(fake_cublas().calls, blas);
  EXPECT_EQ(fake_cudnn().calls, dnn);
}

TEST(Vendor, AGraphRecordsThem) {
  const Tensor x = random({4, 3}, 1), w = random({5, 3}, 2), image = random({1, 4, 4, 2}, 3),
               filter = random({3, 3, 3, 2}, 4);
  product(x, w), convolution(image, filter);  // the first call is eager
  DeviceBackend& device = backend(gpu);
  device.begin_recording(0);
  const Tensor y = product(x, w), z = convolution(image, filter);
  const auto recorded = device.end_recording(0);
  const Tensor new_x = random({4, 3}, 11), new_image = random({1, 4, 4, 2}, 13);
  device.copy(x.raw(), gpu, new_x.raw(), gpu, static_cast<size_t>(x.bytes()));
  device.copy(image.raw(), gpu, new_image.raw(), gpu, static_cast<size_t>(image.bytes()));
  recorded->replay();
  expect_equal(y, reference("linear", new_x, w, {}));
  expect_equal(z, reference("conv2d", new_image, filter, {{"padding", int64_t{1}}}));
}

TEST(Vendor, SettingUpInsideARecordingIsAnError) {
  const int devices = sim::machine().devices;
  sim::machine().devices = std::max(devices, 4);
  const Device last{DeviceKind::cuda, 3};  // no other test calls a library there
  const Tensor x = random({4, 3}, 1, last), w = random({5, 3}, 2, last),
               image = random({1, 4, 4, 2}, 3, last), filter = random({3, 3, 3, 2}, 4, last);
  backend(last).begin_recording(3);
  const std::string blas = error_of([&] { product(x, w); }),
                    dnn = error_of([&] { convolution(image, filter); });
  backend(last).end_recording(3);
  EXPECT_NE(blas.find("cuBLAS: its first call must not be part of a recorded step"),
            std::string::npos)
      << blas;
  EXPECT_NE(dnn.find("cuDNN: its first call must not be part of a recorded step"),
            std::string::npos)
      << dnn;
  expect_equal(product(x, w), reference("linear", x, w, {}));  // and outside it works
  sim::machine().devices = devices;
}

TEST(Vendor, AHandleThatCannotBeMadeIsAnErrorAndTriedAgain) {
  const int devices = sim::machine().devices;
  sim::machine().devices = std::max(devices, 5);
  const Device last{DeviceKind::cuda, 4};  // no other test calls a library there
  const Tensor x = random({4, 3}, 1, last), w = random({5, 3}, 2, last),
               image = random({1, 4, 4, 2}, 3, last), filter = random({3, 3, 3, 2}, 4, last);
  fake_cublas().fail_to_create = fake_cudnn().fail_to_create = true;
  const std::string blas = error_of([&] { product(x, w); }),
                    dnn = error_of([&] { convolution(image, filter); });
  fake_cublas().fail_to_create = fake_cudnn().fail_to_create = false;
  EXPECT_EQ(blas, "cuBLAS: cublasCreate: CUBLAS_STATUS_NOT_INITIALIZED (status 1)");
  EXPECT_EQ(dnn, "cuDNN: cudnnCreate: CUDNN_STATUS_NOT_INITIALIZED (status 1001)");
  expect_equal(product(x, w), reference("linear", x, w, {}));
  expect_equal(convolution(image, filter),
               reference("conv2d", image, filter, {{"padding", int64_t{1}}}));
  sim::machine().devices = devices;
}

TEST(Vendor, AConvolutionForWhichCudnnOffersNothingIsNotItsOwn) {
  const Tensor image = random({1, 5, 7, 2}, 3),
               filter = random({3, 3, 3, 2}, 4);  // a size of which no plan is kept
  fake_cudnn().offer_nothing = true;
  const std::string error = error_of([&] { convolution(image, filter); });
  fake_cudnn().offer_nothing = false;
  EXPECT_NE(error.find("conv2d: no f32 kernel named 'cudnn' for device cuda:0 serves this call"),
            std::string::npos)
      << error;
}

/// Kernel "cudnn" for f32 data.
Kernel cudnn_kernel() {
  for (const Kernel* k : kernels_of("conv2d"))
    if (k->name == "cudnn" && k->dtype == DType::f32) return *k;
  fail("conv2d has no kernel cudnn");
}

// What it does not support is that case's loss alone: skipped, not failed, and every other one is
// served.
TEST(Vendor, AConvolutionThatCudnnDoesNotSupportIsOneCaseLess) {
  const OpCase unsupported{{{{1, 8, 9, 2}}, {{3, 5, 3, 2}}, {.shape = {3}, .given = false}},
                           {{"padding", int64_t{2}}},
                           false};  // sizes of which no plan is kept
  const OpCase supported{{{{1, 8, 9, 2}}, {{3, 3, 5, 2}}, {.shape = {3}, .given = false}},
                         {{"padding", int64_t{2}}},
                         false};
  fake_cudnn().unsupported_window = 5;
  const CheckReport without = check_kernel(find_op("conv2d"), unsupported, cudnn_kernel()),
                    with = check_kernel(find_op("conv2d"), supported, cudnn_kernel());
  fake_cudnn().unsupported_window = 0;
  EXPECT_TRUE(without.ok && without.skipped) << without.message;
  EXPECT_TRUE(with.ok && !with.skipped) << with.message;
}

// The stand-in offers an algorithm that refuses sizes only when it is called: a trial finds that
// out, and the next one serves.
TEST(Vendor, AnAlgorithmThatRefusesItsCallIsPassedOver) {
  const Tensor image = random({2, 5, 4, 3}, 3), filter = random({2, 3, 3, 3}, 4);
  const int before = fake_cudnn().calls;
  expect_equal(convolution(image, filter),
               reference("conv2d", image, filter, {{"padding", int64_t{1}}}));
  EXPECT_EQ(fake_cudnn().calls, before + 4) << "a trial of each direction, and the call";
  convolution(image, filter);
  EXPECT_EQ(fake_cudnn().calls, before + 5);
}

TEST(Vendor, SizesThatCudnnDoesNotKnowYetAreNotPlannedInsideARecording) {
  const Tensor image = random({1, 6, 4, 2}, 3), filter = random({3, 3, 3, 2}, 4);
  convolution(random({1, 4, 4, 2}, 3), filter);  // the handle is there
  DeviceBackend& device = backend(gpu);
  device.begin_recording(0);
  const std::string error = error_of([&] { convolution(image, filter); });
  device.end_recording(0);
  EXPECT_NE(error.find("cuDNN, for sizes that are new to it: its first call must not be part of a "
                       "recorded step"),
            std::string::npos)
      << error;
}

TEST(Vendor, ErrorsNameTheCallAndTheStatus) {
  fake_cublas().fail = fake_cudnn().fail = true;
  const std::string blas = error_of([] { product(random({4, 3}, 1), random({5, 3}, 2)); });
  const std::string dnn = error_of([] {
    convolution(random({1, 4, 4, 2}, 3), random({3, 3, 3, 2}, 4));
  });
  fake_cublas().fail = fake_cudnn().fail = false;
  EXPECT_EQ(blas, "cuBLAS: cublasSgemmStridedBatched: CUBLAS_STATUS_EXECUTION_FAILED (status 13)");
  EXPECT_EQ(dnn, "cuDNN: cudnnConvolutionForward: CUDNN_STATUS_EXECUTION_FAILED (status 5000)");
}

TEST(Vendor, OwnForbidsThem) {
  const ExecutionScope scope;
  set_kernel_policy(KernelPolicy::own, gpu);
  const std::string missing = cuda::cublas::missing(),
                    named = error_of([] {
                      product(random({4, 3}, 1), random({5, 3}, 2));
                    });
  set_kernel_policy(KernelPolicy::rule, gpu);
  EXPECT_EQ(missing, "cuBLAS is forbidden by --kernels own");
  EXPECT_NE(named.find("cublas f32 (cuBLAS is forbidden by --kernels own)"), std::string::npos)
      << named;
  EXPECT_EQ(cuda::cublas::missing(), "");
}

// Policies that were set are what counts, not whether the library was opened before.
TEST(Vendor, OwnNeverReachesALibrary) {
  const fake::State blas = fake_cublas(), dnn = fake_cudnn();
  set_kernel_policy(KernelPolicy::own, gpu);
  run_forward(find_op("linear"), {random({4, 3}, 1), random({5, 3}, 2), {}}, {});
  run_forward(find_op("conv2d"), {random({1, 4, 4, 2}, 3), random({3, 3, 3, 2}, 4), {}}, {});
  const std::string dnn_named = error_of([] {
    convolution(random({1, 4, 4, 2}, 3), random({3, 3, 3, 2}, 4));
  });
  set_kernel_policy(KernelPolicy::rule, gpu);
  EXPECT_NE(dnn_named.find("cudnn f32 (cuDNN is forbidden by --kernels own)"), std::string::npos)
      << dnn_named;
  EXPECT_EQ(fake_cublas().calls, blas.calls);
  EXPECT_EQ(fake_cudnn().calls, dnn.calls);
}

TEST(VendorLibrary, NotThere) {
  cuda::VendorLibrary library("cuNothing", "LIMBECK_CUNOTHING",
                              {"libcunothing.so.2", "libcunothing.so.1"});
  const std::string missing = library.missing();
  EXPECT_EQ(missing.find("cuNothing is not on this machine: libcunothing.so.2: cannot open"), 0u)
      << missing;
  EXPECT_NE(missing.find("libcunothing.so.1: cannot open"), std::string::npos) << missing;
  EXPECT_NE(missing.find("LIMBECK_CUNOTHING=PATH names another file"), std::string::npos)
      << missing;
  EXPECT_EQ(error_of([&] { library.file(); }), missing);
}

TEST(VendorLibrary, AWrongPathIsAnErrorEachTime) {
  setenv("LIMBECK_CUNOTHING", "/nowhere/libcublas.so", 1);
  cuda::VendorLibrary library("cuNothing", "LIMBECK_CUNOTHING", {"libc.so.6"});
  for (int i = 0; i < 2; ++i)
    EXPECT_EQ(
        error_of([&] {
          library.missing();
        }).find("environment variable LIMBECK_CUNOTHING: cannot open /nowhere/libcublas.so: "),
        0u);
  unsetenv("LIMBECK_CUNOTHING");
}

TEST(VendorLibrary, AFileThatIsAnotherLibrary) {
  setenv("LIMBECK_CUNOTHING", std::getenv("LIMBECK_CUDNN"), 1);
  cuda::VendorLibrary library("cuNothing", "LIMBECK_CUNOTHING", {});
  EXPECT_EQ(library.missing(), "");
  cuda::cublas::Create* create = nullptr;
  EXPECT_EQ(
      error_of([&] { library.find(create, "cublasCreate_v2"); }),
      cat(std::getenv("LIMBECK_CUDNN"),
          " has no function cublasCreate_v2: it is not the cuNothing that this program knows"));
  unsetenv("LIMBECK_CUNOTHING");
}

TEST(VendorLibrary, TooOld) {
  setenv("LIMBECK_CUNOTHING", std::getenv("LIMBECK_CUDNN"), 1);
  cuda::VendorLibrary library("cuNothing", "LIMBECK_CUNOTHING", {}, [] {
    return std::string("cuNothing 1.0 is too old: version 2 or newer serves");
  });
  EXPECT_EQ(library.missing(), "cuNothing 1.0 is too old: version 2 or newer serves");
  EXPECT_EQ(error_of([&] { library.file(); }), library.missing());
  cuda::VendorLibrary lacking("cuNothing", "LIMBECK_CUNOTHING", {},
                              []() -> std::string { fail("cuNothing has no function cuThink"); });
  EXPECT_EQ(lacking.missing(), "cuNothing has no function cuThink");
  unsetenv("LIMBECK_CUNOTHING");
}

TEST(VendorLibrary, TheSimulatedDeviceOpensStandInsOnly) {
  cuda::VendorLibrary library("cuNothing", "LIMBECK_CUNOTHING", {"libz.so.1"});
  EXPECT_EQ(library.missing(),
            "cuNothing: libz.so.1 needs a GPU; the simulated device opens stand-ins only "
            "(LIMBECK_CUNOTHING=PATH)");
}

}  // namespace
}  // namespace limbeck
