// The loop of data-free distillation at toy size: it learns, stops and resumes to the same bits,
// and every registered method runs.
#include "kd/data_free/trainer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "kd/checks.h"
#include "kd/data_free/pool.h"
#include "kd/data_free/synthesis.h"
#include "kd/data_free/view.h"
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
    EXPECT_EQ(moved(generator, toy.generator->state_dict(), "l1.weight"),
              s.synthesis.leaves_generator());
    EXPECT_FALSE(moved(generator, toy.generator->state_dict(), "teacher_mean"));
    EXPECT_EQ(r.student_steps, (2 - s.synthesis.warmup) * s.steps_per_epoch());
    EXPECT_TRUE(std::isfinite(r.last.loss) && r.last.entropy > 0 && r.last.class_entropy >= 0);
    EXPECT_EQ(monitor.all.at("agreement").size(), 2);
    EXPECT_EQ(monitor.all.at("statistics").back() > 0, s.loss.statistics > 0);
  }
}

/// Soft targets: of a generator that reads them, and of syntheses (ZSKD).
TEST(DataFreeTraining, TrainsOnSoftTargetsAndResumes) {
  for (const char* method : {"cgdd", "deepinversion"}) {
    SCOPED_TRACE(method);
    Settings s = toy_settings(method);
    Toy hard(s);
    Metrics of_labels;
    const DataFreeResult with_labels = hard.train(s, of_labels);
    s.loss.targets = "dirichlet";
    Toy undisturbed(s);
    Stopping never;
    const DataFreeResult expected = undisturbed.train(s, never);
    EXPECT_NE(with_labels.last.generator_loss, expected.last.generator_loss);
    Toy stopped(s);
    Stopping first(2);
    EXPECT_THROW(stopped.train(s, first), nn::Interrupted);
    Toy resumed(s);
    Stopping then(0, first.saved);
    const DataFreeResult r = resumed.train(s, then);
    test::expect_equal_bits(undisturbed.student->state_dict(), resumed.student->state_dict());
    test::expect_equal_bits(undisturbed.generator->state_dict(), resumed.generator->state_dict());
    EXPECT_EQ(expected.last.hit_rate, r.last.hit_rate);
  }
}

/// Asked for targets, the generator makes images of which the teacher says their largest share.
TEST(DataFreeTraining, GeneratorObeysSoftTargets) {
  Settings s = toy_settings("cgdd");
  s.epochs = 8, s.rounds = 10, s.student_steps = 1, s.batch = 32;
  s.generator.ch = 16, s.generator.lr = 5e-3, s.generator.clip = 0;
  s.loss.targets = "dirichlet", s.loss.labelled = 1, s.loss.cls = 100, s.loss.statistics = 0;
  s.loss.adversary = "none", s.distillation.attention = 0;
  Toy toy(s);
  Metrics monitor;
  toy.train(s, monitor);
  EXPECT_GT(monitor.all.at("hit_rate").back(), 0.8);
}

/// Stopped at each of these occasions to save, and gone on with.
void expect_resumes(const Settings& s, const std::vector<int64_t>& occasions,
                    nn::Task task = nn::Task::classification) {
  Toy undisturbed(s, cpu, task);
  Stopping never;
  const DataFreeResult expected = undisturbed.train(s, never);
  for (const int64_t at : occasions) {
    SCOPED_TRACE(at);
    Toy stopped(s, cpu, task);
    Stopping first(at);
    EXPECT_THROW(stopped.train(s, first), nn::Interrupted);
    Toy resumed(s, cpu, task);
    Stopping then(0, first.saved);
    const DataFreeResult r = resumed.train(s, then);
    test::expect_equal_bits(undisturbed.student->state_dict(), resumed.student->state_dict());
    test::expect_equal_bits(undisturbed.generator->state_dict(), resumed.generator->state_dict());
    EXPECT_EQ(expected.last.loss, r.last.loss);
    EXPECT_EQ(expected.last.class_entropy, r.last.class_entropy);
    EXPECT_EQ(expected.last.label_error, r.last.label_error);
    EXPECT_EQ(expected.last.disagreement, r.last.disagreement);
  }
}

