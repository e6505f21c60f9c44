// Copies that the host does not wait for: what arrives, and (through the shim) that every wait is
// there, by running streams as late as CUDA allows.
#include <gtest/gtest.h>

#include <cstring>

#include "data/dataset.h"
#include "ops/op.h"
#include "ops_cuda/pinned.h"
#include "tensor/device.h"
#include "tensor/transfer.h"
#include "tests/ops_cuda/late.h"

namespace limbeck {
namespace {

const Device cuda0{DeviceKind::cuda, 0};

Tensor affine(const Tensor& x, double shift) {
  return run_forward(find_op("affine"), {x}, {{"shift", shift}})[0];
}

/// Tensors of several types, an empty one and an undefined one, there and back.
void expect_round_trip() {
  const std::vector<Tensor> sent = {Tensor::of<float>({1, 2, 3}), Tensor(),
                                    Tensor::of<uint8_t>({7}), Tensor::empty({0, 4}),
                                    Tensor::of<int64_t>({-1, 5}, {2, 1})};
  const std::unique_ptr<Upload> upload = stage(sent, cuda0);
  upload->begin();
  const std::vector<Tensor> there = upload->finish();
  const std::vector<Tensor> back = read_later(there, cuda0)->wait();
  ASSERT_EQ(back.size(), sent.size());
  for (size_t i = 0; i < sent.size(); ++i) {
    ASSERT_EQ(back[i].defined(), sent[i].defined());
    if (!sent[i].defined()) continue;
    EXPECT_EQ(there[i].device(), cuda0);
    EXPECT_EQ(back[i].shape(), sent[i].shape());
    EXPECT_EQ(back[i].dtype(), sent[i].dtype());
    if (sent[i].numel() == 0) continue;
    EXPECT_EQ(std::memcmp(back[i].raw(), sent[i].raw(), static_cast<size_t>(sent[i].bytes())), 0);
  }
}

TEST(CudaTransfer, ThereAndBack) {
  expect_round_trip();
  EXPECT_EQ(stage({Tensor::of<float>({4})}, cpu)->finish()[0].item(), 4);
  EXPECT_EQ(read_later({Tensor::of<float>({4})}, cpu)->wait()[0].item(), 4);
  EXPECT_THROW(stage({Tensor::zeros({1}, DType::f32, cuda0)}, cuda0), Error);
  EXPECT_THROW(read_later({Tensor::zeros({1})}, cuda0), Error);
}

TEST(CudaTransfer, DownloadsKeepWhatTheTensorHeld) {
  const Tensor x = Tensor::full({5}, 3, DType::f32, cuda0);
  const std::unique_ptr<Download> first = read_later({x}, cuda0);
  x.fill(4);
  EXPECT_EQ(first->wait()[0].at(4), 3);
  EXPECT_EQ(x.at(4), 4);
}

TEST(CudaTransfer, DownloadsThrowWhatKernelsReported) {
  const Tensor rows = run_forward(
      find_op("embedding"),
      {Tensor::zeros({5, 2}, DType::f32, cuda0), Tensor::of<int64_t>({9}).to(cuda0)}, {})[0];
  EXPECT_THROW(read_later({rows}, cuda0)->wait(), Error);
}

// One turn late on a device, at once on the CPU, in order, and each turn with what it was when it
// was read.
TEST(CudaTransfer, LateReaderIsOneTurnBehind) {
  for (const Device device : {cuda0, cpu}) {
    const size_t behind = device == cpu ? 0 : 1;
    LateReader reader;
    std::vector<double> seen, expected;
    const Tensor x = Tensor::zeros({3}, DType::f32, device);
    for (int i = 0; i < 5; ++i) {
      x.fill(i);
      reader.read({x}, [&](const std::vector<Tensor>& on_host) {
        EXPECT_EQ(on_host[0].device(), cpu);
        seen.push_back(on_host[0].at(2));
      });
      expected.push_back(i);
      EXPECT_EQ(seen.size() + behind, expected.size()) << device;
    }
    reader.finish();
    EXPECT_EQ(seen, expected) << device;
  }
}

TEST(CudaTransfer, PageLockedBlocksComeBack) {
  for (int i = 0; i < 3; ++i) expect_round_trip();
  backend(cuda0).synchronise(0);
  const size_t blocks = cuda::pinned_pool(0).blocks();
  for (int i = 0; i < 50; ++i) expect_round_trip();
  EXPECT_EQ(cuda::pinned_pool(0).blocks(), blocks);
}

TEST(CudaTransfer, StagedTensorsMayBeForgotten) {
  { const auto unused = stage({Tensor::full({9}, 1)}, cuda0); }
  {
    const auto begun = stage({Tensor::full({9}, 1)}, cuda0);
    begun->begin();
  }
  EXPECT_EQ(affine(Tensor::zeros({9}, DType::f32, cuda0), 2).at(8), 2);
}

#if defined(LIMBECK_SIM)
// The shim itself: without a wait, the copy has not happened; with it, it has.
TEST(LateStreams, ShowAMissingWait) {
  const Tensor x = Tensor::zeros({4}, DType::f32, cuda0);
  backend(cuda0).synchronise(0);
  void* pinned = nullptr;
  ASSERT_EQ(cudaHostAlloc(&pinned, 16, cudaHostAllocDefault), cudaSuccess);
  std::memcpy(pinned, Tensor::full({4}, 1).raw(), 16);
  cudaStream_t other = nullptr;
  cudaEvent_t done = nullptr;
  ASSERT_EQ(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking), cudaSuccess);
  ASSERT_EQ(cudaEventCreateWithFlags(&done, cudaEventDisableTiming), cudaSuccess);
  late(Late::copies, [&] {
    ASSERT_EQ(cudaMemcpyAsync(x.raw(), pinned, 16, cudaMemcpyHostToDevice, other), cudaSuccess);
    ASSERT_EQ(cudaEventRecord(done, other), cudaSuccess);
    EXPECT_EQ(cudaEventQuery(done), cudaErrorNotReady);
    EXPECT_EQ(affine(x, 0).at(3), 0);  // nobody waited
    ASSERT_EQ(cudaStreamWaitEvent(cuda::stream(0), done, 0), cudaSuccess);
    EXPECT_EQ(affine(x, 0).at(3), 1);
    EXPECT_EQ(cudaEventQuery(done), cudaSuccess);
  });
  cudaEventDestroy(done), cudaStreamDestroy(other), cudaFreeHost(pinned);
}

TEST(LateStreams, LateComputeKeepsItsOrder) {
  late(Late::compute, [] {
    const Tensor x = Tensor::full({3}, 1, DType::f32, cuda0), y = affine(x, 1);
    x.copy_from(Tensor::full({3}, 5));
    EXPECT_EQ(affine(x, 1).at(0), 6);
    EXPECT_EQ(y.at(0), 2);
  });
}

TEST(CudaTransfer, WaitsForLateCopiesAndLateCompute) {
  for (const Late which : {Late::copies, Late::compute, Late::both})
    late(which, [which] {
      expect_round_trip();
      const double value =
          10 + static_cast<int>(which);  // page-locked memory may still hold the last one
      EXPECT_EQ(read_later({Tensor::full({5}, value, DType::f32, cuda0)}, cuda0)->wait()[0].at(4),
                value);
    });
}

// The copy gets the memory of a tensor that queued work still reads.
TEST(CudaTransfer, CopiesWaitForTheWorkThatUsedTheirMemory) {
  for (const Late which : {Late::compute, Late::both})
    late(which, [] {
      Tensor old = Tensor::full({1000}, 1, DType::f32, cuda0);
      const void* place = old.raw();
      const Tensor result = affine(old, 1);
      old = Tensor();
      const auto upload = stage({Tensor::full({1000}, 7)}, cuda0);
      upload->begin();
      const Tensor arrived = upload->finish()[0];
      ASSERT_EQ(arrived.raw(), place) << "the test needs the allocator to hand the block out again";
      EXPECT_EQ(result.at(999), 2);
      EXPECT_EQ(arrived.at(999), 7);
    });
}

// An upload that nobody finishes gives its memory to work on the compute stream, which must not be
// overwritten by the copy.
TEST(CudaTransfer, ForgottenCopiesEndBeforeTheirMemoryIsUsed) {
  late(Late::copies, [] {
    auto upload = stage({Tensor::full({1000}, 7)}, cuda0);
    upload->begin();
    upload.reset();
    const Tensor x = Tensor::full({1000}, 1, DType::f32, cuda0);
    backend(cuda0).synchronise(0);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    EXPECT_EQ(x.at(999), 1);
  });
}

TEST(CudaLoader, BatchesArriveWhateverRunsLate) {
  data::Dataset set;
  set.images = Tensor::empty({12, 2, 2, 1}, DType::u8);
  for (int64_t i = 0; i < set.images.numel(); ++i)
    set.images.data<uint8_t>()[i] = static_cast<uint8_t>(i);
  set.labels = Tensor::empty({12}, DType::i64);
  for (int64_t i = 0; i < 12; ++i) set.labels.data<int64_t>()[i] = i;
  set.classes = 12;
  for (const Late which : {Late::copies, Late::compute, Late::both})
    late(which, [&] {
      data::Loader loader(
          set, {.batch = 4, .standardisation = {{0.5}, {0.5}}, .threads = 2, .device = cuda0},
          Stream(1));
      std::vector<Tensor> sums;
      std::vector<std::vector<int64_t>> rows;
      for (int step = 0; step < 9; ++step) {
        const data::Batch b = loader.next();
        rows.push_back(b.index);
        sums.push_back(affine(b.labels.to(DType::f32),
                              0.5));  // read when all is queued; the batch is gone by then
      }
      for (size_t k = 0; k < sums.size(); ++k)
        for (size_t i = 0; i < 4; ++i)
          EXPECT_EQ(sums[k].at(static_cast<int64_t>(i)), static_cast<double>(rows[k][i]) + 0.5);
    });
}
#endif

}  // namespace
}  // namespace limbeck
