// ops_cuda/last_block.h: exactly one block goes on, after all have written, and the counter is zero again.
#include "ops_cuda/last_block.h"

#include <gtest/gtest.h>

#include <vector>

#include "ops_cuda/sim/simt.h"
#include "tests/ops_cuda/orders.h"

namespace limbeck::cuda {
namespace {

// Group g of `parts` blocks: total[g] = the sum of what its blocks wrote, joined in order by the last one.
__global__ void joined(const float* x, int parts, float* partial, float* total, int* went_on, unsigned* counters) {
  const int group = static_cast<int>(blockIdx.x) / parts, part = static_cast<int>(blockIdx.x) % parts;
  const float sum = block_sum(x[blockIdx.x * blockDim.x + threadIdx.x]);
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
    LAUNCH(joined, groups * parts, threads, 0, nullptr)(x.data(), parts, partial.data(), total.data(), went_on.data(), counters.data());
    EXPECT_EQ(went_on, std::vector<int>(groups, 1)) << order;
    EXPECT_EQ(counters, std::vector<unsigned>(groups, 0)) << order;
    if (expected.empty()) expected = total;
    EXPECT_EQ(total, expected) << order;
  });
  EXPECT_GT(expected.at(0), 0);
}

TEST(LastBlock, CountersAreZeroedAndFew) {
  const Tensor t = Tensor::zeros({1}, DType::f32, Device{DeviceKind::cuda, 0});
  std::vector<unsigned> counters(most_block_groups, 1);
  cuda_check(cudaMemcpyAsync(counters.data(), block_counters(t, most_block_groups), counters.size() * sizeof(unsigned), cudaMemcpyDeviceToHost, stream_of(t)));
  synchronise(0);
  EXPECT_EQ(counters, std::vector<unsigned>(counters.size(), 0));
  EXPECT_THROW(block_counters(t, most_block_groups + 1), Error);
}

}  // namespace
}  // namespace limbeck::cuda
