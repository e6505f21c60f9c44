// What a Conditioning draws, and that a GAN conditioned on responses trains and resumes.
#include "gan/conditioning.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "gan/class_conditioning.h"
#include "gan/trainer.h"
#include "gan/update.h"
#include "gan/vicinity_conditioning.h"
#include "ops/random.h"
#include "tests/autograd/parameter_gradients.h"
#include "tests/nn/stopping.h"

namespace limbeck::gan {
namespace {

/// Gray images as bright as their response says.
data::Dataset faces(int64_t side = 64, int64_t n = 12) {
  data::Dataset d;
  d.images = Tensor::empty({n, side, side, 1}, DType::u8);
  d.targets = Tensor::empty({n});
  for (int64_t i = 0; i < n; ++i) {
    const float y = static_cast<float>(i * i % n) / static_cast<float>(n);  // with ties
    d.targets.data<float>()[i] = y;
    d.images.rows(i, i + 1).fill(std::floor(255.0 * static_cast<double>(y)));
  }
  return d;
}

/// y, 1 - y, y^2: fixed, and fit for a recorded step.
EmbeddedResponses embedding() {
  return {[](const Tensor& y) {
            const Variable v = reshape(Variable(y), {-1, 1});
            return concat({v, affine(v, -1, 1), square(v)}, 1).data();
          },
          3};
}

GanSettings toy_settings(const std::string& type = "soft") {
  GanSettings s;
  s.arch = "sngan";
  s.steps = 3;
  s.batch = 4;
  s.d_steps = 2;
  s.g_ch = s.d_ch = 2;
  s.dim_z = 6;
  s.ema_start = 1;
  s.ema_decay = 0.5;
  s.health_every = 1;
  s.sample_every = 0;
  s.vicinity = {.type = type, .sigma = 0.05, .kappa = -2};
  return s;
}

Tensor no_place() { return place_at(places_of({Stream(1)}), 0); }

TEST(ClassConditioning, JudgesRealImagesUnderTheirClassesAndFakesUnderThoseDrawn) {
  data::Dataset d = faces(32);
  d.targets = {};
  d.classes = 3;
  d.labels = Tensor::of<int64_t>({0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2});
  GanSettings s;
  s.batch = 4;
  const auto conditioning = condition_on_classes(d, s);
  conditioning->begin(Stream(3), 0);
  const Conditioning::Real real = conditioning->next_real();
  const auto c = conditioning->discriminator_conditions(real.inputs, no_place());
  EXPECT_EQ(c.judged_real.classes.to_vector<int64_t>(), real.inputs.at(0).to_vector<int64_t>());
  EXPECT_EQ(c.made.classes.to_vector<int64_t>(),
            draw_integers(no_place(), {4}, 0, 3).to_vector<int64_t>());
  EXPECT_EQ(c.judged_fake.classes.to_vector<int64_t>(), c.made.classes.to_vector<int64_t>());
  EXPECT_FALSE(c.real_weights.defined() || c.fake_weights.defined());
}

/// The responses in the images of a batch, in [-1, 1].
double brightness(const Tensor& images, int64_t i) { return images.rows(i, i + 1).at(0); }

class VicinityConditioningOf : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Types, VicinityConditioningOf, testing::Values("soft", "hard"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(VicinityConditioningOf, RealImagesAreThoseOfTheDrawsAndConditionsTheirEmbeddings) {
  const data::Dataset d = faces();
  const GanSettings s = toy_settings(GetParam());
  const SortedResponses sorted(d.targets.span<float>());
  const Vicinity vicinity = vicinity_of(sorted, s.vicinity);
  const auto conditioning = condition_on_responses(d, s, embedding());
  conditioning->begin(Stream(3), 0);
  for (int update = 0; update < 5; ++update) {
    const Conditioning::Real real = conditioning->next_real();
    const Tensor numbers = real.inputs.at(0);
    const auto c = conditioning->discriminator_conditions(real.inputs, no_place());
    ASSERT_EQ(c.made.embedding.shape(), Shape({4, 3}));
    EXPECT_EQ(c.real_weights.defined(), vicinity.soft);
    for (int64_t i = 0; i < 4; ++i) {
      const double y = numbers.at(i), fake = numbers.at(4 + i);
      const double pixel = brightness(real.images, i),
                   response = std::ceil((pixel + 1) / 2 * 255 - 0.01) / 255;
      EXPECT_LE(std::abs(response - y), vicinity.radius() + 0.005);
      EXPECT_FLOAT_EQ(static_cast<float>(c.judged_real.embedding.data().at(3 * i)),
                      static_cast<float>(y));
      EXPECT_FLOAT_EQ(static_cast<float>(c.judged_fake.embedding.data().at(3 * i)),
                      static_cast<float>(y));
      EXPECT_FLOAT_EQ(static_cast<float>(c.made.embedding.data().at(3 * i)),
                      static_cast<float>(fake));
      if (!vicinity.soft) continue;
      EXPECT_NEAR(c.fake_weights.at(i), vicinity.weight(fake, y), 1e-4);
      EXPECT_NEAR(c.real_weights.at(i), vicinity.weight(response, y), 0.05);
    }
  }
  const Tensors targets = conditioning->next_targets(Stream(4));
  EXPECT_FLOAT_EQ(
      static_cast<float>(
          conditioning->generator_condition(targets, no_place()).embedding.data().at(3)),
      static_cast<float>(targets.at(0).at(1)));
}

// An update's draws depend on the stream and its number only: not on prefetching, nor on where one
// begins.
TEST(VicinityConditioning, BeginsAnywhereWithAnyNumberOfThreads) {
  const data::Dataset d = faces();
  GanSettings s = toy_settings();
  s.loader_threads = 0;
  const auto plain = condition_on_responses(d, s, embedding());
  s.loader_threads = 3;
  const auto threaded = condition_on_responses(d, s, embedding());
  plain->begin(Stream(3), 0);
  threaded->begin(Stream(3), 2);
  for (int update = 0; update < 6; ++update) {
    const Conditioning::Real a = plain->next_real();
    if (update < 2) continue;
    const Conditioning::Real b = threaded->next_real();
    EXPECT_EQ(a.images.to_vector<float>(), b.images.to_vector<float>()) << update;
    EXPECT_EQ(a.inputs.at(0).to_vector<float>(), b.inputs.at(0).to_vector<float>()) << update;
  }
}

class Recorder : public nn::Monitor {
 public:
  int64_t stop_after = 1000, done = 0;
  std::optional<TensorFile> saved;
  std::vector<std::pair<std::string, Shape>> images;
  std::vector<nn::Values> lines;
  void progress(int64_t step, int64_t, int64_t, const nn::Values&) override { done = step; }
  void metrics(int64_t, const nn::Values& values) override { lines.push_back(values); }
  void image(const std::string& name, const Tensor& t) override {
    images.emplace_back(name, t.shape());
  }
  bool checkpoint_due() override { return done >= stop_after; }
  bool stop_requested() override { return done >= stop_after; }
  void save(const TensorFile& state) override { saved = state; }
  std::optional<TensorFile> load() override { return saved; }
};

TensorFile train(const GanSettings& s, Recorder& monitor) {
  GanTrainer trainer(condition_on_responses(faces(), s, embedding()), s, Stream(2), monitor);
  trainer.run();
  return trainer.state();
}

TEST_P(VicinityConditioningOf, AGanTrainsShowsItsResponsesAndResumes) {
  for (const char* loss : {"hinge", "vanilla"}) {
    GanSettings s = toy_settings(GetParam());
    s.loss = loss;
    Recorder whole, stopped;
    const TensorFile expected = train(s, whole);
    ASSERT_EQ(whole.images.size(), 1u);
    EXPECT_EQ(whole.images[0].first, "responses-000003");
    EXPECT_GE(whole.images[0].second[0], 10 * 64);
    ASSERT_EQ(whole.lines.size(), 3u);
    for (const nn::Values& line : whole.lines)
      for (const auto& [name, v] : line) EXPECT_TRUE(std::isfinite(v)) << name;
    stopped.stop_after = 2;
    EXPECT_THROW(train(s, stopped), nn::Interrupted);
    stopped.stop_after = 1000;
    test::expect_equal_bits(train(s, stopped), expected);
  }
}

// --- the options of CcGAN: naive labels, CcGAN-AVAR, Dual-NDA ----------------------------------

struct Option {
  const char* name;
  std::function<void(GanSettings&)> set;
};
void PrintTo(const Option& o, std::ostream* out) { *out << o.name; }

std::vector<Option> options() {
  return {{"clipped", [](GanSettings& s) { s.vicinity.clip_targets = true; }},
          {"adaptive", [](GanSettings& s) { s.vicinity.min_images = 3; }},
          {"hybrid", [](GanSettings& s) { s.vicinity.type = "hybrid", s.vicinity.min_images = 3; }},
          {"regression", [](GanSettings& s) { s.regression = {.d_weight = 1, .g_weight = 1}; }},
          {"mismatched", [](GanSettings& s) { s.negatives = {.mismatched = 0.2, .start = 0}; }},
          {"negatives",
           [](GanSettings& s) {
             s.negatives = {.mismatched = 0.1,
                            .mismatched_quantile = 0.5,
                            .poor = 0.2,
                            .poor_quantile = 0.5,
                            .poor_from = 12,
                            .start = 2};
           }},
          {"all", [](GanSettings& s) {
             s.arch = "sngan-nli", s.loss = "vanilla";
             s.vicinity.min_images = 2, s.vicinity.type = "hybrid", s.vicinity.clip_targets = true;
             s.regression = {.d_weight = 1, .g_weight = 0.5, .slack = 2};
             s.negatives = {.mismatched = 0.1, .poor = 0.2, .poor_from = 12, .start = 1};
           }}};
}

std::vector<Option> options_and_naive() {
  std::vector<Option> all = options();
  all.push_back({"naive", [](GanSettings& s) { s.arch = "sngan-nli", s.loss = "vanilla"; }});
  return all;
}

/// Images with a texture, whose quality can be told; as bright as their response.
data::Dataset textured() {
  data::Dataset d = faces(32);
  Stream stream(6);
  for (uint8_t& v : d.images.span<uint8_t>())
    v = static_cast<uint8_t>(v / 2 + static_cast<uint8_t>(stream.below(100)));
  return d;
}

GanTrainer option_trainer(const GanSettings& s, nn::Monitor& monitor) {
  const bool naive = condition_kind(s.arch) == ConditionKind::response;
  return GanTrainer(
      condition_on_responses(textured(), s, naive ? responses_as_they_are() : embedding()), s,
      Stream(2), monitor);
}

class CcganOption : public testing::TestWithParam<Option> {};
INSTANTIATE_TEST_SUITE_P(Options, CcganOption, testing::ValuesIn(options()),
                         [](const auto& info) { return std::string(info.param.name); });
class CcganTraining : public testing::TestWithParam<Option> {};
INSTANTIATE_TEST_SUITE_P(Options, CcganTraining, testing::ValuesIn(options_and_naive()),
                         [](const auto& info) { return std::string(info.param.name); });

// Stopped before, at and after the step at which negatives begin.
TEST_P(CcganTraining, ResumesWithTheSameBits) {
  GanSettings s = toy_settings();
  s.steps = 4;
  GetParam().set(s);
  Recorder whole;
  GanTrainer undisturbed = option_trainer(s, whole);
  undisturbed.run();
  for (const nn::Values& line : whole.lines)
    for (const auto& [name, v] : line) EXPECT_TRUE(std::isfinite(v)) << name;
  for (const int64_t stop : {1, 2, 3}) {
    Recorder stopped;
    stopped.stop_after = stop;
    EXPECT_THROW(option_trainer(s, stopped).run(), nn::Interrupted);
    stopped.stop_after = 1000;
    GanTrainer resumed = option_trainer(s, stopped);
    resumed.run();
    test::expect_equal_bits(resumed.state(), undisturbed.state());
  }
}

// Beside a training of the same networks with the same loss.
TEST_P(CcganOption, ChangesTheTraining) {
  GanSettings with = toy_settings(), without = toy_settings();
  with.steps = without.steps = 4;
  GetParam().set(with);
  without.arch = with.arch, without.loss = with.loss;
  Recorder a, b;
  GanTrainer plain = option_trainer(without, a), other = option_trainer(with, b);
  plain.run(), other.run();
  const char* key = "discblock1.0.conv1.weight_orig";
  EXPECT_NE(plain.discriminator().state_dict().get(key).to_vector<float>(),
            other.discriminator().state_dict().get(key).to_vector<float>());
}

// Until they begin, a training with negatives is the plain one.
TEST(CcganNegatives, BeginAtTheirStep) {
  GanSettings s = toy_settings();
  s.steps = 4;
  Recorder a, b;
  GanTrainer plain = option_trainer(s, a);
  s.negatives = {.mismatched = 0.2, .poor = 0.1, .poor_from = 12, .start = 2};
  GanTrainer late = option_trainer(s, b);
  for (int step = 0; step < 4; ++step) {
    plain.step(), late.step();
    const auto weights = [](GanTrainer& t) {
      return t.discriminator().state_dict().get("linear1.weight_orig").to_vector<float>();
    };
    if (step < 2) {
      EXPECT_EQ(weights(plain), weights(late)) << step;
    } else {
      EXPECT_NE(weights(plain), weights(late)) << step;
    }
  }
}

/// One update's losses and gradients, with everything that can come to them.
struct ObjectiveToy {
  const int64_t n = 3;
  std::unique_ptr<Generator> g;
  std::unique_ptr<Discriminator> d;
  Tensor z, real, negatives, no_augmentation;
  Conditioning::DiscriminatorConditions c;
  ObjectiveToy() {
    NetworkConfig config{
        .arch = "sngan", .ch = 1, .dim_z = 4, .resolution = 32, .channels = 1, .label_dim = 3};
    g = create_generator(config);
    config.response_head = true;
    d = create_discriminator(config);
    for (nn::Module* m : {static_cast<nn::Module*>(g.get()), static_cast<nn::Module*>(d.get())}) {
      m->initialise(Stream(3));
      m->to(DType::f64);
    }
    z = normal({n, 4}, 1), real = normal({n, 32, 32, 1}, 2);
    negatives = normal({2 * n, 32, 32, 1}, 3);
    const auto condition = [&](uint64_t seed) {
      return Condition{{}, Variable(normal({n, 3}, seed))};
    };
    const auto column = [&](double low, double high) {
      const Tensor t = Tensor::empty({n, 1}, DType::f64);
      Stream(11).fill_uniform(t, low, high);
      return t;
    };
    c.made = condition(4), c.judged_fake = c.judged_real = condition(5);
    c.real_weights = column(0.5, 1), c.fake_weights = column(0.2, 1);
    for (int i = 0; i < 10; ++i) d->forward(real, c.judged_real);  // spectral norms settle
    g->eval(), d->eval();  // power iterations and running statistics rest
    c.target = column(0, 1), c.fake_response = column(0.1, 0.9), c.base = column(0.01, 0.05);
  }
  static Tensor normal(const Shape& shape, uint64_t seed) {
    const Tensor t = Tensor::empty(shape, DType::f64);
    Stream(seed).fill_normal(t);
    return t;
  }
  GanObjective objective(AdversarialLoss loss, const AuxiliaryLosses& auxiliary) {
    return GanObjective(*g, *d, loss, "", false, auxiliary);
  }
};

TEST(CcganObjective, IsTheSumOfItsTerms) {
  ObjectiveToy toy;
  for (const AdversarialLoss loss : {AdversarialLoss::hinge, AdversarialLoss::vanilla}) {
    const NoGrad no_grad;
    const AuxiliaryLosses auxiliary{
        .d_regression = 0.7, .g_regression = 0.3, .slack = 2, .negatives = {0.1, 0.25}};
    GanObjective objective = toy.objective(loss, auxiliary);
    const auto r = objective.discriminator(toy.z, toy.real, toy.c, {}, toy.negatives);
    const auto on = [&](const Tensor& images) { return toy.d->judge(images, toy.c.judged_real); };
    const Judged of_real = on(toy.real), of_fake = on(r.fake);
    double expected = real_loss(loss, of_real.score, toy.c.real_weights).item() +
                      0.65 * fake_loss(loss, of_fake.score, toy.c.fake_weights).item() +
                      0.1 * fake_loss(loss, on(toy.negatives.rows(0, 3)).score).item() +
                      0.25 * fake_loss(loss, on(toy.negatives.rows(3, 6)).score).item();
    for (const auto& [judged, response] :
         {std::pair{of_real, toy.c.target}, std::pair{of_fake, toy.c.fake_response}})
      for (int64_t i = 0; i < toy.n; ++i)
        expected += 0.7 / 3 *
                    std::max(0.0, std::abs(judged.response.data().at(i) - response.at(i)) -
                                      2 * toy.c.base.at(i));
    EXPECT_NEAR(r.loss.item(), expected, 1e-12);
    const Condition made = toy.c.made;
    const Judged judged = toy.d->judge(toy.g->forward(toy.z, made), made);
    double of_g = generator_loss(loss, judged.score).item();
    for (int64_t i = 0; i < toy.n; ++i)
      of_g += 0.3 / 3 * std::abs(judged.response.data().at(i) - toy.c.target.at(i));
    EXPECT_NEAR(objective.generator(toy.z, made, {}, toy.c.target).item(), of_g, 1e-12);
  }
}

TEST(CcganObjective, HasTheGradientsOfFiniteDifferences) {
  ObjectiveToy toy;
  GanObjective objective = toy.objective(
      AdversarialLoss::vanilla,
      {.d_regression = 0.7, .g_regression = 0.3, .slack = 1, .negatives = {0.1, 0.25}});
  test::expect_parameter_gradients(
      *toy.d,
      [&] { return objective.discriminator(toy.z, toy.real, toy.c, {}, toy.negatives).loss; }, 3);
  test::expect_parameter_gradients(
      *toy.g, [&] { return objective.generator(toy.z, toy.c.made, {}, toy.c.target); }, 3,
      [](const std::string& name) {  // the original's unused batch norms
        return name.find("model.0.") != std::string::npos ||
               name.find("model.4.") != std::string::npos;
      });
}

// The embedded response reaches G: after some training its images differ between responses, and
// every weight of D and G has moved.
TEST(VicinityConditioning, EveryPartOfTheNetworksLearns) {
  GanSettings s = toy_settings();
  s.arch = "sagan";
  s.g_ch = s.d_ch = 8;
  Recorder monitor;
  GanTrainer trainer(condition_on_responses(faces(), s, embedding()), s, Stream(2), monitor);
  const TensorFile g = trainer.generator().state_dict(), d = trainer.discriminator().state_dict();
  trainer.run();
  for (const auto& [before, net] :
       {std::pair<const TensorFile*, nn::Module*>{&g, &trainer.generator()},
        {&d, &trainer.discriminator()}})
    for (const nn::Parameter& p : net->parameters())
      EXPECT_NE(before->get(p.name).to_vector<float>(),
                net->state_dict().get(p.name).to_vector<float>())
          << p.name;
}

std::string error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

TEST(Conditioning, RefusesWhatCannotBeTrained) {
  Recorder monitor;
  const data::Dataset d = faces();
  const auto expect = [](const std::function<void()>& f, const std::string& part) {
    const std::string found = error_of(f);
    EXPECT_NE(found.find(part), std::string::npos) << found;
  };
  GanSettings s = toy_settings();
  expect([&] { condition_on_classes(d, s); }, "the data set has no classes");
  s.arch = "biggan";
  expect([&] { GanTrainer(condition_on_responses(d, s, embedding()), s, Stream(1), monitor); },
         "gan.arch: biggan is conditioned on classes, the task is regression; expected one of "
         "sagan, sngan, sngan-nli, sngan-nli-narrow");
  s = toy_settings();
  s.arch = "sngan-nli";
  expect(
      [&] { GanTrainer(condition_on_responses(d, s, embedding()), s, Stream(1), monitor).run(); },
      "SNGAN generator: expected [4, 1], found [4, 3]");
  s = toy_settings();
  s.regression.g_weight = 1;
  expect([&] { GanTrainer(condition_on_responses(d, s, embedding()), s, Stream(1), monitor); },
         "gan.regression.g_weight: the generator cannot learn from a head that does not");
  s.regression = {.d_weight = -1};
  expect([&] { GanTrainer(condition_on_responses(d, s, embedding()), s, Stream(1), monitor); },
         "gan.regression.d_weight: expected a number of 0 or more, found -1");
  s = toy_settings();
  s.vicinity.min_images = 13;
  expect([&] { condition_on_responses(d, s, embedding()); },
         "gan.vicinity.min_images: expected 0 to 12");
  s = toy_settings();
  s.negatives = {.poor = 0.1};
  expect([&] { GanTrainer(condition_on_responses(d, s, embedding()), s, Stream(1), monitor); },
         "gan.negatives.start");
  s = toy_settings();
  expect([&] { condition_on_responses(d, s, {}); }, "no embedding");
  s.vicinity.type = "round";
  expect([&] { condition_on_responses(d, s, embedding()); }, "gan.vicinity.type");
  data::Dataset degrees = d;
  degrees.targets = Tensor::full({d.size()}, 35);
  expect([&] { condition_on_responses(degrees, toy_settings(), embedding()); },
         "normalised to [0, 1], found 35");
  degrees.targets = {};
  expect([&] { condition_on_responses(degrees, toy_settings(), embedding()); }, "no responses");
}

}  // namespace
}  // namespace limbeck::gan
