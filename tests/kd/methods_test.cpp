// Distillation methods: BLKD, what all of them refuse, and what a loop gives a method.
#include <gtest/gtest.h>

#include "kd/distillation.h"
#include "nn/layers.h"
#include "tests/kd/method_fixtures.h"
#include "tests/nn/stopping.h"
#include "train/supervised.h"

namespace limbeck::kd {
namespace {

// --- BLKD ----------------------------------------------------------------------------------------

nn::Features logits(const Variable& v) { return {{}, v}; }

TEST(Blkd, GoldenValue) {
  const Variable s(student_input({4, 10}, 3), true);
  const auto method = create_method("blkd", "soft_weight", 1.0);
  const Variable loss = distill(*method, logits(s), logits(Variable(teacher_input({4, 10}, 4))));
  EXPECT_NEAR(loss.item(), 3.900102, 4e-4);
  loss.backward();
  EXPECT_NEAR(s.grad().at(0), -0.073434, 1e-5);
}

double kl(const std::vector<double>& t, const std::vector<double>& s, double temperature) {
  double zt = 0, zs = 0, sum = 0;
  for (size_t i = 0; i < t.size(); ++i)
    zt += std::exp(t[i] / temperature), zs += std::exp(s[i] / temperature);
  for (size_t i = 0; i < t.size(); ++i) {
    const double p = std::exp(t[i] / temperature) / zt, q = std::exp(s[i] / temperature) / zs;
    sum += p * std::log(p / q);
  }
  return sum;
}

TEST(Blkd, OfficialAndPaperForm) {
  const std::vector<double> s = {0.3, -1, 2}, t = {1, 0.5, -0.25};
  const Variable student(Tensor::of(s, {1, 3})), teacher(Tensor::of(t, {1, 3}));
  const auto official = create_method("blkd");
  EXPECT_DOUBLE_EQ(official->weights().hard_weight, 0.1);
  EXPECT_NEAR(distill(*official, logits(student), logits(teacher)).item(), 0.9 * 16 * kl(t, s, 4),
              1e-12);
  NamedSettings settings = default_method_settings();
  SetField<std::string>(settings.at("blkd"), "form", "paper");
  SetField<double>(settings.at("blkd"), "soft_weight", 0.7);
  const auto paper = create_method("blkd", settings);
  EXPECT_NEAR(paper->weights().hard_weight, 0.3, 1e-15);
  double z = 0, entropy = 0;  // soft cross entropy = KL + entropy of the teacher
  for (double x : t) z += std::exp(x / 4);
  for (double x : t) entropy -= std::exp(x / 4) / z * std::log(std::exp(x / 4) / z);
  EXPECT_NEAR(distill(*paper, logits(student), logits(teacher)).item(),
              0.7 * (kl(t, s, 4) + entropy), 1e-12);
}

TEST(Blkd, Gradients) {
  Tensor s = Tensor::empty({4, 5}, DType::f64), t = Tensor::empty({4, 5}, DType::f64);
  Stream(1).fill_normal(s, 0, 3);
  Stream(2).fill_normal(t, 0, 3);
  for (const char* form : {"official", "paper"}) {
    const auto method = create_method("blkd", "form", std::string(form));
    const auto report = gradcheck(
        [&](const Variables& v) { return distill(*method, logits(v[0]), logits(Variable(t))); },
        {Variable(s, true)});
    EXPECT_TRUE(report.ok) << form << ": " << report.message;
  }
}

TEST(Methods, RefuseUnsupportedPairsNamesAndValues) {
  const auto method = create_method("blkd");
  EXPECT_THROW(prepare(*method, logits(Variable(Tensor::zeros({2, 10}))),
                       logits(Variable(Tensor::zeros({2, 100})))),
               Error);
  EXPECT_THROW(prepare(*method, logits(Variable(Tensor::zeros({2, 1}))),
                       logits(Variable(Tensor::zeros({2, 1})))),
               Error);
  EXPECT_THROW(create_method("blkf"), Error);
  EXPECT_THROW(create_method("blkd", "form", std::string("papr")), Error);
  for (const MethodEntry& e : all_methods()) {
    EXPECT_THROW(create_method(e.name, "temperature", 0.0), Error) << e.name;
    EXPECT_THROW(create_method(e.name, "hard_weight", -1.0), Error) << e.name;
    EXPECT_FALSE(e.title.empty() || e.summary.empty()) << e.name;
  }
}

// --- methods in a training loop ------------------------------------------------------------------

class Small : public nn::Network {
 public:
  explicit Small(uint64_t seed) : conv_(3, 6, {.kernel = 3, .padding = 1}), bn_(6), fc_(6, 3) {
    add("conv", conv_), add("bn", bn_), add("fc", fc_);
    initialise(Stream(seed));
  }
  nn::Features forward_features(const Variable& x, bool) override {
    const Variable map = bn_.relu(conv_(x)), pooled = global_avg_pool(map);
    return {{map, map, map, pooled}, fc_(pooled), pooled};
  }

