// Training of the nets around a GAN for responses: label embedding, sparse autoencoder, ratio net.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "gan/autoencoder_trainer.h"
#include "gan/balanced_pick.h"
#include "gan/label_embedding_trainer.h"
#include "gan/response_ratio.h"
#include "gan/sampler.h"
#include "tests/data/temporary.h"
#include "tests/nn/stopping.h"

namespace limbeck::gan {
namespace {

std::vector<std::vector<float>> state_of(const nn::Module& m) {
  std::vector<std::vector<float>> all;
  for (const auto& [name, t] : m.state_dict().tensors)
    if (t.dtype() == DType::f32) all.push_back(t.to_vector<float>());
  return all;
}

/// Trains `whole` through, `stopped` to a stop and `resumed` on from there: the same weights,
/// running statistics and values. `train` takes a net and a monitor.
template <class Net, class Train>
void expect_resumes(Net& whole, Net& stopped, Net& resumed, int64_t stop, Train&& train) {
  nn::Monitor undisturbed;
  const nn::Values expected = train(whole, undisturbed);
  test::Stopping first(stop);
  EXPECT_THROW(train(stopped, first), nn::Interrupted);
  test::Stopping second(0, first.saved);
  EXPECT_EQ(train(resumed, second), expected);
  EXPECT_EQ(state_of(whole), state_of(resumed));
}

/// Images as bright as their response.
data::Dataset graded(int64_t n = 24, int64_t size = 16) {
  data::Dataset d;
  d.images = Tensor::empty({n, size, size, 1}, DType::u8);
  d.targets = Tensor::empty({n});
  for (int64_t i = 0; i < n; ++i) {
    d.targets.data<float>()[i] = static_cast<float>(i / 2 * 2) / static_cast<float>(n);
    d.images.rows(i, i + 1).fill(
        std::floor(255.0 * static_cast<double>(i) / static_cast<double>(n)));
  }
  return d;
}

TEST(BalancedPick, DrawsEveryResponseAlikeAndDependsOnTheStepOnly) {
  std::vector<float> responses(90, 0.25f);
  responses.push_back(0.5f);
  responses.insert(responses.end(), 9, 0.75f);
  const BalancedPick pick(responses, 3000, Stream(1));
  std::map<float, int> count;
  for (const int64_t i : pick(4)) ++count[responses[static_cast<size_t>(i)]];
  for (const float y : {0.25f, 0.5f, 0.75f}) EXPECT_NEAR(count[y], 1000, 120) << y;
  EXPECT_EQ(pick(4), BalancedPick(responses, 3000, Stream(1))(4));
  EXPECT_NE(pick(4), pick(5));
}

/// The embedding network has not learned anything, which is enough: its h -> y is some fixed map.
class LabelEmbeddingTraining : public testing::Test {
 protected:
  LabelEmbeddingTraining() : embedding(nn::create_embedding_network("ResNet18_embed", options)) {
    embedding->initialise(Stream(3));
    for (const nn::Parameter& p : embedding->parameters())  // its closing ReLU must not be dead
      if (p.name.starts_with("h2y") && p.value.rank() == 1) p.value.data().fill(0.5);
    settings.epochs = 60;
    settings.batch = 4;
    settings.milestones = {50};
    settings.lr = 0.05;
  }
  nn::Values train(nn::LabelToEmbedding& net, nn::Monitor& monitor) {
    net.initialise(Stream(5));
    return train_label_embedding({net, *embedding, responses, Stream(2), monitor}, settings);
  }
  const nn::ModelOptions options{
      .outputs = 1, .channels = 1, .size = 32, .task = nn::Task::regression};
  std::unique_ptr<nn::EmbeddingNetwork> embedding;
  std::vector<float> responses{0.1f, 0.9f, 0.1f, 0.5f, 0.3f, 0.7f, 0.5f, 1.0f};
  LabelEmbeddingSettings settings;
};

TEST_F(LabelEmbeddingTraining, LearnsEmbeddingsFromWhichResponsesComeBack) {
  nn::LabelToEmbedding net;
  nn::Monitor monitor;
  const auto before = state_of(*embedding);
  train(net, monitor);
  EXPECT_EQ(state_of(*embedding), before) << "the embedding network is frozen";
  net.eval();
  const Tensor y = Tensor::of<float>({0.2f, 0.5f, 0.8f}, {3, 1});
  const Tensor back = embedding->response(net(y)).data();
  for (int64_t i = 0; i < 3; ++i) EXPECT_NEAR(back.at(i), y.at(i), 0.15);
}

TEST_F(LabelEmbeddingTraining, ResumesBitEqual) {
  settings.epochs = 4;
  settings.milestones = {2};
  nn::LabelToEmbedding whole, stopped, resumed;
  expect_resumes(whole, stopped, resumed, 3,
                 [&](auto& net, nn::Monitor& monitor) { return train(net, monitor); });
}

TEST_F(LabelEmbeddingTraining, RefusesWhatNoTrainingCanFollow) {
  nn::LabelToEmbedding net;
  nn::Monitor monitor;
  settings.noise = -1;
  EXPECT_THROW(train(net, monitor), Error);
  settings.noise = 0.2;
  settings.lr = 0;
  EXPECT_THROW(train(net, monitor), Error);
}

AutoencoderSettings small_autoencoder() {
  AutoencoderSettings s;
  s.width = 4;
  s.feature = 16;
  s.epochs = 3;
  s.batch = 8;
  s.milestones = {2};
  return s;
}

TEST(AutoencoderTraining, ResumesBitEqual) {
  const data::Dataset d = graded();
  const AutoencoderSettings s = small_autoencoder();
  SparseAutoencoder whole(size_of(s, d)), stopped(size_of(s, d)), resumed(size_of(s, d));
  expect_resumes(whole, stopped, resumed, 4, [&](SparseAutoencoder& net, nn::Monitor& monitor) {
    net.initialise(Stream(1));
    return train_autoencoder({net, d, Stream(2), monitor}, s);
  });
}

/// At this learning rate they fall to about a fifth or less with every instruction set; at the
/// default so few images do not train it reliably.
TEST(AutoencoderTraining, LearnsImagesAndResponses) {
  const data::Dataset d = graded();
  AutoencoderSettings s = small_autoencoder();
  s.lr = 3e-3;
  SparseAutoencoder net(size_of(s, d));
  const auto train = [&](int64_t epochs) {
    s.epochs = epochs;
    s.milestones = {};
    net.initialise(Stream(3));
    nn::Monitor monitor;
    return train_autoencoder({net, d, Stream(13), monitor}, s);
  };
  const nn::Values first = train(1), last = train(60);
  for (const size_t i : {0u, 1u, 3u})
    EXPECT_LT(last[i].second, first[i].second / 2) << first[i].first;
}

TEST(ResponseRatioTraining, SeesTheEncoderAndResumesBitEqual) {
  const data::Dataset d = graded();
  const AutoencoderSettings s = small_autoencoder();
  SparseEncoder encoder(size_of(s, d));
  encoder.initialise(Stream(4));
  RatioSettings ratio;
  ratio.epochs = 3, ratio.batch = 8, ratio.lr = 1e-2, ratio.milestones = {};
  const auto fakes = [](const Tensor& y, const Stream& stream) {
    Tensor x = Tensor::empty({y.size(0), 16, 16, 1});
    Stream draw = stream;
    draw.fill_uniform(x, -1, 1);
    return x;
  };
  const ResponseEmbedding embed = [](const Tensor& y) { return y.reshape({-1, 1}); };
  ResponseRatioNet whole(embed, 1, 16, {16}, 0.1), stopped(embed, 1, 16, {16}, 0.1),
      resumed(embed, 1, 16, {16}, 0.1);
  expect_resumes(whole, stopped, resumed, 4, [&](ResponseRatioNet& net, nn::Monitor& monitor) {
    return train_ratio({net, encoder, fakes, d, Stream(2), monitor}, ratio);
  });
}

/// A generator of responses with its embedding.
struct Toy {
  std::shared_ptr<Generator> net = create_generator(
      {.arch = "sngan", .ch = 2, .dim_z = 6, .resolution = 32, .channels = 1, .label_dim = 128});
  LabelEmbeddingSettings settings;
  std::shared_ptr<nn::LabelToEmbedding> embedding = std::make_shared<nn::LabelToEmbedding>();
  Toy() {
    net->initialise(Stream(1));
    embedding->initialise(Stream(2));
  }
};

TEST(ResponseGenerator, TheCheckpointAloneMakesImagesOfResponses) {
  const Toy toy;
  const test::TemporaryFolder folder;
  const std::string path = folder.file("generator.safetensors");
  write_safetensors(
      path, trained_generator_checkpoint(*toy.net, toy.embedding, {-88.13, 97.92, "degrees"}));
  const TrainedGenerator loaded = load_trained_generator(path);
  EXPECT_TRUE(loaded.of_responses());
  EXPECT_EQ(loaded.scale, (data::ResponseScale{-88.13, 97.92, "degrees"}));
  const Tensor y = Tensor::of<float>({0, 0.5f, 1});
  const TrainedGenerator original{toy.net, toy.embedding, loaded.scale};
  EXPECT_EQ(sample(*loaded.net, loaded.condition(y), Stream(3)).to_vector<float>(),
            sample(*toy.net, original.condition(y), Stream(3)).to_vector<float>());
  EXPECT_EQ(source_of(loaded, 2)(y, Stream(4)).to_vector<float>(),
            sample(*toy.net, original.condition(y), Stream(4), {.batch = 2}).to_vector<float>());
  write_safetensors(path, generator_checkpoint(*toy.net));
  EXPECT_THROW(load_trained_generator(path), Error) << "without its embedding";
}

TEST(ResponseGenerator, OneThatTakesResponsesAsTheyAreNeedsNoEmbedding) {
  const std::shared_ptr<Generator> net =
      create_generator({.arch = "sngan-nli", .ch = 2, .dim_z = 4, .resolution = 32, .channels = 1});
  net->initialise(Stream(1));
  const test::TemporaryFolder folder;
  const std::string path = folder.file("generator.safetensors");
  write_safetensors(path, trained_generator_checkpoint(*net, nullptr, {1, 60, "years"}));
  const TrainedGenerator loaded = load_trained_generator(path);
  EXPECT_TRUE(loaded.of_responses());
  EXPECT_EQ(loaded.embedding, nullptr);
  EXPECT_EQ(loaded.scale, (data::ResponseScale{1, 60, "years"}));
  EXPECT_EQ(loaded.net->config().arch, "sngan-nli");
  const Tensor y = Tensor::of<float>({0, 0.5f, 1});
  const Condition condition{{}, Variable(y.reshape({3, 1}))};
  EXPECT_EQ(sample(*loaded.net, loaded.condition(y), Stream(3)).to_vector<float>(),
            sample(*net, condition, Stream(3)).to_vector<float>());
  EXPECT_EQ(source_of(loaded, 2)(y, Stream(4)).to_vector<float>(),
            sample(*net, condition, Stream(4), {.batch = 2}).to_vector<float>());
}

TEST(ResponseGenerator, ASweepKeepsTheNoiseAlongARow) {
  const Toy toy;
  const TrainedGenerator g{toy.net, toy.embedding, {}};
  const Tensor same = sweep(*toy.net, g.condition(Tensor::of<float>({0.5f, 0.5f})), 2, Stream(1));
  const int64_t row = same.size(1);
  EXPECT_EQ(same.shape(), Shape({2 * 34, 2 * 34, 1}));
  const auto pixel = [&](int64_t y, int64_t x) { return same.data<uint8_t>()[y * row + x]; };
  int64_t across = 0, down = 0;
  for (int64_t y = 0; y < 32; ++y)
    for (int64_t x = 0; x < 32; ++x)
      across += pixel(y, x) != pixel(y, x + 34), down += pixel(y, x) != pixel(y + 34, x);
  EXPECT_EQ(across, 0);
  EXPECT_GT(down, 100);
}

}  // namespace
}  // namespace limbeck::gan
