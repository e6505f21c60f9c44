// The loop of data-free distillation at toy size: it learns, stops and resumes to the same bits, and
// every registered method runs.
#include "kd/data_free/trainer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "nn/gradients.h"
#include "tests/data/temporary.h"
#include "tests/kd/data_free_toy.h"
#include "tests/nn/stopping.h"

namespace limbeck::kd::data_free {
namespace {

using test::expect_error;
using test::Stopping;

TEST(DataFreeTraining, EveryMethodTrainsBothAndNotTheTeacher) {
  for (const Entry& e : all_entries()) {
    SCOPED_TRACE(e.name);
    const Settings s = toy_settings(e.name);
    Toy toy(s);
    const TensorFile teacher = toy.teacher->state_dict(), student = toy.student->state_dict(),
                     generator = toy.generator->state_dict();
    Metrics monitor;
    const DataFreeResult r = toy.train(s, monitor);
    test::expect_equal_bits(teacher, toy.teacher->state_dict());
    const auto moved = [](const TensorFile& a, const TensorFile& b, const std::string& name) {
      return !test::same_bits(a.get(name), b.get(name));
    };
    EXPECT_TRUE(moved(student, toy.student->state_dict(), "conv1.weight"));
    EXPECT_TRUE(moved(generator, toy.generator->state_dict(), "l1.weight"));
    EXPECT_FALSE(moved(generator, toy.generator->state_dict(), "teacher_mean"));
    EXPECT_EQ(r.student_steps, 2 * s.steps_per_epoch());
    EXPECT_TRUE(std::isfinite(r.last.loss) && r.last.entropy > 0 && r.last.class_entropy >= 0);
    EXPECT_EQ(monitor.all.at("agreement").size(), 2);
    EXPECT_EQ(monitor.all.at("statistics").back() > 0, s.loss.statistics > 0);
  }
}

TEST(DataFreeTraining, ResumesToTheSameBits) {
  for (const char* method : {"cgdd", "dafl", "dfad", "zskt"}) {
    SCOPED_TRACE(method);
    const Settings s = toy_settings(method);
    Toy undisturbed(s);
    Stopping never;
    const DataFreeResult expected = undisturbed.train(s, never);
    for (const int64_t at : {1, 2, 3}) {
      Toy stopped(s);
      Stopping first(at);
      EXPECT_THROW(stopped.train(s, first), nn::Interrupted);
      Toy resumed(s);
      Stopping then(0, first.saved);
      const DataFreeResult r = resumed.train(s, then);
      test::expect_equal_bits(undisturbed.student->state_dict(), resumed.student->state_dict());
      test::expect_equal_bits(undisturbed.generator->state_dict(), resumed.generator->state_dict());
      EXPECT_EQ(expected.last.loss, r.last.loss);
      EXPECT_EQ(expected.last.class_entropy, r.last.class_entropy);
    }
  }
}

/// The generator makes what it is asked for, and the student learns to say what the teacher says.
TEST(DataFreeTraining, GeneratorObeysAndStudentAgrees) {
  Settings s = toy_settings("cgdd");
  s.epochs = 8, s.rounds = 10, s.student_steps = 3, s.batch = 32, s.lr = 0.05;
  s.generator.ch = 16, s.generator.lr = 5e-3;
  s.loss.labelled = 1, s.loss.cls = 5, s.loss.statistics = 0, s.loss.adversarial = 0.1;
  s.distillation.attention = 10;
  Toy toy(s);
  Metrics monitor;
  toy.train(s, monitor);
  const auto& hits = monitor.all.at("hit_rate");
  const auto& agreement = monitor.all.at("agreement");
  EXPECT_LT(hits.front(), 0.7);
  EXPECT_GT(hits.back(), 0.9);
  EXPECT_GT(agreement.back(), 0.85);
}

TEST(DataFreeTraining, ACollapseIsSaidAndNotStopped) {
  Settings s = toy_settings("cgdd");
  s.epochs = 11, s.rounds = 1, s.student_steps = 1;
  s.generator.lr = 1e-9;  // it stays as it was drawn: one class of this teacher
  s.distillation.attention = 0;
  Toy toy(s);
  Metrics monitor;
  toy.train(s, monitor);
  ASSERT_EQ(monitor.all.at("class_entropy").size(), 11);
  if (monitor.all.at("class_entropy").back() < 0.5) {
    ASSERT_EQ(monitor.notes.size(), 1);
    EXPECT_NE(monitor.notes[0].find("collapsed at epoch"), std::string::npos);
  } else {
    ADD_FAILURE() << "the toy does not collapse";
  }
}

TEST(DataFreeTraining, RefusesSettings) {
  const auto refuses = [](const std::function<void(Settings&)>& change,
                          const std::vector<std::string>& parts) {
    Settings s = toy_settings("cgdd");
    change(s);
    expect_error([&] { check(s, "methods.cgdd"); }, parts);
  };
  refuses([](Settings& s) { s.rounds = 0; }, {"methods.cgdd.rounds", "found 0"});
  refuses([](Settings& s) { s.order = "jont"; }, {"methods.cgdd.order", "joint", "'jont'"});
  refuses([](Settings& s) { s.order = "joint"; }, {"methods.cgdd.loss.adversary", "none", "'l1'"});
  refuses([](Settings& s) { s.loss.labelled = 1.5; }, {"loss.labelled", "found 1.5"});
  refuses([](Settings& s) { s.loss.adversary = "l2"; }, {"loss.adversary", "'l2'"});
  refuses([](Settings& s) { s.loss.statistics = -1; }, {"loss.statistics", "found -1"});
  refuses([](Settings& s) { s.distillation.form = "mse"; }, {"distillation.form", "'mse'"});
  refuses([](Settings& s) { s.generator.arch = "biggan"; }, {"generator.arch", "'biggan'"});
  refuses([](Settings& s) { s.generator.ch = 0; }, {"generator.ch", "found 0"});
  refuses([](Settings& s) { s.crop_padding = 4; }, {"crop_padding", "found 0, 4"});
  refuses(
      [](Settings& s) {
        s.loss = {};
        s.loss.adversary = "none";
      },
      {"methods.cgdd.loss", "no term has a weight"});
  refuses(
      [](Settings& s) {
        s.distillation.weight = s.distillation.cross_entropy = s.distillation.attention = 0;
      },
      {"methods.cgdd.distillation", "no term has a weight"});
}

TEST(ClipGradients, ScalesAllTogether) {
  const Variable a(Tensor::of<double>({3, 0}), true), b(Tensor::of<double>({4}), true),
      c(Tensor::of<double>({1}), true);
  const auto give = [&](double scale) {
    a.set_grad(Tensor::of<double>({3 * scale, 0}));
    b.set_grad(Tensor::of<double>({4 * scale}));
  };
  const std::vector<nn::Parameter> parameters{{"a", a}, {"b", b}, {"c", c}};
  give(1);
  nn::clip_gradients(parameters, 2.5);
  EXPECT_NEAR(a.grad().at(0), 1.5, 1e-6);
  EXPECT_NEAR(b.grad().at(0), 2.0, 1e-6);
  EXPECT_FALSE(c.grad().defined());
  give(0.1);
  nn::clip_gradients(parameters, 2.5);
  EXPECT_EQ(a.grad().at(0), 3 * 0.1);
  expect_error([&] { nn::clip_gradients(parameters, 0); }, {"positive", "found 0"});
}

}  // namespace
}  // namespace limbeck::kd::data_free
