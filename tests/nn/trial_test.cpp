// A trial ends loops after a few steps and counts what a whole run would take.
#include "nn/trial.h"

#include <gtest/gtest.h>

#include <thread>

#include "nn/monitor.h"

namespace limbeck::nn {
namespace {

void wait(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

TEST(Trial, EndsEarlyAndCountsAllSteps) {
  Trial trial(0.05);
  int64_t done = 0;
  wait(0.1);  // of no step
  for (const int64_t total = 1000; done < total;) {
    wait(done == 0 ? 0.1 : 0.01);  // the first step is slow
    ++done;
    if (trial.enough(total)) break;
  }
  EXPECT_LT(done, 10);
  EXPECT_EQ(trial.cost.steps, 1000);
  EXPECT_GT(trial.cost.seconds_per_step, 0.0099);
  EXPECT_LT(trial.cost.seconds_per_step, 0.1) << "the slow first step does not count";
  EXPECT_NEAR(trial.cost.seconds, 1000 * trial.cost.seconds_per_step, 1e-9);
}

TEST(Trial, AddsLoopsAndWhatComesWithThem) {
  Trial trial(0);
  for (const int64_t total : {100, 10, 1}) {
    int64_t done = 0;
    while (done < total) {
      wait(0.001);
      ++done;
      if (trial.enough(total)) break;
    }
    EXPECT_LE(done, 2);
  }
  EXPECT_EQ(trial.cost.steps, 111);
  const double before = trial.cost.seconds;
  trial.measure(100, [] { wait(0.002); });
  EXPECT_GT(trial.cost.seconds, before + 0.2);
}

TEST(Trial, AnEarnestRunHasNone) {
  Monitor monitor;
  bool finished = false;
  EXPECT_FALSE(tried_enough(monitor, 1, [&] { finished = true; }));
  EXPECT_FALSE(finished);
}

}  // namespace
}  // namespace limbeck::nn