 private:
  nn::Conv2d conv_;
  nn::BatchNorm2d bn_;
  nn::Linear fc_;
};

/// Class c is bright in channel c.
data::Dataset colours(int64_t n) {
  data::Dataset d;
  d.images = Tensor::empty({n, 8, 8, 3}, DType::u8);
  std::vector<int64_t> labels;
  Stream s(5);
  for (int64_t i = 0; i < n; ++i) {
    labels.push_back(i % 3);
    uint8_t* x = d.images.rows(i, i + 1).data<uint8_t>();
    for (int64_t p = 0; p < 64 * 3; ++p)
      x[p] = static_cast<uint8_t>(s.below(120) + (p % 3 == i % 3 ? 100 : 0));
  }
  d.labels = Tensor::of(labels);
  d.classes = 3;
  return d;
}

train::Settings short_training() {
  return {.epochs = 4, .batch = 16, .lr = 0.1, .milestones = {2}, .crop_padding = 1};
}

const train::ClassificationCriterion criterion;

train::SupervisedResult run(nn::Network& net, const data::Dataset& d, nn::Monitor& monitor,
                            train::ExtraLoss* extra = nullptr) {
  return train::fit({.network = net,
                     .train = d,
                     .test = d,
                     .standardisation = data::standardisation_of(d),
                     .criterion = criterion,
                     .stream = Stream(3),
                     .monitor = monitor,
                     .extra = extra},
                    short_training());
}

std::vector<std::vector<float>> state_of(const nn::Module& m) {
  std::vector<std::vector<float>> all;
  for (const auto& [name, t] : m.state_dict().tensors)
    if (t.dtype() == DType::f32) all.push_back(t.to_vector<float>());
  return all;
}

TEST(Distillation, TheTeacherTeachesAndStaysAsItWas) {
  // Labels are wrong everywhere, the teacher is right: a distilled student follows the teacher.
  const data::Dataset d = colours(60);
  auto teacher = std::make_unique<Small>(11);
  nn::Monitor monitor;
  run(*teacher, d, monitor);
  const auto before = state_of(*teacher);
  data::Dataset wrong = d;
  wrong.labels = d.labels.clone();
  for (int64_t& y : wrong.labels.span<int64_t>()) y = (y + 1) % 3;
  Small student(12);
  Distillation distillation("blkd", create_method("blkd"), std::move(teacher),
                            nn::Task::classification);
  run(student, wrong, monitor, &distillation);
  EXPECT_GT(train::evaluate(student, d, data::standardisation_of(d), criterion), 0.9);
  EXPECT_EQ(before, state_of(distillation.teacher())) << "the teacher changed";
}

/// The distillation of regressors: the methods' own terms, no soft targets.
TEST(Distillation, RegressorsLearnByFeatures) {
  data::Dataset d;
  d.images = Tensor::empty({6, 64, 64, 3}, DType::u8);
  Stream s(5);
  for (uint8_t& x : d.images.span<uint8_t>()) x = static_cast<uint8_t>(s.below(256));
  d.targets = Tensor::of<float>({0.1f, 0.2f, 0.3f, 0.4f, 0.5f, 0.6f});
  const train::RegressionCriterion squared;
  const auto regressor = [](uint64_t seed) {
    auto net =
        nn::create_model("resnet8", {.outputs = 1, .size = 64, .task = nn::Task::regression});
    net->initialise(Stream(seed));
    return net;
  };
  const auto train_by = [&](const char* name) {
    const auto student = regressor(1);
    std::unique_ptr<Distillation> distillation;
    if (name)
      distillation = std::make_unique<Distillation>(name, create_method(name), regressor(2),
                                                    nn::Task::regression);
    nn::Monitor monitor;
    const auto result = train::fit({.network = *student,
                                    .train = d,
                                    .test = d,
                                    .standardisation = data::standardisation_of(d),
                                    .criterion = squared,
                                    .stream = Stream(3),
                                    .monitor = monitor,
                                    .extra = distillation.get()},
                                   {.epochs = 1, .batch = 6});
    EXPECT_TRUE(std::isfinite(result.loss)) << (name ? name : "alone");
    return student->state_dict().get("conv1.weight").to_vector<float>();
  };
  const auto alone = train_by(nullptr);
  for (const char* name : {"fitnet", "at", "rkd"}) EXPECT_NE(train_by(name), alone) << name;
  EXPECT_THROW(train_by("blkd"), Error);
}

/// Remembers the last features of every training image: a method with a memory, as CRD has one.
class MemoryMethod : public Method {
 public:
  struct Settings : LossWeights {
    void fields(FieldVisitor& v) { LossWeights::fields(v); }
  };
  explicit MemoryMethod(const Settings& s) : settings_(s) {}
  LossWeights weights() const override { return settings_; }
  void prepare(const Pair& pair) override {
    memory_ = std::make_unique<Memory>(pair.train.size(), pair.student.taps.back().size(1));
  }
  nn::Module* auxiliary() override { return memory_.get(); }
  Variable loss(const DistillationStep& step) override {
    seen_.push_back(step.step.rows.to(cpu).to_vector<int64_t>());
    clock_.push_back(step.step.clock.to(cpu).to_vector<float>());
    return sum(step.student.taps.back()) * 1e-3;
  }
  void after_step(const DistillationStep& step) override {
    for (int64_t i = 0; i < step.step.rows.numel(); ++i)
      memory_->bank()
          .rows(step.step.rows.at(i), step.step.rows.at(i) + 1)
          .copy_from(step.student.taps.back().data().rows(i, i + 1));
  }
  struct Memory : nn::Module {
    Memory(int64_t n, int64_t d) { bank_ = add_buffer("bank", Tensor::zeros({n, d})); }
    Tensor& bank() { return buffer(bank_); }
    size_t bank_;
  };
  std::unique_ptr<Memory> memory_;
  std::vector<std::vector<int64_t>> seen_;
  std::vector<std::vector<float>> clock_;

