// Rademacher complexity: trainings on random signs, on small images.
#include "kd/rademacher.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "tests/data/temporary.h"
#include "tests/nn/stopping.h"

namespace limbeck::kd {
namespace {

using test::Stopping;

data::Dataset noise(int64_t n, bool different = true) {
  data::Dataset d;
  d.images = Tensor::empty({n, 8, 8, 3}, DType::u8);
  Stream s(5);
  for (int64_t i = 0; i < d.images.numel(); ++i)
    d.images.data<uint8_t>()[i] = static_cast<uint8_t>(different ? s.below(256) : i % 200);
  d.labels = Tensor::zeros({n}, DType::i64), d.classes = 2;
  return d;
}

std::unique_ptr<nn::Network> sign_network(const Stream& stream) {
  auto made = std::make_unique<SignNetwork>(
      nn::create_model("resnet8", {.outputs = 2, .channels = 3, .size = 8}), 3, 8);
  made->initialise(stream);
  return made;
}

SignTraining training() {
  train::Settings s;
  s.batch = 8, s.lr = 0.05;
  return {sign_network, sign_settings(s)};
}

std::vector<double> correlations(const std::vector<SignFit>& fits) {
  std::vector<double> all;
  for (const SignFit& f : fits) all.push_back(f.correlation);
  return all;
}

TEST(Rademacher, TheRootIsALeastSquaresFit) {
  const Estimate exact = rademacher_root({{4, 1}, {16, 0.5}, {64, 0.25}});
  EXPECT_DOUBLE_EQ(exact.mean, 2);
  EXPECT_NEAR(exact.error, 0, 1e-15);
  // x = 1/2 and 1/4: root = (0.5 + 0.25) / (1/4 + 1/16), a network that fits any signs.
  const Estimate flat = rademacher_root({{4, 1}, {16, 1}});
  EXPECT_DOUBLE_EQ(flat.mean, 2.4);
  EXPECT_DOUBLE_EQ(flat.error, std::sqrt((0.04 + 0.16) / (5.0 / 16)));
  EXPECT_EQ(rademacher_root({{9, 0.5}}).error, 0);
  EXPECT_THROW(rademacher_root({}), Error);
}

TEST(Rademacher, SignsAreBalancedAndScored) {
  const data::Dataset signs = with_signs(noise(2000), Stream(1));
  double sum = 0;
  for (const float s : signs.targets.span<float>()) {
    ASSERT_EQ(std::abs(s), 1);
    sum += s;
  }
  EXPECT_LT(std::abs(sum), 4 * std::sqrt(2000.0));
  const SignCriterion criterion;
  data::Batch batch;
  batch.targets = Tensor::of<float>({1, -1});
  const Tensor output = Tensor::of<float>({1, 3}).reshape({2, 1});
  EXPECT_NEAR(criterion.score(output, batch), std::tanh(1.0) - std::tanh(3.0), 1e-6);
  EXPECT_NEAR(criterion.loss(Variable(output), batch).item(),
              (std::log1p(std::exp(-2.0)) + std::log1p(std::exp(6.0))) / 2, 1e-6);
}

TEST(Rademacher, ABodyFitsTheSignsOfDifferentImagesOnly) {
  RademacherSettings s;
  s.sizes = {16}, s.draws = 2, s.steps = 150;
  nn::Monitor monitor;
  for (const double c : correlations(fit_signs(noise(16), training(), s, Stream(1), monitor)))
    EXPECT_GT(c, 0.9);
  // Of equal images every h has one value: not above |mean of the signs|.
  const data::Dataset equal = noise(16).select(std::vector<int64_t>(16, 0));
  for (const double c : correlations(fit_signs(equal, training(), s, Stream(1), monitor)))
    EXPECT_LT(c, 0.6);
}

TEST(Rademacher, SizesAboveTheImagesAreLeftOut) {
  RademacherSettings s;
  s.sizes = {8, 12, 500}, s.draws = 2, s.steps = 2;
  nn::Monitor monitor;
  const std::vector<SignFit> fits = fit_signs(noise(12), training(), s, Stream(1), monitor);
  ASSERT_EQ(fits.size(), 4u);
  EXPECT_EQ(fits[1].images, 8);
  EXPECT_EQ(fits[3].images, 12);
  EXPECT_NE(fits[0].correlation, fits[1].correlation) << "other signs";
  s.sizes = {500};
  test::expect_error([&] { fit_signs(noise(12), training(), s, Stream(1), monitor); },
                     {"theorem1.rademacher.sizes", "at most 12"});
}

TEST(Rademacher, AStoppedStageGoesOnWithTheSameBits) {
  RademacherSettings s;
  s.sizes = {8, 16}, s.draws = 2, s.steps = 4;
  Stopping never;
  const std::vector<double> whole =
      correlations(fit_signs(noise(16), training(), s, Stream(1), never));
  for (const int64_t at : {1, 4, 6, 16}) {  // within the first, at its end, in the second, the last
    Stopping first(at);
    EXPECT_THROW(fit_signs(noise(16), training(), s, Stream(1), first), nn::Interrupted);
    Stopping second(0, first.saved);
    EXPECT_EQ(correlations(fit_signs(noise(16), training(), s, Stream(1), second)), whole) << at;
    EXPECT_EQ(first.saved->get("trainings.found").numel(), (at - 1) / 4);
  }
}

TEST(Rademacher, SettingsThatNoTrainingCanFollow) {
  const auto refuses = [](auto change, const std::vector<std::string>& parts) {
    RademacherSettings s;
    change(s);
    test::expect_error([&] { check(s); }, parts);
  };
  check(RademacherSettings{});
  refuses([](auto& s) { s.sizes = {}; }, {"theorem1.rademacher.sizes", "none"});
  refuses([](auto& s) { s.sizes = {500, 1}; }, {"theorem1.rademacher.sizes", "found 1"});
  refuses([](auto& s) { s.sizes = {500, 500}; }, {"theorem1.rademacher.sizes", "more than once"});
  refuses([](auto& s) { s.draws = 0; }, {"theorem1.rademacher.draws", "found 0"});
  refuses([](auto& s) { s.steps = 0; }, {"theorem1.rademacher.steps", "found 0"});
}

TEST(Rademacher, EveryFamilyCanTakeOneOutput) {
  const NoGrad no_grad;
  std::set<std::string> seen;  // the first network of each family
  for (const nn::ModelEntry& e : nn::all_models())
    for (const nn::Task task : {nn::Task::classification, nn::Task::regression}) {
      if (!e.serves(task) || !seen.insert(e.family + nn::name_of(task)).second) continue;
      const int64_t size = std::max<int64_t>(32, e.smallest_image);
      SignNetwork net(e.build({.outputs = task == nn::Task::regression ? 1 : 7,
                               .channels = 3,
                               .size = size,
                               .task = task}),
                      3, size);
      net.initialise(Stream(1));
      net.eval();
      EXPECT_EQ(net(Variable(Tensor::full({2, size, size, 3}, 0.5))).data().shape(), (Shape{2, 1}))
          << e.name;
    }
}

}  // namespace
}  // namespace limbeck::kd
