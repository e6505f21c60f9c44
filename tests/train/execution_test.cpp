// The settings of a thread (ops/execution.h): scopes, threads, and trainings side by side.
#include "ops/execution.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <thread>

#include "autograd/variable.h"
#include "ops_cpu/isa.h"
#include "ops_cpu/parallel.h"
#include "tests/train/trainings.h"

namespace limbeck {
namespace {

TEST(Execution, ScopesPutBackWhatTheyChanged) {
  {
    const ExecutionScope scope(with(&Execution::kernel, "reference"));
    const NoGrad no_grad;
    EXPECT_EQ(execution().kernel, "reference");
    EXPECT_FALSE(execution().gradients);
    set_execution(with(&Execution::products, Precision::tf32));
    EXPECT_EQ(execution().products, Precision::tf32);
  }
  EXPECT_EQ(execution().kernel, "");
  EXPECT_TRUE(execution().gradients);
  EXPECT_EQ(execution().products, Precision::f32);
}

TEST(Execution, AThreadBeginsWithTheDefaultsOrWithACopy) {
  const ExecutionScope scope(with(&Execution::kernel, "reference"));
  std::string bare = "?", handed;
  std::thread([&] { bare = execution().kernel; }).join();
  std::thread([&, mine = execution()] {
    const ExecutionScope inherited(mine);
    handed = execution().kernel;
  }).join();
  EXPECT_EQ(bare, "");
  EXPECT_EQ(handed, "reference");
}

TEST(Execution, HelpersOfAParallelRegionComputeAsTheirThread) {
  const int before = omp_get_max_threads();
  omp_set_num_threads(4);
  const auto helpers = [](Isa isa) {
    const ExecutionScope scope(with(&Execution::isa, isa));
    std::atomic<int> same = 0, all = 0;
    parallel_region([&] { ++all, same += current_isa() == isa; });
    EXPECT_EQ(all, omp_get_max_threads());
    EXPECT_EQ(same, all);
  };
  helpers(Isa::base);
  helpers(best_isa());
  std::atomic<int> left = 0;
#pragma omp parallel
  left += execution().isa.has_value();
  EXPECT_EQ(left, 0) << "and put back what they had";
  omp_set_num_threads(before);
}

TEST(Execution, TwoTrainingsOnTheCpuHaveTheBitsOfEachAlone) {
  expect_the_bits_of_each_alone(cpu, {}, with(&Execution::kernel, "reference"));
  if (best_isa() > Isa::base)
    expect_the_bits_of_each_alone(cpu, {}, with(&Execution::isa, Isa::base));
}

}  // namespace
}  // namespace limbeck
