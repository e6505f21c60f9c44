// ops_cuda/last_block.h: exactly one block goes on, after all have written, and the counter is zero
// again.
#include "ops_cuda/last_block.h"

#include <gtest/gtest.h>

#include <vector>

#include "ops_cuda/device.h"
#include "ops_cuda/sim/simt.h"
#include "tensor/device.h"
#include "tests/ops_cuda/orders.h"

namespace limbeck::cuda {
namespace {

const Device cuda{DeviceKind::cuda, 0};

// Group g of `parts` blocks: total[g] = the sum of what its blocks wrote, joined in order by the
// last one. The launch has blocks from `first` on.
__global__ void joined(const float* x, int first, int parts, float* partial, float* total,
                       int* went_on, unsigned* counters) {
  const int block = first + static_cast<int>(blockIdx.x), group = block / parts,
            part = block % parts;
  const float sum = block_sum(x[static_cast<unsigned>(block) * blockDim.x + threadIdx.x]);
  if (threadIdx.x == 0) partial[group * parts + part] = sum;
  if (!last_of(static_cast<unsigned>(parts), counters + group)) return;
  if (threadIdx.x > 0) return;
  went_on[group] += 1;
  for (int p = 0; p < parts; ++p) total[group] += load_fresh(partial + group * parts + p);
}

TEST(LastBlock, OneBlockOfEachGroupJoinsWhatAllWrote) {
  constexpr int groups = 3, parts = 5, threads = 64;
  std::vector<float> x(groups * parts * threads);
  for (size_t i = 0; i < x.size(); ++i) x[i] = 1.0f / static_cast<float>(i + 1);
  std::vector<unsigned> counters(groups, 0);
  std::vector<float> expected;
  for_each_order([&](const char* order) {
    std::vector<float> partial(groups * parts, NAN), total(groups, 0);
    std::vector<int> went_on(groups, 0);
    LAUNCH(joined, groups * parts, threads, 0, nullptr)
    (x.data(), 0, parts, partial.data(), total.data(), went_on.data(), counters.data());
    EXPECT_EQ(went_on, std::vector<int>(groups, 1)) << order;
    EXPECT_EQ(counters, std::vector<unsigned>(groups, 0)) << order;
    if (expected.empty()) expected = total;
    EXPECT_EQ(total, expected) << order;
  });
  EXPECT_GT(expected.at(0), 0);
}

struct Work {
  static constexpr int parts = 5, threads = 32;
  std::vector<float> x = std::vector<float>(parts * threads, 1),
                     partial = std::vector<float>(parts), total = {0};
  std::vector<int> went_on = {0};
  void run(int first, int blocks, cudaStream_t stream) {
    LAUNCH(joined, blocks_for(blocks, 1), threads, 0, stream)
    (x.data(), first, parts, partial.data(), total.data(), went_on.data(),
     block_counters(Tensor::empty({1}, DType::f32, cuda), 1, stream));
  }
};

TEST(LastBlock, LaunchesOnTwoStreamsDoNotCountEachOthersBlocks) {
  cudaStream_t other = nullptr;
  cuda_check(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking));
  Work a, b;
  a.run(0, 3,
        stream(
            // the shim runs a launch as a whole: two launches stand for one that another stream's
            // work interrupts
            0));
  b.run(0, 5, other);
  EXPECT_EQ(b.went_on[0], 1);
  EXPECT_EQ(b.total[0], 160) << "the sum of all its parts";
  a.run(3, 2, stream(0));
  EXPECT_EQ(a.went_on[0], 1);
  EXPECT_EQ(a.total[0], 160);
  cuda_check(cudaStreamDestroy(other));
}

TEST(LastBlock, ARecordingHasCountersOfItsOwn) {
  Work eager, recorded;
  eager.run(0, 3, stream(0));
  backend(cuda).begin_recording(0);
  recorded.run(0, 5, stream(0));
  const auto graph = backend(cuda).end_recording(0);
  for (int replays = 1; replays <= 2; ++replays) {
    recorded.total[0] = 0;
    graph->replay();
    EXPECT_EQ(recorded.went_on[0], replays);
    EXPECT_EQ(recorded.total[0], 160);
  }
  eager.run(3, 2, stream(0));
  EXPECT_EQ(eager.total[0], 160);
}

TEST(LastBlock, CountersAreZeroedAndFew) {
  const Tensor t = Tensor::zeros({1}, DType::f32, cuda);
  std::vector<unsigned> counters(most_block_groups, 1);
  cuda_check(cudaMemcpyAsync(counters.data(), block_counters(t, most_block_groups, stream(0)),
                             counters.size() * sizeof(unsigned), cudaMemcpyDeviceToHost,
                             stream(0)));
  synchronise(0);
  EXPECT_EQ(counters, std::vector<unsigned>(counters.size(), 0));
  EXPECT_THROW(block_counters(t, most_block_groups + 1, stream(0)), Error);
}

}  // namespace
}  // namespace limbeck::cuda
