// Whole training steps on the device cuda beside the CPU, from the same seed: classifier steps
// (with dropout and a smaller last batch) and GAN steps, most of them replayed from a recorded
// graph.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <memory>

#include "gan/autoencoder_trainer.h"
#include "gan/class_conditioning.h"
#include "gan/density_ratio.h"
#include "gan/feature_net.h"
#include "gan/label_embedding_trainer.h"
#include "gan/rejection.h"
#include "gan/response_ratio.h"
#include "gan/sampler.h"
#include "gan/trainer.h"
#include "gan/vicinity_conditioning.h"
#include "kd/distillation.h"
#include "kd/fake_data.h"
#include "nn/layers.h"
#include "nn/step_graph.h"
#include "tests/kd/method_settings.h"
#include "tests/ops_cuda/late.h"
#include "train/supervised.h"

namespace limbeck {
namespace {

const Device cuda{DeviceKind::cuda, 0};

/// Classes are brightness of a channel, plus noise.
data::Dataset toy_data(int64_t n, int64_t side, int64_t classes) {
  data::Dataset d;
  d.images = Tensor::empty({n, side, side, 3}, DType::u8);
  std::vector<int64_t> labels;
  Stream stream(11);
  for (int64_t i = 0; i < n; ++i) {
    labels.push_back(i % classes);
    const auto x = d.images.rows(i, i + 1).span<uint8_t>();
    for (size_t p = 0; p < x.size(); ++p)
      x[p] = static_cast<uint8_t>(stream.below(128) +
                                  (static_cast<int64_t>(p % 3) == i % classes ? 90 : 0));
  }
  d.labels = Tensor::of(labels);
  d.classes = classes;
  return d;
}

/// Every value that the loop reports, in order.
class Recorder : public nn::Monitor {
 public:
  std::vector<double> values;
  std::vector<std::string> names;
  void metrics(int64_t step, const nn::Values& v) override {
    for (const auto& [name, value] : v)
      names.push_back(cat(name, " at ", step)), values.push_back(value);
  }
};

void expect_close(const Recorder& found, const Recorder& expected, double tolerance) {
  ASSERT_EQ(found.names, expected.names);
  for (size_t i = 0; i < found.values.size(); ++i)
    EXPECT_NEAR(found.values[i], expected.values[i], tolerance * (1 + std::abs(expected.values[i])))
        << found.names[i];
}

void expect_close(const TensorFile& found, const TensorFile& expected, double tolerance) {
  ASSERT_EQ(found.tensors.size(), expected.tensors.size());
  for (size_t i = 0; i < found.tensors.size(); ++i) {
    const auto& [name, a] = found.tensors[i];
    const auto& [other, b] = expected.tensors[i];
    ASSERT_EQ(name, other);
    double largest = 0, difference = 0;
    for (int64_t j = 0; j < a.numel(); ++j) {
      largest = std::max(largest, std::abs(b.at(j)));
      difference = std::max(difference, std::abs(a.at(j) - b.at(j)));
    }
    EXPECT_LE(difference, tolerance * std::max(largest, 1e-3)) << name;
  }
}

TEST(CudaTraining, ClassifierLossesAreThoseOfTheCpu) {
  const data::Dataset set = toy_data(22, 8, 3), none = toy_data(0, 8, 3);
  const train::ClassificationCriterion criterion;
  train::Settings settings;
  settings.epochs = 4;  // three batches an epoch, the last one of six images
  settings.batch = 8;
  settings.milestones = {2};
  settings.crop_padding = 1;
  std::map<DeviceKind, Recorder> log;
  std::map<DeviceKind, TensorFile> weights;
  for (const Device device : {cpu, cuda}) {
    gan::FeatureNet net({.outputs = 3, .channels = 3, .size = 8},
                        {.width = 4, .blocks = {1, 1}, .feature = 16, .head = {8}, .dropout = 0.3});
    net.initialise(Stream(3));
    net.to(device);
    EXPECT_EQ(net.device(), device);
    const train::SupervisedResult r = train::fit({.network = net,
                                                  .train = set,
                                                  .test = none,
                                                  .standardisation = data::standardisation_of(set),
                                                  .criterion = criterion,
                                                  .stream = Stream(7),
                                                  .monitor = log[device.kind]},
                                                 settings);
    EXPECT_EQ(r.steps, 12);
    weights[device.kind] = net.state_dict();
  }
  expect_close(log[DeviceKind::cuda], log[DeviceKind::cpu], 2e-4);
  expect_close(weights[DeviceKind::cuda], weights[DeviceKind::cpu], 5e-3);
}

TEST(CudaTraining, DistillationLossesAreThoseOfTheCpu) {
  const data::Dataset set = toy_data(16, 8, 3), none = toy_data(0, 8, 3);
  const train::ClassificationCriterion criterion;
  train::Settings settings;
  settings.epochs = 2;
  settings.batch = 4;
  settings.crop_padding = 0;
  std::map<DeviceKind, Recorder> log;
  for (const Device device : {cpu, cuda}) {
    const auto network = [&](uint64_t seed) {
      auto net = std::make_unique<gan::FeatureNet>(
          nn::ModelOptions{.outputs = 3, .channels = 3, .size = 8},
          gan::FeatureNetSize{.width = 4, .blocks = {1}, .feature = 8, .head = {}, .dropout = 0});
      net->initialise(Stream(seed));
      net->to(device);
      return net;
    };
    const auto student = network(3);
    kd::Distillation distillation("blkd", kd::create_method("blkd"), network(4),
                                  nn::Task::classification);
    train::fit({.network = *student,
                .train = set,
                .test = none,
                .standardisation = data::standardisation_of(set),
                .criterion = criterion,
                .stream = Stream(7),
                .monitor = log[device.kind],
                .extra = &distillation},
               settings);
  }
  expect_close(log[DeviceKind::cuda], log[DeviceKind::cpu], 2e-4);
}

TEST(CudaTraining, DensityRatioLossesAreThoseOfTheCpu) {
  const data::Dataset set = toy_data(16, 8, 2);
  const gan::ImageSource source = [](const Tensor& y, const Stream& stream) {
    const Tensor x = Tensor::empty({y.size(0), 8, 8, 3});
    Stream s = stream;
    s.fill_uniform(x, -1, 0.5);
    return x;
  };
  gan::RatioSettings settings;
  settings.epochs = 3;
  settings.batch = 8;
  settings.lr = 1e-3;
  std::map<DeviceKind, Recorder> log;
  std::map<DeviceKind, TensorFile> weights;
  for (const Device device : {cpu, cuda}) {
    gan::FeatureNet features({.outputs = 2, .channels = 3, .size = 8},
                             {.width = 4, .blocks = {1}, .feature = 8, .head = {}});
    features.initialise(Stream(3));
    gan::ClassRatioNet net(2, 2, 8, {16, 16}, 0.5);
    features.to(device), net.to(device);
    gan::train_ratio({net, features, source, set, Stream(2), log[device.kind]}, settings);
    weights[device.kind] = net.state_dict();
  }
  expect_close(log[DeviceKind::cuda], log[DeviceKind::cpu], 1e-3);
  expect_close(weights[DeviceKind::cuda], weights[DeviceKind::cpu], 5e-3);
}

/// A small generator of 32 pixels and two classes on the device, as a source that the step draws
/// from.
gan::ImageSource toy_generator(Device device) {
  const std::shared_ptr<gan::Generator> generator =
      gan::create_generator({.ch = 2, .dim_z = 6, .classes = 2, .sn_eps = 1e-7});
  generator->initialise(Stream(4));
  generator->to(device);
  return gan::source_of(generator, 3);
}

struct RatioResult {
  Recorder log;
  TensorFile weights;
};

/// Steps of two images, the last one of an epoch of one; the fourth is recorded, the fifth
/// replayed. Dropout twice in a step.
RatioResult train_ratio_with_generator(Device device, double lambda = 0.01) {
  const data::Dataset set = toy_data(5, 32, 2);
  gan::RatioSettings settings;
  settings.epochs = 2;
  settings.batch = 2;
  settings.lr = 1e-3;
  settings.lambda = lambda;
  gan::FeatureNet features({.outputs = 2, .channels = 3, .size = 32},
                           {.width = 2, .blocks = {1}, .feature = 8, .head = {}});
  features.initialise(Stream(3));
  gan::ClassRatioNet net(2, 2, 8, {16, 16}, 0.5);
  features.to(device), net.to(device);
  RatioResult result;
  gan::train_ratio({net, features, toy_generator(device), set, Stream(2), result.log}, settings);
  result.weights = net.state_dict();
  return result;
}

TEST(CudaTraining, DensityRatioWithFakesDrawnInTheStepIsThatOfTheCpu) {
  const RatioResult expected = train_ratio_with_generator(cpu),
                    found = train_ratio_with_generator(cuda);
  expect_close(found.log, expected.log, 1e-3);
  expect_close(found.weights, expected.weights, 5e-3);
}

TEST(CudaTraining, DivergenceStopsTheDensityRatio) {
  for (const Device device : {cpu, cuda}) try {
      train_ratio_with_generator(device, 1e300);  // infinite in f32
      ADD_FAILURE() << device << ": no error";
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find("ratio: the loss is "), std::string::npos)
          << device << ": " << e.what();
      EXPECT_NE(std::string(e.what()).find(" at step 0;"), std::string::npos)
          << device << ": " << e.what();
    }
}

// Rejection sampling and the teacher's judgement, a batch on the device and a batch in the host's
// hands.
TEST(CudaTraining, FakesAreThoseOfTheCpu) {
  std::map<DeviceKind, gan::Accepted> accepted;
  std::map<DeviceKind, Tensor> plain;
  std::map<DeviceKind, kd::Judgement> judgement;
  const Tensor condition = Tensor::of<int64_t>({1});
  for (const Device device : {cpu, cuda}) {
    const gan::ImageSource source = toy_generator(device);
    // The ratio: half the brightness of a corner, shifted to be positive.
    const gan::RatioFunction ratio = [](const Tensor& x, const Tensor& y) {
      return mean(affine(slice(reshape(Variable(x), {y.size(0), 32 * 32 * 3}), 1, 0, 12), 0.5, 0.6),
                  {1})
          .data();
    };
    accepted[device.kind] = gan::rejection_sample(source, ratio, condition, 9,
                                                  {.burn_in = 10, .batch = 4}, Stream(1), true);
    plain[device.kind] = gan::plain_sample(source, condition, 7, 3, Stream(2), true);
    gan::FeatureNet teacher({.outputs = 2, .channels = 3, .size = 32},
                            {.width = 2, .blocks = {1}, .feature = 8, .head = {}});
    teacher.initialise(Stream(3));
    teacher.to(device);
    const kd::Judge judge =
        kd::classifier_judge(teacher, {{0.5, 0.4, 0.3}, {0.5, 0.4, 0.3}}, {2, true}, 4);
    judgement[device.kind] = judge(toy_data(9, 32, 2).images,
                                   Tensor::of<int64_t>({0, 1, 0, 1, 0, 1, 0, 1, 0}), Stream(5));
  }
  const gan::Accepted &found = accepted[DeviceKind::cuda], &expected = accepted[DeviceKind::cpu];
  EXPECT_EQ(found.proposed, expected.proposed);
  EXPECT_EQ(found.accepted, expected.accepted);
  EXPECT_NEAR(found.bound, expected.bound, 1e-5);
  const auto expect_bytes = [](const Tensor& a, const Tensor& b) {
    ASSERT_EQ(a.shape(), b.shape());
    ASSERT_EQ(a.device(), cpu);
    for (int64_t i = 0; i < a.numel(); ++i) ASSERT_LE(std::abs(a.at(i) - b.at(i)), 1) << i;
  };
  expect_bytes(found.samples, expected.samples);
  expect_bytes(plain[DeviceKind::cuda], plain[DeviceKind::cpu]);
  ASSERT_EQ(judgement[DeviceKind::cuda].loss.size(), 9u);
  EXPECT_EQ(judgement[DeviceKind::cuda].predicted, judgement[DeviceKind::cpu].predicted);
  for (size_t i = 0; i < 9; ++i)
    EXPECT_NEAR(judgement[DeviceKind::cuda].loss[i], judgement[DeviceKind::cpu].loss[i], 1e-4) << i;
}

TEST(CudaTraining, GanLossesAreThoseOfTheCpu) {
  const data::Dataset set = toy_data(8, 32, 2);
  gan::GanSettings settings;
  settings.steps = 5;  // from the third on replayed
  settings.batch = 2;
  settings.d_steps = 2;
  settings.g_ch = settings.d_ch = 2;
  settings.dim_z = 8;
  settings.g_lr = settings.d_lr = 1e-5;
  settings.ema_decay = 0.9;
  settings.ema_start = 4;  // the recorded step copies first, then blends
  settings.health_every = 1;
  settings.sample_every = 0;
  std::map<DeviceKind, Recorder> log;
  std::map<DeviceKind, TensorFile> average;
  for (const Device device : {cpu, cuda}) {
    gan::GanTrainer trainer(gan::condition_on_classes(set, settings, device), settings, Stream(5),
                            log[device.kind], device);
    trainer.run();
    average[device.kind] = trainer.average().state_dict();
  }
  expect_close(log[DeviceKind::cuda], log[DeviceKind::cpu], 2e-3);
  expect_close(average[DeviceKind::cuda], average[DeviceKind::cpu], 5e-3);
}

gan::EmbeddedResponses toy_embedding() {
  return {[](const Tensor& y) {
            const Variable v = reshape(Variable(y), {-1, 1});
            return concat({v, affine(v, -1, 1), square(v)}, 1).data();
          },
          3};
}

gan::GanSettings settings_by_response() {
  gan::GanSettings settings;
  settings.arch = "sngan";
  settings.steps = 5;  // from the third on replayed
  settings.batch = 2, settings.d_steps = 1, settings.g_ch = settings.d_ch = 1, settings.dim_z = 4;
  settings.g_lr = settings.d_lr = 1e-5;
  settings.ema_decay = 0.9, settings.ema_start = 2, settings.health_every = 1,
  settings.sample_every = 0;
  return settings;
}

void expect_gan_by_response_as_on_the_cpu(const data::Dataset& set,
                                          const gan::GanSettings& settings) {
  const bool naive = gan::condition_kind(settings.arch) == gan::ConditionKind::response;
  const gan::EmbeddedResponses enter = naive ? gan::responses_as_they_are() : toy_embedding();
  std::map<DeviceKind, Recorder> log;
  std::map<DeviceKind, TensorFile> average;
  for (const Device device : {cpu, cuda}) {
    gan::GanTrainer trainer(gan::condition_on_responses(set, settings, enter, device), settings,
                            Stream(5), log[device.kind], device);
    trainer.run();
    average[device.kind] = trainer.average().state_dict();
  }
  expect_close(log[DeviceKind::cuda], log[DeviceKind::cpu], 2e-3);
  expect_close(average[DeviceKind::cuda], average[DeviceKind::cpu], 5e-3);
}

data::Dataset six_responses(int64_t side) {
  data::Dataset set = toy_data(6, side, 3);
  set.labels = {}, set.classes = 0;
  set.targets = Tensor::of<float>({0.1F, 0.5F, 0.5F, 0.9F, 0.3F, 1.0F});
  return set;
}

// Weights, targets and the embedding of responses travel into the recorded updates.
TEST(CudaTraining, GanConditionedOnResponsesIsThatOfTheCpu) {
  expect_gan_by_response_as_on_the_cpu(six_responses(64), settings_by_response());
}

TEST(CudaTraining, NaiveGanIsThatOfTheCpu) {
  gan::GanSettings settings = settings_by_response();
  settings.arch = "sngan-nli", settings.loss = "vanilla";
  settings.vicinity.clip_targets = true;
  expect_gan_by_response_as_on_the_cpu(six_responses(32), settings);
}

TEST(CudaTraining, GanWithAdaptiveVicinitiesAndRegressionIsThatOfTheCpu) {
  gan::GanSettings settings = settings_by_response();
  settings.vicinity.type = "hybrid", settings.vicinity.min_images = 2;
  settings.regression = {.d_weight = 1, .g_weight = 1};
  expect_gan_by_response_as_on_the_cpu(six_responses(32), settings);
}

// The updates with negatives are recorded apart: from the step at which they begin.
TEST(CudaTraining, GanWithNegativesIsThatOfTheCpu) {
  gan::GanSettings settings = settings_by_response();
  settings.steps = 8;
  settings.negatives = {.mismatched = 0.1, .poor = 0.2, .poor_from = 10, .start = 4};
  expect_gan_by_response_as_on_the_cpu(six_responses(32), settings);
}

/// Responses of the toy images instead of classes.
data::Dataset toy_responses(int64_t n, int64_t side) {
  data::Dataset set = toy_data(n, side, 3);
  set.targets = set.labels.to(DType::f32);
  for (float& y : set.targets.span<float>()) y /= 2;
  set.labels = {}, set.classes = 0;
  return set;
}

// The nets around a GAN for responses, most of their steps replayed; the last batch of responses is
// a smaller one.
TEST(CudaTraining, LabelEmbeddingIsThatOfTheCpu) {
  const std::vector<float> responses{0, 0.25F, 0.5F, 0.75F, 1};
  gan::LabelEmbeddingSettings settings;
  settings.epochs = 4, settings.batch = 3, settings.milestones = {2};
  std::map<DeviceKind, Recorder> log;
  std::map<DeviceKind, TensorFile> weights;
  for (const Device device : {cpu, cuda}) {
    const auto embedding = nn::create_embedding_network(
        "ResNet18_embed", {.outputs = 1, .channels = 1, .size = 32, .task = nn::Task::regression});
    embedding->initialise(Stream(1));
    nn::LabelToEmbedding net;
    net.initialise(Stream(2));
    embedding->to(device), net.to(device);
    gan::train_label_embedding({net, *embedding, responses, Stream(3), log[device.kind]}, settings);
    weights[device.kind] = net.state_dict();
  }
  expect_close(log[DeviceKind::cuda], log[DeviceKind::cpu], 1e-3);
  expect_close(weights[DeviceKind::cuda], weights[DeviceKind::cpu], 5e-3);
}

TEST(CudaTraining, AutoencoderIsThatOfTheCpu) {
  const data::Dataset set = toy_responses(12, 16);
  gan::AutoencoderSettings settings;
  settings.width = 2, settings.feature = 8, settings.epochs = 3, settings.batch = 6;
  settings.milestones = {2}, settings.lr = 1e-3;
  std::map<DeviceKind, Recorder> log;
  for (const Device device : {cpu, cuda}) {
    gan::SparseAutoencoder net(gan::size_of(settings, set));
    net.initialise(Stream(1));
    net.to(device);
    gan::train_autoencoder({net, set, Stream(2), log[device.kind]}, settings);
  }
  expect_close(log[DeviceKind::cuda], log[DeviceKind::cpu], 5e-3);
}

// The step draws the fakes, embeds their responses and the ratio net's, and encodes the images.
TEST(CudaTraining, DensityRatioOfResponsesIsThatOfTheCpu) {
  const data::Dataset set = toy_responses(6, 32);
  gan::RatioSettings settings;
  settings.epochs = 6, settings.batch = 3, settings.lr = 1e-3;
  std::map<DeviceKind, Recorder> log;
  std::map<DeviceKind, TensorFile> weights;
  for (const Device device : {cpu, cuda}) {
    const gan::TrainedGenerator generator{
        gan::create_generator(
            {.arch = "sngan", .ch = 1, .dim_z = 4, .resolution = 32, .label_dim = 128}),
        std::make_shared<nn::LabelToEmbedding>()};
    generator.net->initialise(Stream(1));
    generator.embedding->initialise(Stream(2));
    generator.to(device);
    gan::SparseEncoder encoder({.ch = 2, .bottleneck = 8, .channels = 3, .size = 32});
    encoder.initialise(Stream(3));
    gan::ResponseRatioNet net(gan::embedded_by(generator.embedding).embed, 128, 8, {16, 16}, 0.5);
    encoder.to(device), net.to(device);
    gan::train_ratio({net, encoder, gan::source_of(generator, 3), set, Stream(4), log[device.kind]},
                     settings);
    weights[device.kind] = net.state_dict();
  }
  expect_close(log[DeviceKind::cuda], log[DeviceKind::cpu], 1e-3);
  expect_close(weights[DeviceKind::cuda], weights[DeviceKind::cpu], 5e-3);
}

// The results of a step are read while the next one runs; still nothing is saved and the step is
// named.
TEST(CudaTraining, DivergenceStopsTheRun) {
  const data::Dataset set = toy_data(16, 8, 2), none = toy_data(0, 8, 2);
  const train::ClassificationCriterion criterion;
  struct : nn::Monitor {
    bool checkpoint_due() override { return ++steps, true; }
    void save(const TensorFile&) override { ++saved; }
    int steps = 0, saved = 0;
  } monitor;
  const auto train = [&](const Device device) -> std::string {
    monitor.steps = monitor.saved = 0;
    gan::FeatureNet net({.outputs = 2, .channels = 3, .size = 8},
                        {.width = 4, .blocks = {1, 1}, .feature = 16, .head = {8}, .dropout = 0});
    net.initialise(Stream(3));
    net.to(device);
    train::Settings settings;
    settings.epochs = 20, settings.batch = 4, settings.lr = 1e30;
    try {
      train::fit({.network = net,
                  .train = set,
                  .test = none,
                  .standardisation = data::standardisation_of(set),
                  .criterion = criterion,
                  .stream = Stream(7),
                  .monitor = monitor},
                 settings);
    } catch (const Error& e) {
      return e.what();
    }
    return "no error";
  };
  for (const Device device : {cpu, cuda}) {
    const std::string error = train(device);
    EXPECT_NE(error.find("training diverged: the loss is "), std::string::npos)
        << device << ": " << error;
    EXPECT_NE(error.find(cat(" at step ", monitor.saved, " ")), std::string::npos)
        << device << ": " << monitor.saved << " saved, " << error;
  }
}

TEST(CudaTraining, DivergenceStopsTheGan) {
  const data::Dataset set = toy_data(8, 32, 2);
  gan::GanSettings settings;
  settings.steps = 2, settings.batch = 2, settings.d_steps = 2, settings.g_ch = settings.d_ch = 2,
  settings.dim_z = 8;
  settings.sample_every = 0;
  settings.loss_bound = 1e-6;
  Recorder log;
  gan::GanTrainer trainer(gan::condition_on_classes(set, settings, cuda), settings, Stream(5), log,
                          cuda);
  try {
    trainer.run();
    ADD_FAILURE() << "no error";
  } catch (const Error& e) {
    EXPECT_NE(
        std::string(e.what()).find("GAN training diverged at step 0: the discriminator's loss = "),
        std::string::npos)
        << e.what();
  }
}

#if defined(LIMBECK_SIM)
/// The three loops on the device, with recorded steps; every weight and value, as bits.
std::vector<double> train_on_device() {
  std::vector<double> bits;
  const auto take = [&bits](const TensorFile& file) {
    for (const auto& [name, t] : file.tensors)
      for (int64_t i = 0; i < t.numel(); ++i) bits.push_back(t.at(i));
  };
  Recorder log;
  {
    const data::Dataset set = toy_data(22, 8, 3), none = toy_data(0, 8, 3);
    const train::ClassificationCriterion criterion;
    gan::FeatureNet net({.outputs = 3, .channels = 3, .size = 8},
                        {.width = 4, .blocks = {1, 1}, .feature = 16, .head = {8}, .dropout = 0.3});
    net.initialise(Stream(3));
    net.to(cuda);
    train::Settings settings;
    settings.epochs = 3, settings.batch = 8, settings.crop_padding = 1;
    train::fit({.network = net,
                .train = set,
                .test = none,
                .standardisation = data::standardisation_of(set),
                .criterion = criterion,
                .stream = Stream(7),
                .monitor = log},
               settings);
    take(net.state_dict());
  }
  {
    const data::Dataset set = toy_data(8, 32, 2);
    gan::GanSettings settings;
    settings.steps = 3, settings.batch = 2, settings.d_steps = 1, settings.g_ch = settings.d_ch = 2,
    settings.dim_z = 8;
    settings.ema_decay = 0.9, settings.ema_start = 2, settings.health_every = 2,
    settings.sample_every = 0;
    gan::GanTrainer trainer(gan::condition_on_classes(set, settings, cuda), settings, Stream(5),
                            log, cuda);
    trainer.run();
    take(trainer.average().state_dict());
  }
  {
    const RatioResult ratio = train_ratio_with_generator(cuda);
    take(ratio.weights);
    bits.insert(bits.end(), ratio.log.values.begin(), ratio.log.values.end());
  }
  bits.insert(bits.end(), log.values.begin(), log.values.end());
  return bits;
}

// The batch, the recorded step's inputs at their fixed places, and the results on their way back
// are in order without the shim's help.
TEST(CudaTraining, SameBitsWhateverRunsLate) {
  const std::vector<double> expected = train_on_device();
  for (const Late which : {Late::copies, Late::compute})
    late(which, [&] { EXPECT_TRUE(train_on_device() == expected) << static_cast<int>(which); });
}
#endif

/// A running sum kept in a buffer that is replaced, and a count of host effects: what a replay must
/// carry on.
class Accumulator : public nn::Module {
 public:
  Accumulator() { sum_ = add_buffer("sum", Tensor::zeros({3})); }
  Tensor step(const Tensor& x) {
    const NoGrad no_grad;
    buffer(sum_) = (Variable(buffer(sum_)) + Variable(x)).data();
    host_effect([this] { ++count; });
    return buffer(sum_);
  }
  Tensor total() { return buffer(sum_).to(cpu); }
  int count = 0;