/// Stopped at occasions to save: the end of each of four rounds, with syntheses also before each of
/// their three steps.
TEST(DataFreeTraining, ResumesToTheSameBits) {
  for (const char* method : {"cgdd", "dafl", "dfad", "zskt", "deepinversion", "fast", "cmi"}) {
    SCOPED_TRACE(method);
    const Settings s = toy_settings(method);
    expect_resumes(s, s.synthesis.used() ? std::vector<int64_t>{1, 6, 8, 12, 15}
                                         : std::vector<int64_t>{1, 2, 3});
  }
}

TEST(DataFreePool, ResumesToTheSameBits) {
  for (const char* method : {"cgdd", "zskt"})
    expect_resumes(with_pool(toy_settings(method)), {1, 2, 3});
  expect_resumes(with_pool(toy_responses()), {1, 3}, nn::Task::regression);
}

/// What is kept of a round are the bytes and labels of its steps, the newest; the later steps of
/// the student are other ones by it.
TEST(DataFreePool, HasTheImagesOfTheRoundsBefore) {
  const auto trained = [](const Settings& s, Stopping& monitor) {
    Toy toy(s);
    try {
      toy.train(s, monitor);
    } catch (const nn::Interrupted&) {}
    return toy.student->state_dict().get("conv1.weight");
  };
  const Settings plain = toy_settings("cgdd"), pooled = with_pool(plain);
  for (const int64_t rounds : {1, 2, 3}) {
    Stopping stopped(rounds);
    trained(pooled, stopped);
    // 2 steps of 8 images in the first round, of 4 beside the pool in the others
    EXPECT_EQ(stopped.saved->get("pool.images").size(0), 16 + (rounds - 1) * 8);
    const Tensor labels = stopped.saved->get("pool.labels");
    EXPECT_GT(max(Variable(labels.to(DType::f32)), {0}).item(), 0);
  }
  Stopping first(1), first_of_plain(1), second(2), second_of_plain(2);
  EXPECT_TRUE(test::same_bits(trained(pooled, first), trained(plain, first_of_plain)));
  EXPECT_FALSE(test::same_bits(trained(pooled, second), trained(plain, second_of_plain)));
}

