// `limbeck sample` from its arguments to the picture.
#include <gtest/gtest.h>

#include "apps/command.h"
#include "data/dataset.h"
#include "gan/biggan.h"
#include "gan/sampler.h"
#include "tests/data/temporary.h"

namespace limbeck {
namespace {

void run_sample(const std::vector<std::string>& arguments) { run_command("sample", arguments); }

class SampleCommand : public testing::Test {
 protected:
  void SetUp() override {
    gan::BigGanGenerator g({.ch = 1, .dim_z = 4, .classes = 3, .channels = 1});
    g.initialise(Stream(1));
    checkpoint_ = folder_.file("g.safetensors");
    write_safetensors(checkpoint_, gan::generator_checkpoint(g));
  }
  test::TemporaryFolder folder_;
  std::string checkpoint_;
};

TEST_F(SampleCommand, WritesAGridOfOneClassAndASheetOfAll) {
  const std::string one = folder_.file("one.png"), all = folder_.file("all.png"),
                    again = folder_.file("again.png");
  run_sample({"--ckpt", checkpoint_, "--class", "2", "--n", "5", "--out", one, "--seed", "3",
              "--zoom", "1"});
  run_sample({"--ckpt", checkpoint_, "--class", "2", "--n", "5", "--out", again, "--seed", "3",
              "--zoom", "1"});
  run_sample(
      {"--ckpt", checkpoint_, "--n", "4", "--out", all, "--truncation", "0.5", "--zoom", "1"});
  const Tensor grid = data::read_image(one), sheet = data::read_image(all);
  EXPECT_GE(grid.size(0), 2 * 32);  // 5 images: 2 rows of 3
  EXPECT_LT(grid.size(0), 3 * 32);
  EXPECT_GE(grid.size(1), 3 * 32);
  EXPECT_GE(sheet.size(0), 3 * 32);
  EXPECT_GE(sheet.size(1), 4 * 32);
  EXPECT_EQ(read_file(one), read_file(again));
}

TEST_F(SampleCommand, ResponsesAreNamedInTheirUnit) {
  const auto g = gan::create_generator(
      {.arch = "sngan", .ch = 1, .dim_z = 4, .resolution = 32, .channels = 1, .label_dim = 128});
  g->initialise(Stream(1));
  const auto embedding = std::make_shared<nn::LabelToEmbedding>();
  embedding->initialise(Stream(2));
  const std::string path = folder_.file("r.safetensors"), out = folder_.file("r.png");
  write_safetensors(path, gan::trained_generator_checkpoint(*g, embedding, {20, 60, "years"}));
  const auto sampled = [&](std::vector<std::string> more) {
    for (const char* common : {"--ckpt", path.c_str(), "--out", out.c_str(), "--zoom", "1"})
      more.push_back(common);
    run_sample(more);
    return data::read_image(out);
  };
  EXPECT_EQ(sampled({"--label", "55", "--n", "6"}).size(1), 3 * 34);
  const Tensor sweep = sampled({"--label-range", "20:60:5", "--n", "2"});
  EXPECT_EQ(sweep.size(0), 2 * 34);
  EXPECT_EQ(sweep.size(1), 9 * 34);
  EXPECT_EQ(sampled({}).size(1), 10 * 34);
  const std::string moving = folder_.file("r.apng");
  run_sample(
      {"--ckpt", path, "--label-range", "20:60:5", "--n", "5", "--zoom", "1", "--out", moving});
  const std::string bytes = read_file(moving);
  const size_t control = bytes.find("acTL");
  ASSERT_NE(control, std::string::npos);
  EXPECT_EQ(bytes.substr(control + 4, 4), std::string("\0\0\0\x09", 4)) << "nine frames";
  EXPECT_EQ(data::read_image(moving).shape(), (Shape{2 * 34, 3 * 34, 1})) << "five noises in each";
  test::expect_error(
      [&] {
        run_sample({"--ckpt", path, "--label", "30", "--out", moving});
      },
      {"r.apng", "--label-range"});
  test::expect_error([&] { sampled({"--label", "61"}); }, {"--label", "20..60 years", "61"});
  test::expect_error([&] { sampled({"--label-range", "20:60"}); }, {"--label-range", "'20:60'"});
  test::expect_error([&] { sampled({"--label-range", "10:60:5"}); }, {"--label-range", "10"});
  test::expect_error([&] { sampled({"--class", "1"}); }, {"--label", "--class"});
  test::expect_error(
      [&] {
        run_sample({"--ckpt", checkpoint_, "--label", "1", "--out", out});
      },
      {"--class", "--label"});
}

TEST_F(SampleCommand, ErrorsLeaveNoPicture) {
  const std::string out = folder_.file("none.png");
  test::expect_error(
      [&] {
        run_sample({"--ckpt", checkpoint_, "--class", "3", "--out", out});
      },
      {"--class", "0..2", "3"});
  test::expect_error(
      [&] {
        run_sample({"--ckpt", folder_.file("absent"), "--out", out});
      },
      {"absent"});
  test::expect_error(
      [&] {
        run_sample({"--ckpt", folder_.write("text", "hello, not a checkpoint"), "--out", out});
      },
      {"text"});
  EXPECT_THROW(read_file(out), Error);
}

}  // namespace
}  // namespace limbeck
