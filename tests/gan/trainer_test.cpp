// The GAN trainer at toy size: it runs, resumes bit-equal, follows the EMA rule and stops clearly
// when it diverges.
#include "gan/trainer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "gan/class_conditioning.h"
#include "tests/nn/stopping.h"

namespace limbeck::gan {
namespace {

data::Dataset toy_data(int64_t channels = 3) {
  data::Dataset d;
  d.images = Tensor::empty({8, 32, 32, channels}, DType::u8);
  Stream stream(11);
  for (uint8_t& v : d.images.span<uint8_t>()) v = static_cast<uint8_t>(stream.below(256));
  d.labels = Tensor::of<int64_t>({0, 1, 0, 1, 0, 1, 0, 1});
  d.classes = 2;
  return d;
}

GanSettings toy_settings() {
  GanSettings s;
  s.steps = 4;
  s.batch = 4;
  s.d_steps = 2;
  s.g_ch = s.d_ch = 2;
  s.dim_z = 8;
  s.ema_decay = 0.9;
  s.ema_start = 2;
  s.health_every = 2;
  s.sample_every = 0;
  return s;
}

class Recorder : public nn::Monitor {
 public:
  int64_t stop_after = std::numeric_limits<int64_t>::max();
  std::optional<TensorFile> saved;
  std::vector<std::pair<int64_t, nn::Values>> lines;
  std::vector<std::pair<std::string, Shape>> images;

  void progress(int64_t done, int64_t, int64_t, const nn::Values&) override { done_ = done; }
  void metrics(int64_t step, const nn::Values& values) override {
    lines.emplace_back(step, values);
  }
  void image(const std::string& name, const Tensor& t) override {
    images.emplace_back(name, t.shape());
  }
  bool checkpoint_due() override { return done_ >= stop_after; }
  bool stop_requested() override { return done_ >= stop_after; }
  void save(const TensorFile& state) override { saved = state; }
  std::optional<TensorFile> load() override { return saved; }

 private:
  int64_t done_ = 0;
};

GanTrainer by_class(const data::Dataset& data, const GanSettings& settings, const Stream& stream,
                    nn::Monitor& monitor) {
  return GanTrainer(condition_on_classes(data, settings), settings, stream, monitor);
}

double value(const nn::Values& values, const std::string& key) {
  for (const auto& [name, v] : values)
    if (name == key) return v;
  ADD_FAILURE() << "no " << key;
  return 0;
}

TEST(GanTrainer, RunsAndReportsItsHealth) {
  const data::Dataset data = toy_data();
  Recorder monitor;
  GanTrainer trainer = by_class(data, toy_settings(), Stream(1), monitor);
  trainer.run();
  EXPECT_EQ(trainer.steps_done(), 4);
  ASSERT_EQ(monitor.lines.size(), 2u);
  for (const auto& [step, values] : monitor.lines)
    for (const auto& [name, v] : values) EXPECT_TRUE(std::isfinite(v)) << step << " " << name;
  const nn::Values& last = monitor.lines.back().second;
  EXPECT_GT(value(last, "d_gradient_norm"), 0);
  EXPECT_GT(value(last, "g_gradient_norm"), 0);
  EXPECT_GE(value(last, "D_sv_max"), value(last, "D_sv_min"));
  EXPECT_GT(value(last, "sv/D.blocks.0.0.conv1"), 0);
  ASSERT_EQ(monitor.images.size(), 2u);
  EXPECT_EQ(monitor.images[0].first, "samples-000004");
  EXPECT_EQ(monitor.images[1].first, "classes-000004");
}

TEST(GanTrainer, ResumeEqualsAnUndisturbedRun) {
  const data::Dataset data = toy_data(1);
  Recorder undisturbed, stopped;
  GanTrainer whole = by_class(data, toy_settings(), Stream(2), undisturbed);
  whole.run();
  stopped.stop_after = 3;
  {
    GanTrainer first = by_class(data, toy_settings(), Stream(2), stopped);
    EXPECT_THROW(first.run(), nn::Interrupted);
    EXPECT_EQ(first.steps_done(), 3);
  }
  stopped.stop_after = std::numeric_limits<int64_t>::max();
  GanTrainer second = by_class(data, toy_settings(), Stream(2), stopped);
  EXPECT_EQ(second.steps_done(), 3);
  second.run();
  test::expect_equal_bits(whole.state(), second.state());
}

TEST(GanTrainer, AverageIsACopyAtFirstAndThenMovesSlowly) {
  const data::Dataset data = toy_data();
  Recorder monitor;
  GanTrainer trainer = by_class(data, toy_settings(), Stream(3), monitor);
  trainer.step();
  test::expect_equal_bits(trainer.generator().state_dict(), trainer.average().state_dict());
  const TensorFile before = trainer.average().state_dict();
  trainer.step();
  const TensorFile now = trainer.generator().state_dict(), average = trainer.average().state_dict();
  for (const char* key :
       {"output_layer.0.stored_mean", "linear.u0", "blocks.1.0.conv2.weight", "linear.sv0"})
    for (int64_t i = 0; i < std::min<int64_t>(now.get(key).numel(), 8); ++i)
      EXPECT_NEAR(average.get(key).at(i), 0.9 * before.get(key).at(i) + 0.1 * now.get(key).at(i),
                  1e-6)
          << key;
}

TEST(GanTrainer, DivergenceNamesStepAndTensor) {
  const data::Dataset data = toy_data();
  Recorder monitor;
  GanTrainer trainer = by_class(data, toy_settings(), Stream(4), monitor);
  trainer.step();
  for (const nn::Parameter& p : trainer.discriminator().parameters())
    if (p.name == "blocks.1.0.conv1.bias")
      p.value.data().fill(std::numeric_limits<double>::quiet_NaN());
  EXPECT_THROW(trainer.state(), Error);
  try {
    trainer.step();
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("step 1"), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("D.blocks.1.0.conv1.bias"), std::string::npos) << e.what();
  }
  GanSettings bounded = toy_settings();
  bounded.loss_bound = 1e-9;
  GanTrainer strict = by_class(data, bounded, Stream(4), monitor);
  EXPECT_THROW(strict.step(), Error);
}

TEST(GanTrainer, RefusesDataThatDoNotFit) {
  data::Dataset data = toy_data();
  Recorder monitor;
  GanSettings s = toy_settings();
  s.batch = 9;
  EXPECT_THROW(by_class(data, s, Stream(5), monitor), Error);
  s = toy_settings();
  s.arch = "sagan";
  EXPECT_THROW(by_class(data, s, Stream(5), monitor), Error);
  s = toy_settings();
  s.loss = "wasserstein";
  EXPECT_THROW(by_class(data, s, Stream(5), monitor), Error);
  data.classes = 0;
  EXPECT_THROW(by_class(data, toy_settings(), Stream(5), monitor), Error);
}

}  // namespace
}  // namespace limbeck::gan
