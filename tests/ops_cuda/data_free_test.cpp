// Data-free distillation on the device cuda beside the CPU, from the same seed; its steps are
// replayed from recorded graphs.
#include <gtest/gtest.h>

#include <cmath>

#include "ops/execution.h"
#include "tests/kd/data_free_toy.h"

namespace limbeck::kd::data_free {
namespace {

constexpr Device cuda{DeviceKind::cuda, 0};

struct Trained {
  std::vector<double> losses, generator_losses;
  int64_t teacher_calls = 0;
};

Trained trained_with(Settings s, Device device, double lr = 1e-3,
                     nn::Task task = nn::Task::classification) {
  s.generator.lr = s.lr = lr, s.final_lr = 0;
  Toy toy(s, device, task);
  Metrics monitor;
  toy.train(s, monitor);
  return {monitor.all.at("loss"), monitor.all.at("generator_loss"), toy.teacher->calls};
}

Trained trained_on(Device device, const std::string& method, double lr = 1e-3) {
  return trained_with(toy_settings(method), device, lr);
}

void expect_near(const std::vector<double>& found, const std::vector<double>& expected,
                 double tolerance) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i)
    EXPECT_NEAR(found[i], expected[i], tolerance * (1 + std::abs(expected[i]))) << "epoch " << i;
}

class CudaDataFree : public testing::TestWithParam<std::string> {};

TEST_P(CudaDataFree, LossesAreThoseOfTheCpu) {
  const Trained expected = trained_on(cpu, GetParam()), found = trained_on(cuda, GetParam());
  expect_near(found.losses, expected.losses, 5e-3);
  expect_near(found.generator_losses, expected.generator_losses, 5e-3);
  const Settings s = toy_settings(GetParam());
  const int64_t syntheses = s.synthesis.used() ? s.epochs * s.rounds : 0,
                views = s.synthesis.contrast.weight > 0 ? 2 : 1;
  // Of each step two as usual and one recorded; a synthesis is a step of its own. A contrast asks
  // before how many features there are.
  const int64_t calls = syntheses > 0 ? syntheses * s.generator_steps * views + 3 + (views - 1)
                        : s.order == "joint" ? 3
                                             : 6;
  EXPECT_EQ(found.teacher_calls, calls);
}

TEST(CudaDataFreeResponses, LossesAreThoseOfTheCpu) {
  const Settings s = toy_responses();
  const Trained expected = trained_with(s, cpu, 1e-3, nn::Task::regression),
                found = trained_with(s, cuda, 1e-3, nn::Task::regression);
  expect_near(found.losses, expected.losses, 5e-3);
  expect_near(found.generator_losses, expected.generator_losses, 5e-3);
  EXPECT_EQ(found.teacher_calls, 6) << "of each step two as usual and one recorded";
}

/// Its first round has no pool: two student's steps, then those beside one.
TEST(CudaDataFreePool, LossesAreThoseOfTheCpu) {
  for (const bool regresses : {false, true}) {
    const nn::Task task = regresses ? nn::Task::regression : nn::Task::classification;
    Settings s = with_pool(regresses ? toy_responses() : toy_settings("cgdd"));
    s.student_steps = 3;
    const Trained expected = trained_with(s, cpu, 1e-3, task),
                  found = trained_with(s, cuda, 1e-3, task);
    expect_near(found.losses, expected.losses, 5e-3);
    expect_near(found.generator_losses, expected.generator_losses, 5e-3);
    EXPECT_EQ(found.teacher_calls, 9) << "of each step two as usual and one recorded";
  }
}

/// Targets are drawn on the host and go into the recorded steps.
TEST(CudaDataFreeTargets, LossesAreThoseOfTheCpu) {
  for (const char* method : {"cgdd", "deepinversion"}) {
    SCOPED_TRACE(method);
    Settings s = toy_settings(method);
    s.loss.targets = "dirichlet";
    const Trained expected = trained_with(s, cpu), found = trained_with(s, cuda);
    expect_near(found.losses, expected.losses, 5e-3);
    expect_near(found.generator_losses, expected.generator_losses, 5e-3);
    if (s.synthesis.used()) continue;
    EXPECT_EQ(found.teacher_calls, 6) << "of each step two as usual and one recorded";
  }
}

/// Those that share no term; of the others syntheses take long on the shim.
class CudaDataFreeBf16 : public testing::TestWithParam<std::string> {};

TEST_P(CudaDataFreeBf16, LossesAreNear) {
  const Trained expected = trained_on(cpu, GetParam(), 1e-6);
  const ExecutionScope bf16(with(&Execution::activations, DType::bf16));
  const Trained found = trained_on(cuda, GetParam(), 1e-6);
  expect_near(found.losses, expected.losses, 0.1);
  expect_near(found.generator_losses, expected.generator_losses, 0.1);
}

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const Entry& e : all_entries()) all.push_back(e.name);
  return all;
}
INSTANTIATE_TEST_SUITE_P(AllMethods, CudaDataFree, testing::ValuesIn(names()),
                         [](const auto& info) { return info.param; });
INSTANTIATE_TEST_SUITE_P(Some, CudaDataFreeBf16, testing::Values("cgdd", "dafl", "zskt"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace limbeck::kd::data_free