 private:
  size_t sum_;
};

TEST(CudaStepGraph, ReplaysCarryBuffersAndHostEffectsOn) {
  Accumulator module;
  module.to(cuda);
  int calls = 0;
  nn::StepGraph graph(cuda, {&module}, [&](const Tensors& in) {
    ++calls;
    return Tensors{module.step(in[0])};
  });
  double expected = 0;
  for (int i = 1; i <= 7; ++i) {
    expected += i;
    EXPECT_EQ(graph({Tensor::full({3}, i)})[0].to(cpu).at(2), expected) << "call " << i;
    EXPECT_EQ(module.count, i);
  }
  EXPECT_EQ(calls, 3) << "two calls as usual, one recorded, the others replayed";
  EXPECT_EQ(graph({Tensor::full({1}, 10)})[0].to(cpu).at(2), expected + 10)
      << "another shape runs as usual";
  EXPECT_EQ(calls, 4);
  EXPECT_EQ(graph({Tensor::full({3}, 1)})[0].to(cpu).at(2), expected + 11)
      << "and the next replay goes on from there";
  EXPECT_EQ(calls, 4);
  EXPECT_EQ(module.total().at(0), expected + 11);
}

TEST(CudaStepGraph, AStepThatReadsTheDeviceIsRefused) {
  nn::StepGraph graph(cuda, {}, [](const Tensors& in) {
    in[0].item();
    return in;
  });
  const Tensor x = Tensor::full({1}, 2);
  graph({x}), graph({x});
  EXPECT_THROW(graph({x}), Error);
  EXPECT_FALSE(recording());
  EXPECT_EQ(Tensor::full({2}, 3, DType::f32, cuda).to(cpu).at(1), 3)
      << "the device works afterwards";
}

TEST(CudaStepGraph, ARecordingThatFailsLeavesTheBuffersAsTheyWere) {
  Accumulator module;
  module.to(cuda);
  nn::StepGraph graph(cuda, {&module}, [&](const Tensors& in) {
    const Tensor sum = module.step(in[0]);
    if (recording()) fail("not this time");
    return Tensors{sum};
  });
  const Tensor x = Tensor::full({3}, 2);
  graph({x}), graph({x});
  EXPECT_THROW(graph({x}), Error);
  EXPECT_EQ(module.total().at(0), 4);
}

/// The weights after eight steps of `Optim`, with the state of the third loaded after the sixth.
template <class Optim>
std::vector<float> weights_after_loading(const typename Optim::Config& config, bool as_graph) {
  const Variable w(Tensor::full({64}, 1, DType::f32, cuda), true);
  Optim optimizer({{"w", w}}, config);
  const nn::StepGraph::Step step = [&](const Tensors& in) {
    optimizer.zero_grad();
    sum(square(w - Variable(in[0]))).backward();
    optimizer.step();
    return Tensors{};
  };
  nn::StepGraph graph(cuda, {}, step);
  TensorFile third;
  for (int i = 1; i <= 8; ++i) {
    const Tensors in{Tensor::full({64}, 0.5 * i, DType::f32, cuda)};
    as_graph ? graph(in) : step(in);
    if (i == 3) third = optimizer.state();
    if (i == 6) optimizer.load_state(third);
    const Tensor other =
        Tensor::full({64}, 1e6, DType::f32, cuda);  // takes a slot's memory, if that was given back
  }
  EXPECT_EQ(optimizer.state().get("steps").template to_vector<int64_t>()[0], 5);
  return w.data().to(cpu).template to_vector<float>();
}

TEST(CudaStepGraph, AnOptimisersStateLoadedAfterTheRecordingIsUsed) {
  const nn::SGD::Config sgd{.lr = 0.05, .momentum = 0.9};
  EXPECT_EQ(weights_after_loading<nn::SGD>(sgd, true), weights_after_loading<nn::SGD>(sgd, false));
  const nn::Adam::Config adam{.lr = 0.1};
  EXPECT_EQ(weights_after_loading<nn::Adam>(adam, true),
            weights_after_loading<nn::Adam>(adam, false));
  const nn::Adam::Config adamw{.lr = 0.1, .weight_decay = 0.2, .decoupled = true};
  EXPECT_EQ(weights_after_loading<nn::Adam>(adamw, true),
            weights_after_loading<nn::Adam>(adamw, false));
}

TEST(CudaStepGraph, ARecordingThatCannotBeginLeavesNoneOpen) {
  nn::StepGraph graph(cuda, {},
                      [](const Tensors& in) { return run_forward(find_op("square"), in, {}); });
  const Tensor x = Tensor::full({1}, 3, DType::f32, cuda);
  graph({x}), graph({x});
  backend(cuda).begin_recording(0);  // by somebody else
  EXPECT_THROW(graph({x}), Error);
  EXPECT_FALSE(recording());
  backend(cuda).end_recording(0);
  EXPECT_EQ(graph({x})[0].to(cpu).at(0), 9) << "the next call records";
}

}  // namespace
}  // namespace limbeck
