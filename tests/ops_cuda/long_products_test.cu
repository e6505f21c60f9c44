// Long sums of the tiled products (ops_cuda/implicit_gemm.h): how they are cut, and results whose
// parts do not fit the workspace at once.
#include <gtest/gtest.h>

#include "ops/execution.h"
#include "ops/op.h"
#include "ops_cuda/implicit_gemm.h"
#include "tensor/random.h"

namespace limbeck::cuda {
namespace {

Plan plan_of(int m, int n, int items) {
  return {.m = m,
          .n = n,
          .tiles_m = static_cast<int>(ceil_div(m, 128)),
          .tiles_n = static_cast<int>(ceil_div(n, 128)),
          .items = items};
}

// The GPU is busy with the tiles of these; they are cut for the sake of the sums.
TEST(LongProducts, NoSumTakesMoreThan8192Terms) {
  for (const int items : {1, 3, 40})
    for (const int m : {1, 300, 4096, 20000})
      for (const int n : {1, 64, 4096})
        for (const int k : {1, 16, 8192, 8193, 1 << 17, (1 << 17) + 5}) {
          Plan plan = plan_of(m, n, items);
          split(plan, k, 16);
          EXPECT_LE(plan.k_per_part, 8192) << m << " x " << n << " x " << k << ", " << items;
          EXPECT_GE(int64_t{plan.parts} * plan.k_per_part, k);
          EXPECT_LT(int64_t{plan.parts - 1} * plan.k_per_part, k);
        }
}

TEST(LongProducts, WhatOneLaunchComputesFitsTheWorkspace) {
  for (const int m : {100, 4096, 100000}) {
    Plan plan = plan_of(m, 4096, 1);
    split(plan, 1 << 17, 16);
    const int rows = rows_of_launch<Tile128x128>(plan);
    EXPECT_TRUE(rows == m || rows % 128 == 0) << rows;
    EXPECT_LE(int64_t{plan.parts} * rows * plan.n, workspace_limit) << m;
    EXPECT_GT(rows, 0);
  }
  Plan whole = plan_of(100000, 4096, 1);
  split(whole, 512, 16);
  EXPECT_EQ(rows_of_launch<Tile128x128>(whole), whole.m) << "a sum that is not split";
}

// 32 parts of 16584 x 32 sums are more than the workspace holds: a second launch does the last
// rows, of an incomplete tile.
TEST(LongProducts, ASecondLaunchComputesTheRestOfTheRows) {
  const int64_t m = 16584, n = 32, k = 512;
  const Device device{DeviceKind::cuda, 0};
  const Tensor x = Tensor::empty({m, k}), w = Tensor::empty({n, k}), b = Tensor::empty({n});
  Stream stream(1);
  for (const Tensor& t : {x, w, b}) stream.fill_uniform(t, -1, 1);
  const auto linear = [&](Device where) {
    const Tensors in{x.to(where), w.to(where), b.to(where)};
    return run_forward(find_op("linear"), in, {})[0].to(cpu);
  };
  const Tensor expected = linear(cpu);
  const ExecutionScope cut(with(&Execution::cuts, ProductCuts{.tile = 128032, .parts = 32}));
  const Tensor found = linear(device);
  for (int64_t i = 0; i < found.numel(); ++i)
    ASSERT_NEAR(found.data<float>()[i], expected.data<float>()[i], 2e-4) << "row " << i / n;
}

}  // namespace
}  // namespace limbeck::cuda
