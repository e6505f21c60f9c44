// The worked examples of docs/extending.md: each is one file of this folder, which nothing lists,
// stands in the page as it is, and works.
#include <gtest/gtest.h>

#include "apps/command.h"
#include "autograd/gradcheck.h"
#include "data/shapes.h"
#include "kd/distillation.h"
#include "kd/workflow.h"
#include "tensor/safetensors.h"
#include "tests/extending/focal_criterion.h"
#include "tests/kd/method_settings.h"
#include "train/supervised.h"

namespace limbeck {
namespace {

TEST(Extending, TheExamplesStandInThePageAsTheyAre) {
  const std::string page = read_file("docs/extending.md");
  for (const char* file : {"projection_method.cpp", "memory_method.cpp", "two_layers.cpp",
                           "focal_criterion.h", "count_command.cpp"})
    EXPECT_NE(page.find(cat("```cpp\n", read_file(cat("tests/extending/", file)), "```\n")),
              std::string::npos)
        << file;
}

data::Dataset few_shapes() { return data::load_shapes({.train = 40, .test = 1}, 16).train; }

double train_with(const std::string& method, nn::Module** auxiliary = nullptr) {
  static std::unique_ptr<kd::Distillation> distillation;
  const data::Dataset set = few_shapes(), none;
  const nn::ModelOptions options{.outputs = set.classes, .size = 16};
  const auto student = nn::create_model("two_layers", options);
  auto teacher = nn::create_model("resnet8", options);
  student->initialise(Stream(1));
  teacher->initialise(Stream(2));
  distillation = std::make_unique<kd::Distillation>(method, kd::create_method(method),
                                                    std::move(teacher), nn::Task::classification);
  nn::Monitor monitor;
  const train::ClassificationCriterion criterion;
  const double loss = train::fit({.network = *student,
                                  .train = set,
                                  .test = none,
                                  .standardisation = data::standardisation_of(set),
                                  .criterion = criterion,
                                  .stream = Stream(3),
                                  .monitor = monitor,
                                  .extra = distillation.get()},
                                 {.epochs = 2, .batch = 16, .milestones = {}})
                          .loss;
  if (auxiliary) *auxiliary = distillation->auxiliary();
  return loss;
}

TEST(Extending, AMethodWithAnAuxiliaryModule) {
  nn::Module* linear = nullptr;
  EXPECT_TRUE(std::isfinite(train_with("projection", &linear)));
  ASSERT_TRUE(linear);
  EXPECT_EQ(linear->parameter_count(), 16 * 64 + 64);
  EXPECT_TRUE(kd::ExperimentSettings().methods.entries.contains("projection"));
}

TEST(Extending, AMethodWithAMemory) {
  nn::Module* memory = nullptr;
  EXPECT_TRUE(std::isfinite(train_with("drift", &memory)));
  const Tensor bank = memory->state_dict().get("bank");
  EXPECT_EQ(bank.shape(), (Shape{40, 16}));
  for (int64_t row = 0; row < 40; ++row) {
    const auto values = bank.rows(row, row + 1).to_vector<float>();
    EXPECT_GT(*std::max_element(values.begin(), values.end()), 0) << "row " << row;
  }
}

TEST(Extending, ACriterion) {
  const data::Batch batch{.labels = Tensor::of<int64_t>({2, 0})};
  Tensor x = Tensor::empty({2, 3}, DType::f64);
  Stream(1).fill_normal(x);
  const train::FocalCriterion focal(2), plain(0);
  EXPECT_EQ(plain.loss(Variable(x), batch).item(),
            train::ClassificationCriterion().loss(Variable(x), batch).item());
  const auto report =
      gradcheck([&](const Variables& v) { return focal.loss(v[0], batch); }, {Variable(x, true)});
  EXPECT_TRUE(report.ok) << report.message;
}

TEST(Extending, ASubcommand) {
  const std::string path = testing::TempDir() + "limbeck_count.safetensors";
  TensorFile file;
  file.add("a", Tensor::zeros({2, 3}));
  file.add("b", Tensor::zeros({4}));
  write_safetensors(path, file);
  testing::internal::CaptureStdout();
  run_command("count", {path});
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "10\n");
}

}  // namespace
}  // namespace limbeck
