#include "train/supervised.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "nn/layers.h"

namespace limbeck::train {
namespace {

/// A small network with batch norm and dropout, so that buffers and noise take part in a resume.
class Small : public nn::Network {
 public:
  explicit Small(int64_t outputs)
      : conv_(3, 6, {.kernel = 3, .padding = 1}), bn_(6), drop_(0.2), fc_(6, outputs) {
    add("conv", conv_);
    add("bn", bn_);
    add("drop", drop_);
    add("fc", fc_);
    initialise(Stream(11));
  }
  nn::Features forward_features(const Variable& x, bool) override {
    const Variable pooled = drop_(global_avg_pool(bn_.relu(conv_(x))));
    return {{pooled}, fc_(pooled), pooled};
  }

 private:
  nn::Conv2d conv_;
  nn::BatchNorm2d bn_;
  nn::Dropout drop_;
  nn::Linear fc_;
};

/// Class c is bright in channel c.
data::Dataset colours(int64_t n, bool responses = false) {
  data::Dataset d;
  d.images = Tensor::empty({n, 8, 8, 3}, DType::u8);
  std::vector<int64_t> labels;
  std::vector<float> targets;
  Stream s(5);
  for (int64_t i = 0; i < n; ++i) {
    labels.push_back(i % 3);
    targets.push_back(static_cast<float>(i % 3));
    uint8_t* x = d.images.rows(i, i + 1).data<uint8_t>();
    for (int64_t p = 0; p < 64 * 3; ++p)
      x[p] = static_cast<uint8_t>(s.below(120) + (p % 3 == i % 3 ? 100 : 0));
  }
  if (responses)
    d.targets = Tensor::of(targets);
  else
    d.labels = Tensor::of(labels), d.classes = 3;
  return d;
}

std::string said_of(const Settings& s) {
  try {
    check(s, "x");
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

Settings short_training() {
  Settings s;
  s.epochs = 4;
  s.batch = 16;
  s.lr = 0.1;
  s.milestones = {2};
  s.crop_padding = 1;
  return s;
}

class Recorder : public nn::Monitor {
 public:
  explicit Recorder(int64_t stop_after = 0, std::optional<TensorFile> saved = std::nullopt)
      : left_(stop_after), saved_(std::move(saved)) {}
  bool checkpoint_due() override { return --left_ == 0; }
  bool stop_requested() override { return true; }
  void save(const TensorFile& state) override { saved_ = state, synced = lines.size(); }
  std::optional<TensorFile> load() override { return saved_; }
  void metrics(int64_t step, const nn::Values& values) override {
    lines.emplace_back(step, values);
  }
  std::vector<std::pair<int64_t, nn::Values>> lines;
  size_t synced = 0;

 private:
  int64_t left_;
  std::optional<TensorFile> saved_;
};

std::vector<std::vector<float>> state_of(const nn::Module& m) {
  std::vector<std::vector<float>> all;
  for (const auto& [name, t] : m.state_dict().tensors)
    if (t.dtype() == DType::f32) all.push_back(t.to_vector<float>());
  return all;
}

const ClassificationCriterion classification;
const data::Dataset nothing;

SupervisedResult run(nn::Network& net, const data::Dataset& d, nn::Monitor& monitor,
                     const Settings& s, ExtraLoss* extra = nullptr) {
  return fit({.network = net,
              .train = d,
              .test = d,
              .standardisation = data::standardisation_of(d),
              .criterion = classification,
              .stream = Stream(3),
              .monitor = monitor,
              .extra = extra},
             s);
}

TEST(Trainer, LearnsAnEasyTask) {
  const data::Dataset d = colours(60);
  Small net(3);
  Recorder monitor;
  const SupervisedResult r = run(net, d, monitor, short_training());
  EXPECT_GT(r.test_metric, 0.95);
  EXPECT_EQ(r.steps, 16);
  ASSERT_EQ(monitor.lines.size(), 4u);
  EXPECT_EQ(monitor.lines.back().second[0].first, "loss");
  EXPECT_DOUBLE_EQ(evaluate(net, d, data::standardisation_of(d), classification), r.test_metric);
}

/// Stopped at every step and continued: the weights, numbers and lines of an undisturbed run.
void expect_bit_equal_resumes(const Settings& s) {
  const data::Dataset d = colours(60);
  Small whole(3);
  Recorder undisturbed;
  const SupervisedResult a = run(whole, d, undisturbed, s);
  for (int64_t stop = 1; stop <= 8; ++stop) {
    Small first(3), second(3);
    Recorder before(stop);
    EXPECT_THROW(run(first, d, before, s), nn::Interrupted);
    Recorder after(0, before.load());
    const SupervisedResult b = run(second, d, after, s);
    EXPECT_EQ(state_of(whole), state_of(second)) << "stopped after step " << stop;
    EXPECT_EQ(a.test_metric, b.test_metric);
    EXPECT_EQ(a.loss, b.loss);
    auto lines = before.lines;
    lines.resize(before.synced);
    lines.insert(lines.end(), after.lines.begin(), after.lines.end());
    EXPECT_EQ(lines, undisturbed.lines);
  }
}

TEST(Trainer, ResumesBitEqualAtEveryStep) {
  Settings s = short_training();
  s.epochs = 2;
  expect_bit_equal_resumes(s);
}

TEST(Trainer, ResumesBitEqualWithEveryOptimiserScheduleAndSmoothedLabels) {
  Settings s = short_training();
  s.epochs = 2;
  s.schedule = "cosine", s.warmup = 0.5, s.final_lr = 1e-4, s.label_smoothing = 0.1;
  for (const char* optimizer : {"sgd", "adam", "adamw"}) {
    s.optimizer = optimizer;
    s.lr = s.optimizer == "sgd" ? 0.1 : 0.01;
    expect_bit_equal_resumes(s);
  }
}

TEST(Trainer, SmoothedLabelsChangeTheLossAndNotTheMetric) {
  const data::Dataset d = colours(60);
  Settings s = short_training();
  Small plain(3), smoothed(3);
  Recorder a, b;
  const SupervisedResult hard = run(plain, d, a, s);
  s.label_smoothing = 0.4;
  const SupervisedResult soft = run(smoothed, d, b, s);
  EXPECT_GT(soft.test_metric, 0.95);
  // The least that it can be: the entropy of (1 - 0.4 2/3, 0.4/3, 0.4/3).
  EXPECT_GT(soft.loss, 0.76);
  EXPECT_LT(hard.loss, 0.76);
}

TEST(Trainer, LateDropFollowsRepDistiller) {
  const data::Dataset d = colours(16);
  Settings s = short_training();
  s.epochs = 5;
  for (const bool late : {true, false}) {
    s.late_drop = late;
    Small net(3);
    Recorder monitor;
    run(net, d, monitor, s);
    const size_t first_low = late ? 3 : 2;  // 0-based epoch
    for (size_t e = 0; e < 5; ++e) {
      const nn::Values& v = monitor.lines[e].second;
      const auto lr =
          std::find_if(v.begin(), v.end(), [](const auto& x) { return x.first == "lr"; });
      EXPECT_NEAR(lr->second, e < first_low ? 0.1 : 0.01, 1e-12) << "epoch " << e;
    }
  }
}

TEST(Trainer, VirtualEpochsGiveEqualSteps) {
  const data::Dataset d = colours(20);
  Small net(3);
  nn::Monitor monitor;
  Settings s = short_training();
  const SupervisedResult r = fit({.network = net,
                                  .train = d,
                                  .test = nothing,
                                  .standardisation = data::standardisation_of(d),
                                  .criterion = classification,
                                  .stream = Stream(3),
                                  .monitor = monitor,
                                  .steps_per_epoch = 7},
                                 s);
  EXPECT_EQ(r.steps, 28);
}

TEST(Trainer, RegressionWithTheSameLoop) {
  const data::Dataset d = colours(60, true);
  Small net(1);
  Recorder monitor;
  const RegressionCriterion regression;
  Settings s = short_training();
  s.epochs = 12;
  s.milestones = {9};
  const SupervisedResult r = fit({.network = net,
                                  .train = d,
                                  .test = d,
                                  .standardisation = data::standardisation_of(d),
                                  .criterion = regression,
                                  .stream = Stream(3),
                                  .monitor = monitor},
                                 s);
  EXPECT_LT(r.test_metric, 0.35);  // mean absolute error; a constant answer has 0.67
  EXPECT_EQ(monitor.lines.back().second[1].first, "train_mae");
}

TEST(Trainer, ErrorsOfWholeNumbersBesideThoseOfReals) {
  const data::ResponseScale years{0, 60, "years", false, true};
  data::Batch batch;
  batch.targets = Tensor::of<float>({25, 30});
  const Tensor output = Tensor::of(std::vector<float>{0.4299f, 0.5f}, {2, 1});  // 25.794, 30
  EXPECT_NEAR(RegressionCriterion(years).score(output, batch), 0.794, 1e-4);
  const RegressionCriterion truncated(years, true);
  EXPECT_EQ(truncated.score(output, batch), 0);
  EXPECT_STREQ(truncated.metric(), "mae_truncated");
}

TEST(Trainer, ResponsesThatWrapAreRefused) {
  data::Dataset turn = colours(12, true);
  turn.scale = {0, 360, "degrees", true};
  try {
    RegressionCriterion(turn.scale).check(turn, 1);
    ADD_FAILURE() << "no error";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("regression: the responses wrap (360 degrees is 0 again)"),
              std::string::npos)
        << e.what();
  }
}

/// Maps of one pixel, so that a batch of one image has a batch norm of one value.
class OnePixel : public nn::Network {
 public:
  OnePixel() : bn_(3), fc_(3, 3) {
    add("bn", bn_);
    add("fc", fc_);
    initialise(Stream(11));
  }
  nn::Features forward_features(const Variable& x, bool) override {
    if (training()) batches.push_back(x.size(0));
    const Variable pooled = bn_(reshape(global_avg_pool(x), {x.size(0), 1, 1, 3}));
    return {{pooled}, fc_(reshape(pooled, {x.size(0), 3})), pooled};
  }
  std::vector<int64_t> batches;

 private:
  nn::BatchNorm2d bn_;
  nn::Linear fc_;
};

TEST(Trainer, NoBatchOfOneImageIsLeft) {
  nn::Monitor monitor;
  OnePixel network;
  Settings s = short_training();
  s.epochs = 2;
  const SupervisedResult r = run(network, colours(33), monitor, s);
  EXPECT_EQ(network.batches, (std::vector<int64_t>{16, 17, 16, 17}));
  EXPECT_EQ(r.steps, 4);
  EXPECT_NE(said_of({.batch = 1}).find("x.batch: expected at least 2"), std::string::npos);
}

TEST(Trainer, ScheduleThatCannotBeMeant) {
  EXPECT_EQ(said_of({.milestones = {150, 180}}), "");
  EXPECT_NE(said_of({.milestones = {180, 150}}).find("x.milestones: expected rising epochs"),
            std::string::npos);
  EXPECT_NE(said_of({.milestones = {150, 150}}).find("x.milestones"), std::string::npos);
  EXPECT_NE(said_of({.milestones = {-1}}).find("x.milestones"), std::string::npos);
  EXPECT_NE(said_of({.milestones = {std::nan("")}}).find("x.milestones"), std::string::npos);
  EXPECT_EQ(unreached_milestone({1, 2}, 3, "x"), "");
  EXPECT_EQ(unreached_milestone({1, 3}, 3, "x"),
            "x.milestones: 3 is never reached in 3 epochs (x.epochs); the learning rate does not "
            "drop there");
}

TEST(Trainer, RefusesWhatDoesNotFit) {
  nn::Monitor monitor;
  const data::Dataset d = colours(12), numbers = colours(12, true);
  Small ten(10), three(3);
  EXPECT_THROW(run(ten, d, monitor, short_training()), Error);
  EXPECT_THROW(run(three, numbers, monitor, short_training()), Error);
  EXPECT_THROW(run(three, nothing, monitor, short_training()), Error);
  EXPECT_THROW(run(three, colours(1), monitor, short_training()), Error);
  Settings hot = short_training();
  hot.lr = 1e30;
  EXPECT_THROW(run(three, d, monitor, hot), Error);
}

}  // namespace
}  // namespace limbeck::train