TEST(DataFreePool, Refusals) {
  const auto refuses = [](const char* method, const std::function<void(Settings&)>& change,
                          const std::vector<std::string>& parts) {
    Settings s = toy_settings(method);
    change(s);
    expect_error([&] { check(s, "methods.x"); }, parts);
  };
  refuses("cgdd", [](Settings& s) { s.pool = 4; }, {"methods.x.pool", "8", "found 4"});
  refuses("cgdd", [](Settings& s) { s.pool = -1; }, {"methods.x.pool", "found -1"});
  refuses("cgdd", [](Settings& s) { s.pool = 8, s.pool_share = 1; },
          {"methods.x.pool_share", "batch of 8", "found 1"});
  refuses("cgdd", [](Settings& s) { s.pool = 8, s.pool_share = 0.1; },
          {"methods.x.pool_share", "found 0.1"});
  refuses("cgdd", [](Settings& s) { s.flip = true; }, {"methods.x", "pool", "found 0 and true"});
  refuses("dafl", [](Settings& s) { s.pool = 8; }, {"methods.x.pool", "joint", "found 8"});
  refuses("fast", [](Settings& s) { s.pool = 8; }, {"methods.x.pool", "synthesis.pool", "found 8"});
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

/// A teacher of brightness, without batch norms.
struct Brightness : nn::Network {
  nn::Features forward_features(const Variable& x, bool) override {
    const Variable pooled = mean(x, {1, 2});
    return {.taps = {},
            .output = affine(mean(pooled, {1}, /*keepdim=*/true), 0.3, 0.5),
            .pooled = pooled};
  }
};

/// Asked for responses, the generator makes images of which the teacher says them.
TEST(DataFreeResponses, GeneratorObeysAndStudentAgrees) {
  Settings s = toy_responses();
  s.epochs = 8, s.rounds = 10, s.student_steps = 3, s.batch = 32, s.lr = 0.01;
  s.generator.ch = 16, s.generator.lr = 5e-3, s.generator.clip = 0;
  s.loss.cls = 5, s.loss.statistics = 0, s.loss.adversarial = 0.1;
  Toy toy(s, cpu, nn::Task::regression);
  toy.teacher = std::make_unique<Counted>(std::make_unique<Brightness>());
  Metrics monitor;
  const DataFreeResult r = toy.train(s, monitor);
  const auto& errors = monitor.all.at("label_error");
  const auto& disagreement = monitor.all.at("disagreement");
  EXPECT_LT(errors.back(), errors.front());
  EXPECT_LT(errors.back(), 20 * 0.1) << "one response for all has at least 0.25 of the range";
  EXPECT_LT(disagreement.back(), 20 * 0.1);
  EXPECT_NEAR(r.last.label_error, errors.back() / 20, 1e-9) << "of a range of 20 degrees";
  EXPECT_FALSE(monitor.all.contains("hit_rate"));
}

TEST(DataFreeResponses, ResumeToTheSameBits) {
  expect_resumes(toy_responses(), {1, 3}, nn::Task::regression);
}

TEST(DataFreeResponses, AGeneratorThatIgnoresThemIsSaid) {
  Settings s = toy_responses();
  s.epochs = 11, s.rounds = 1, s.student_steps = 1;
  s.generator.lr = 1e-9;
  Toy toy(s, cpu, nn::Task::regression);
  Metrics monitor;
  toy.train(s, monitor);
  ASSERT_GT(monitor.all.at("label_error").back(), 20 * 0.2);
  ASSERT_EQ(monitor.notes.size(), 1);
  EXPECT_NE(monitor.notes[0].find("degrees from the requested ones"), std::string::npos);
}

TEST(DataFreeResponses, TheFormOfTheSettings) {
  const Settings defaults = find_entry("cgdd")->defaults;
  const Settings s = for_responses(defaults, defaults, false, "methods.cgdd");
  EXPECT_EQ(s.loss.labelled, 1);
  EXPECT_EQ(s.loss.one_hot, 0);
  EXPECT_EQ(s.loss.balance, 0);
  EXPECT_EQ(s.loss.statistics, 1);
  EXPECT_EQ(s.loss.adversary, "l1");
  EXPECT_EQ(s.distillation.form, "l2");
  EXPECT_EQ(s.distillation.cross_entropy, 0.1);
  EXPECT_EQ(s.loss.cls, 10);
  EXPECT_EQ(s.lr, 0.01);
  Settings chosen = defaults;
  chosen.loss.cls = 3, chosen.lr = 0.02, chosen.distillation.form = "l1";
  chosen = for_responses(chosen, defaults, false, "methods.cgdd");
  EXPECT_EQ(chosen.loss.cls, 3);
  EXPECT_EQ(chosen.lr, 0.02);
  EXPECT_EQ(chosen.distillation.form, "l1");
  EXPECT_EQ(for_responses(defaults, defaults, true, "methods.cgdd").loss.statistics, 0);
  const auto refuses = [&](const std::function<void(Settings&)>& change, bool without_norms,
                           const std::vector<std::string>& parts) {
    Settings changed = defaults;
    change(changed);
    expect_error([&] { for_responses(changed, defaults, without_norms, "methods.cgdd"); }, parts);
  };
  refuses([](Settings& c) { c.loss.statistics = 3; }, true,
          {"methods.cgdd.loss.statistics", "no BatchNorm2d", "default, 1", "found 3"});
  refuses([](Settings& c) { c.loss.cls = 0; }, false, {"methods.cgdd.loss.cls", "found 0"});
  refuses([](Settings& c) { c.loss.adversary = "kl"; }, false,
          {"methods.cgdd.loss.adversary", "none or l1", "'kl'"});
  refuses([](Settings& c) { c.loss.targets = "dirichlet"; }, false,
          {"methods.cgdd.loss.targets", "'dirichlet'"});
  refuses([](Settings& c) { c.distillation.form = "kl_mean"; }, false,
          {"methods.cgdd.distillation.form", "l1 or l2", "'kl_mean'"});
  refuses([](Settings& c) { c.synthesis.of = "pixels"; }, false,
          {"methods.cgdd.synthesis.of", "none", "'pixels'"});
  refuses([](Settings& c) { c.generator.arch = "cmi"; }, false,
          {"methods.cgdd.generator.arch", "cmi", "cgdd", "gdfq"});
  expect_error(
      [] {
        const Settings dafl = find_entry("dafl")->defaults;
        for_responses(dafl, dafl, false, "methods.dafl");
      },
      {"methods.dafl.loss.cls", "found 0"});
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

/// The share of the bytes that the toy's teacher gives the requested class.
double hit_rate(const Settings& s, const Synthesised& made) {
  const Toy toy(s);
  const data::Standardisation of_teacher = toy.generator->standardisation();
  const nn::ImageStandardiser standardise(of_teacher.mean, of_teacher.deviation, cpu);
  const NoGrad no_grad;
  const Tensor predicted = argmax((*toy.teacher)(Variable(standardise(made.images))).data());
  return mean(Variable(equal(predicted, made.labels).to(DType::f32))).item();
}

/// The seed of a run draws the contrast's head too.
TEST(DataFreeSynthesis, TheContrastBeginsAsItsStreamSays) {
  const Settings s = toy_settings("cmi");
  const Toy toy(s);
  const auto head = [&](uint64_t seed) {
    const Synthesis synthesis({*toy.teacher, *toy.student, *toy.generator}, s, 3, Stream(seed));
    return synthesis.state().get("memory.head.0.weight");
  };
  EXPECT_TRUE(test::same_bits(head(1), head(1)));
  EXPECT_FALSE(test::same_bits(head(1), head(2)));
}

/// Before the student's first step nobody has looked at the images.
TEST(DataFreeTraining, AWarmUpIsNoCollapse) {
  Settings s = toy_settings("fast");
  s.epochs = 12, s.rounds = s.generator_steps = 1, s.synthesis.warmup = 11;
  Toy toy(s);
  Metrics monitor;
  toy.train(s, monitor);
  ASSERT_EQ(monitor.all.at("class_entropy").size(), 12);
  EXPECT_EQ(monitor.notes, std::vector<std::string>{});
}

/// Pixels, and noise with a copy of a generator, become what the teacher takes for the requested
/// classes; a stop leaves the generator as it was.
TEST(DataFreeSynthesis, MakesTheRequestedClasses) {
  for (const char* method : {"deepinversion", "fast", "cmi"}) {
    SCOPED_TRACE(method);
    Settings s = toy_settings(method);
    s.generator_steps = 80, s.batch = 12, s.generator.lr = s.synthesis.lr = 0.1;
    s.generator.ch = 16, s.loss.adversary = "none", s.loss.statistics = 0.01;
    s.loss.cls = 5, s.synthesis.redraw = 0, s.synthesis.momentum = 0;
    s.synthesis.contrast.weight *= 0.01;
    s.synthesis.roll = s.synthesis.crop_padding = 0, s.synthesis.flip = false;
    const auto made_in = [&](int64_t steps) {  // from the same beginning
      const Toy toy(s);
      Synthesis synthesis({*toy.teacher, *toy.student, *toy.generator}, s, 3, Stream(6));
      const TensorFile before = toy.generator->state_dict();
      const auto stop = [] { throw nn::Interrupted("stopped"); };
      EXPECT_THROW(synthesis.make(Stream(5), 0, steps, 0, stop), nn::Interrupted);
      test::expect_equal_bits(before, toy.generator->state_dict());
      return synthesis.make(Stream(5), 0, steps, 0, [] {});
    };
    const double first = made_in(1).loss;
    const Synthesised made = made_in(s.generator_steps);
    EXPECT_LT(made.loss, first - 0.3);
    EXPECT_GT(hit_rate(s, made), 0.9);
    EXPECT_EQ(made.images.shape(), (Shape{12, 8, 8, 3}));
    EXPECT_EQ(made.images.dtype(), DType::u8);
    EXPECT_EQ(made.labels.shape(), (Shape{12}));
  }
}

TEST(ContrastiveMemory, RemembersAndMakesTheHeadTellImagesApart) {
  const ContrastSettings s{.weight = 1, .temperature = 0.1, .lr = 0.01, .bank = 6, .drawn = 4};
  ContrastiveMemory memory(s, 5, Stream(1), cpu);
  EXPECT_FALSE(memory.draw(Stream(2)).local.defined());
  const auto features = [](uint64_t seed) {
    const Tensor t = Tensor::empty({4, 5});
    Stream(seed).fill_normal(t);
    return t;
  };
  memory.add(features(3), features(4)), memory.add(features(5), features(6));
  const ContrastiveMemory::Rows rows = memory.draw(Stream(2));
  EXPECT_EQ(rows.local.shape(), (Shape{4, 5}));
  const Variable local(features(7), true), global(features(8), true);
  double first = 0, last = 0;
  for (int k = 0; k < 100; ++k) {
    const Variable loss = memory.loss(local, global, rows);
    memory.optimizer().zero_grad();
    loss.backward();
    memory.optimizer().step();
    last = loss.item();
    if (k == 0) first = last;
  }
  EXPECT_LT(last, first / 2);
  EXPECT_TRUE(local.grad().defined());
  EXPECT_FALSE(global.grad().defined());
  ContrastiveMemory other(s, 5, Stream(9), cpu);
  other.load(memory.state());
  EXPECT_EQ(other.loss(local, global, other.draw(Stream(2))).item(),
            memory.loss(local, global, memory.draw(Stream(2))).item());
}

TEST(ImagePool, TheOldestMakeRoomAndDrawsAreOfTheStream) {
  ImagePool pool(3, {2, 2, 1});
  const auto images = [](uint8_t first) {
    Tensor t = Tensor::zeros({2, 2, 2, 1}, DType::u8);
    t.rows(0, 1).fill(first), t.rows(1, 2).fill(first + 1);
    return t;
  };
  expect_error([&] { pool.draw(1, {}, Stream(1)); }, {"image pool", "nothing"});
  pool.add(images(10), Tensor::of<int64_t>({0, 1}));
  EXPECT_EQ(pool.size(), 2);
  pool.add(images(20), Tensor::of<int64_t>({2, 3}));
  EXPECT_EQ(pool.size(), 3);
  std::map<int64_t, int64_t> seen;  // image by label
  const ImagePool::Batch drawn = pool.draw(64, {}, Stream(2));
  for (int64_t i = 0; i < 64; ++i)
    seen[static_cast<int64_t>(drawn.labels.at(i))] =
        static_cast<int64_t>(drawn.images.images.rows(i, i + 1).at(0));
  EXPECT_EQ(seen, (std::map<int64_t, int64_t>{{1, 11}, {2, 20}, {3, 21}}));
  ImagePool other(3, {2, 2, 1});
  other.load(pool.state());
  const ImagePool::Batch again = other.draw(64, {}, Stream(2));
  EXPECT_TRUE(test::same_bits(drawn.labels, again.labels));
  EXPECT_TRUE(test::same_bits(drawn.images.images, again.images.images));
}

/// A checkpoint while another one is written: what a full memory and its head add to it.
TEST(DataFreeSynthesis, TheContrastIsInTheSpaceThatACheckNames) {
  const auto passing = [](double weight) {
    ExperimentSettings e;
    e.data.image_size = 16;
    Settings s = settings_of("cmi", e.methods);
    s.synthesis.contrast.weight = weight, s.synthesis.contrast.bank = 300;
    s.generator.ch = 4;
    e.methods.at("cmi") = s;
    Experiment experiment(e, cpu);
    return check_data_free(experiment, {{"resnet8", "resnet8"}, "cmi"}).passing;
  };
  const auto teacher = nn::create_model("resnet8", {.outputs = 10, .channels = 3, .size = 16});
  int64_t channels = 0;
  for (const auto& [name, t] : teacher->state_dict().tensors)
    if (name.ends_with("running_mean")) channels += t.numel();
  ContrastiveMemory memory({.weight = 1, .bank = 300}, channels, Stream(1), cpu);
  const Tensor features = Tensor::empty({300, channels});
  Stream(2).fill_normal(features);
  memory.loss(Variable(features), Variable(features), {}).backward();
  memory.optimizer().step();
  memory.add(features, features);
  int64_t bytes = 0;
  for (const auto& [name, t] : memory.state().tensors) bytes += t.bytes();
  const double added = static_cast<double>(passing(0.8) - passing(0)) / 2;
  EXPECT_NEAR(added, static_cast<double>(bytes), 100) << "counters of steps and rows";
}

/// Rolled, flipped and cropped images show what they should, and gradients flow.
TEST(DataFreeViews, AreOfTheImage) {
  const Tensor image = Tensor::empty({1, 4, 4, 1});
  for (int64_t i = 0; i < 16; ++i) image.data<float>()[i] = static_cast<float>(i);
  const Views rolling({.roll = 1}, {0}, cpu);
  bool moved = false;
  for (uint64_t seed = 0; seed < 8; ++seed) {
    const Tensor v = rolling(Variable(image), rolling.draw(Stream(seed), 1, 4)).data();
    double sum = 0;
    for (int64_t i = 0; i < 16; ++i) sum += v.at(i);
    EXPECT_EQ(sum, 120) << "a roll loses nothing";
    EXPECT_EQ(static_cast<int64_t>(v.at(1) - v.at(0) + 4) % 4, 1) << "neighbours stay so";
    moved = moved || v.at(0) != 0;
  }
  EXPECT_TRUE(moved);
  const Views cropping({.crop_padding = 2, .flip = true}, {-3}, cpu);
  std::set<double> corners;
  for (uint64_t seed = 0; seed < 12; ++seed) {
    const Variable x(image.clone(), true);
    const Variable v = cropping(x, cropping.draw(Stream(seed), 1, 4));
    corners.insert(v.data().at(0));
    sum(v).backward();
    double shown = 0, black = 0;
    for (int64_t i = 0; i < 16; ++i) shown += x.grad().at(i), black += v.data().at(i) == -3;
    EXPECT_NEAR(shown + black, 16, 1e-5) << "a pixel shows the image or is black";
  }
  EXPECT_GT(corners.size(), 3u);
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
  refuses([](Settings& s) { s.loss.labelled = 0.1; },
          {"loss.labelled", "one image of a batch of 8", "found 0.1"});
  refuses([](Settings& s) { s.loss.targets = "soft"; }, {"loss.targets", "dirichlet", "'soft'"});
  refuses([](Settings& s) { s.loss.targets = "dirichlet", s.loss.cls = 0; },
          {"loss.targets", "requested classes", "cls"});
  refuses([](Settings& s) { s.loss.adversary = "l2"; }, {"loss.adversary", "'l2'"});
  refuses([](Settings& s) { s.loss.statistics = -1; }, {"loss.statistics", "found -1"});
  refuses([](Settings& s) { s.distillation.form = "mse"; }, {"distillation.form", "'mse'"});
  refuses([](Settings& s) { s.generator.arch = "biggan"; }, {"generator.arch", "'biggan'"});
  refuses([](Settings& s) { s.generator.ch = 0; }, {"generator.ch", "found 0"});
  refuses([](Settings& s) { s.crop_padding = 4; }, {"crop_padding", "synthesis.of", "found 4"});
  refuses([](Settings& s) { s.synthesis.of = "pixel"; }, {"synthesis.of", "pixels", "'pixel'"});
  refuses([](Settings& s) { s.synthesis.of = "pixels"; }, {"loss.labelled 1", "found 0.5"});
  refuses(
      [](Settings& s) {
        s.synthesis.of = "pixels", s.loss.labelled = 1;
        s.loss.student_eval = false;
      },
      {"methods.cgdd.synthesis.of", "eval mode", "loss.student_eval true, found false"});
  refuses(
      [](Settings& s) {
        s.synthesis.of = "pixels", s.loss.labelled = 1;
        s.synthesis.pool = 2;
      },
      {"synthesis.pool", "found 2"});
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