 private:
  Settings settings_;
};

TEST(Distillation, AMemoryTravelsWithTheCheckpoint) {
  const data::Dataset d = colours(40);
  const auto train_with = [&](test::Stopping& monitor,
                              std::vector<std::vector<float>>& student_state) {
    Small student(12);
    auto method = std::make_unique<MemoryMethod>(MemoryMethod::Settings{});
    MemoryMethod& m = *method;
    Distillation distillation("memory", std::move(method), std::make_unique<Small>(11),
                              nn::Task::classification);
    try {
      run(student, d, monitor, &distillation);
    } catch (const nn::Interrupted&) {}
    student_state = state_of(student);
    EXPECT_EQ(m.clock_.front().size(), 2u);
    EXPECT_FALSE(m.seen_.empty());
    return m.memory_->bank().to_vector<float>();
  };
  std::vector<std::vector<float>> whole, resumed;
  test::Stopping undisturbed(0), stopped(5);
  const std::vector<float> expected = train_with(undisturbed, whole);
  EXPECT_GT(*std::max_element(expected.begin(), expected.end()), 0);
  train_with(stopped, resumed);
  test::Stopping again(0, stopped.saved);
  EXPECT_EQ(train_with(again, resumed), expected);
  EXPECT_EQ(resumed, whole);
}

}  // namespace
}  // namespace limbeck::kd
