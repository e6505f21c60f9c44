// Generator checkpoints and sampling.
#include "gan/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "gan/biggan.h"

namespace limbeck::gan {
namespace {

std::unique_ptr<BigGanGenerator> toy_generator() {
  auto g = std::make_unique<BigGanGenerator>(
      BigGanConfig{.ch = 2, .dim_z = 6, .classes = 3, .channels = 1, .sn_eps = 1e-7});
  g->initialise(Stream(1));
  return g;
}

TEST(Sampler, CheckpointAloneRebuildsTheGenerator) {
  const auto path =
      (std::filesystem::temp_directory_path() / "limbeck_sampler_test.safetensors").string();
  auto g = toy_generator();
  write_safetensors(path, generator_checkpoint(*g));
  auto loaded = load_generator(path);
  std::filesystem::remove(path);
  EXPECT_EQ(loaded->config().channels, 1);
  EXPECT_EQ(loaded->config().sn_eps, 1e-7);
  EXPECT_FALSE(loaded->training());
  const Tensor labels = Tensor::of<int64_t>({0, 1, 2, 2, 1});
  EXPECT_EQ(sample(*g, labels, Stream(2)).to_vector<float>(),
            sample(*loaded, labels, Stream(2)).to_vector<float>());
}

TEST(Sampler, BatchSizeAndModeDoNotMatter) {
  auto g = toy_generator();
  const Tensor labels = Tensor::of<int64_t>({0, 1, 2, 2, 1});
  const Tensor all = sample(*g, labels, Stream(3), {.batch = 5});
  EXPECT_TRUE(g->training());
  g->eval();
  const Tensor pieces = sample(*g, labels, Stream(3), {.batch = 2});
  for (int64_t i = 0; i < all.numel(); ++i) ASSERT_NEAR(all.at(i), pieces.at(i), 1e-6) << i;
  EXPECT_LE(std::abs(all.at(0)), 1);
}

TEST(Sampler, TruncationBoundsTheNoiseAndKeepsTheRest) {
  const Tensor free = draw_noise(50, 20, Stream(4)), bounded = draw_noise(50, 20, Stream(4), 0.7);
  int64_t redrawn = 0;
  for (int64_t i = 0; i < free.numel(); ++i) {
    ASSERT_LE(std::abs(bounded.at(i)), 0.7);
    if (std::abs(free.at(i)) <= 0.7) {
      ASSERT_EQ(free.at(i), bounded.at(i));
    } else
      ++redrawn;
  }
  EXPECT_GT(redrawn, 300);
}

TEST(Sampler, ErrorsNameTheThing) {
  auto g = toy_generator();
  EXPECT_THROW(sample(*g, Tensor::of<int64_t>({3}), Stream(5)), Error);
  TensorFile file = generator_checkpoint(*g);
  file.metadata.erase("dim_z");
  EXPECT_THROW(load_generator(file, "x.safetensors"), Error);
  file = generator_checkpoint(*g);
  file.metadata["format"] = "another";
  EXPECT_THROW(load_generator(file, "x.safetensors"), Error);
  file = generator_checkpoint(*g);
  file.metadata["ch"] = "4";  // weights of another width
  EXPECT_THROW(load_generator(file, "x.safetensors"), Error);
}

TEST(Sampler, ClassSheetHasOneRowPerClass) {
  auto g = toy_generator();
  const Tensor sheet = class_sheet(*g, 4, Stream(6));
  EXPECT_GE(sheet.size(0), 3 * 32);
  EXPECT_GE(sheet.size(1), 4 * 32);
  EXPECT_EQ(sheet.size(2), 1);
}

}  // namespace
}  // namespace limbeck::gan
