#include "nn/schedule.h"

#include <gtest/gtest.h>

namespace limbeck::nn {
namespace {

TEST(StepSchedule, StrictDropsOneEpochLater) {
  StepSchedule s{0.5, {2, 4}, 0.1, true};
  EXPECT_DOUBLE_EQ(s(2), 0.5);
  EXPECT_DOUBLE_EQ(s(3), 0.05);
  EXPECT_DOUBLE_EQ(s(5), 0.005);
  s.strict = false;
  EXPECT_DOUBLE_EQ(s(1), 0.5);
  EXPECT_DOUBLE_EQ(s(2), 0.05);
  EXPECT_DOUBLE_EQ(s(4), 0.005);
}

TEST(CosineSchedule, FallsFromTheFirstToTheLastRate) {
  const CosineSchedule s{0.5, 0.1, 10};
  EXPECT_DOUBLE_EQ(s(-3), 0.5);  // during a warm-up
  EXPECT_DOUBLE_EQ(s(0), 0.5);
  EXPECT_DOUBLE_EQ(s(5), 0.3);
  EXPECT_DOUBLE_EQ(s(10), 0.1);
  EXPECT_DOUBLE_EQ(s(11), 0.1);
}

TEST(WarmUp, RisesStepByStep) {
  EXPECT_DOUBLE_EQ(warm_up(0, 4), 0.25);
  EXPECT_DOUBLE_EQ(warm_up(3, 4), 1);
  EXPECT_DOUBLE_EQ(warm_up(4, 4), 1);
  EXPECT_DOUBLE_EQ(warm_up(0, 0), 1);
}

}  // namespace
}  // namespace limbeck::nn
