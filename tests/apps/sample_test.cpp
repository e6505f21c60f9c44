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
