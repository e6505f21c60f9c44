// PNG files, grids, bytes from f32 images, and the `data` command.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "apps/command.h"
#include "data/dataset.h"
#include "tensor/safetensors.h"
#include "tests/data/temporary.h"

namespace limbeck::data {
namespace {

using test::expect_error;
using test::TemporaryFolder;

Tensor pattern(const Shape& shape) {
  Tensor t = Tensor::empty(shape, DType::u8);
  for (int64_t i = 0; i < t.numel(); ++i)
    t.data<uint8_t>()[i] = static_cast<uint8_t>(i * 37 + i / 11);
  return t;
}

TEST(Png, RoundTrip) {
  const TemporaryFolder folder;
  for (const Shape& shape : {Shape{1, 1, 3}, Shape{7, 5, 1}, Shape{33, 64, 3}}) {
    const Tensor image = pattern(shape);
    write_png(folder.file("x.png"), image);
    const Tensor back = read_image(folder.file("x.png"));
    EXPECT_EQ(back.shape(), shape);
    EXPECT_EQ(back.to_vector<uint8_t>(), image.to_vector<uint8_t>());
  }
}

TEST(Png, Damage) {
  const TemporaryFolder folder;
  write_png(folder.file("good.png"), pattern({40, 40, 3}));
  const std::string good = read_file(folder.file("good.png"));
  expect_error([&] { read_image(folder.write("half.png", good.substr(0, good.size() / 2))); },
               {"half.png", "corrupt"});
  expect_error([&] { read_image(folder.write("text.png", "hello")); },
               {"text.png", "expected an image"});
  expect_error([&] { read_image(folder.write("empty.png", "")); }, {"empty.png", "empty file"});
  expect_error([&] { read_image(folder.file("none.png")); }, {"none.png"});
  expect_error(
      [&] {
        write_png(folder.file("x.png"), pattern({4, 4, 2}));
      },
      {"x.png", "[4, 4, 2]"});
  expect_error(
      [&] {
        write_png(folder.file("nowhere/x.png"), pattern({4, 4, 3}));
      },
      {"nowhere/x.png"});
  EXPECT_FALSE(std::filesystem::exists(folder.file("x.png")));
}

TEST(Grid, PlacesRowByRowWithGapAndZoom) {
  const Tensor images = Tensor::of(std::vector<uint8_t>{1, 2, 3}, {3, 1, 1, 1});
  const Tensor g = grid(images, 2, 2, 2);
  ASSERT_EQ(g.shape(), (Shape{8, 8, 1}));
  const auto at = [&](int64_t y, int64_t x) { return g.at(y * 8 + x); };
  EXPECT_EQ(at(0, 0), 255);
  for (const int64_t k : {1, 2}) EXPECT_EQ(at(k, k), 1);
  EXPECT_EQ(at(3, 3), 255);
  EXPECT_EQ(at(1, 5), 2);
  EXPECT_EQ(at(5, 1), 3);
  EXPECT_EQ(at(5, 5), 255);  // empty cell
  EXPECT_EQ(grid(images, 3, 0).to_vector<uint8_t>(), (std::vector<uint8_t>{1, 2, 3}));
  expect_error([&] { grid(images, 0); }, {"columns 0"});
}

TEST(ToBytes, Truncates) {
  const Tensor t = Tensor::of(std::vector<float>{-1, 1, 0, 0.9999f, -0.9999f, 2, -3});
  EXPECT_EQ(to_bytes(t).to_vector<uint8_t>(), (std::vector<uint8_t>{0, 255, 127, 254, 0, 255, 0}));
  expect_error(
      [&] {
        to_bytes(Tensor::of(std::vector<float>{0, NAN}));
      },
      {"pixel 1", "not a number"});
}

std::string run_data(std::vector<std::string> arguments) {
  testing::internal::CaptureStdout();
  try {
    run_command("data", arguments);
  } catch (...) {
    testing::internal::GetCapturedStdout();
    throw;
  }
  return testing::internal::GetCapturedStdout();
}

TEST(DataCommand, InfoPrintsCountsAndStatistics) {
  const std::vector<std::string> arguments = {"info", "--shapes-train", "50", "--shapes-test",
                                              "20",   "--size",         "16"};
  const std::string text = run_data(arguments);
  EXPECT_NE(text.find("train: 50 images, 16 x 16, 3 channels"), std::string::npos) << text;
  EXPECT_NE(text.find("crescent"), std::string::npos) << text;
  auto with_json = arguments;
  with_json.push_back("--json");
  const auto j = nlohmann::json::parse(run_data(with_json));
  EXPECT_EQ(j["test"]["images"], 20);
  EXPECT_EQ(j["train"]["images_per_class"], std::vector<int>(10, 5));
  EXPECT_EQ(j["train"]["mean"].size(), 3u);
}

TEST(DataCommand, SetIsTheReaderOfConfigurations) {
  const std::string text = run_data({"info", "--kind", "shapes", "--set", "shapes.train=50",
                                     "--set", "shapes.test=20", "--set", "image_size=16"});
  EXPECT_EQ(text,
            run_data({"info", "--shapes-train", "50", "--shapes-test", "20", "--size", "16"}));
  expect_error(
      [] {
        run_data({"info", "--set", "shapes_train=50"});
      },
      {"--set shapes_train=50", "did you mean 'shapes.train'?"});
  expect_error(
      [] {
        run_data({"info", "--set", "shapes.train=many"});
      },
      {"'shapes.train'", "expected an integer"});
}

TEST(DataCommand, KindsListsEverySourceWithItsSettings) {
  const std::string text = run_data({"kinds"});
  for (const char* part : {"cifar10 ", "reads train.bin and test.bin in data.path", "[data.shapes]",
                           "difficulty = 1.0", "response_unit = \"\"", "[data.bars]"})
    EXPECT_NE(text.find(part), std::string::npos) << part << " is missing in: " << text;
  EXPECT_EQ(text.find("[data.cifar10]"), std::string::npos) << "no settings, no section";
}

TEST(DataCommand, InfoPrintsResponsesWithTheirScale) {
  const auto j = nlohmann::json::parse(run_data({"info", "--json", "--kind", "bars", "--bars-train",
                                                 "20", "--bars-test", "5", "--size", "8"}));
  EXPECT_EQ(j["train"]["response_scale"],
            nlohmann::json({{"low", 0.0}, {"high", 90.0}, {"unit", "degrees"}, {"wraps", false}}));
  EXPECT_NE(run_data({"info", "--kind", "bars", "--size", "8"}).find("scale      0 to 90 degrees"),
            std::string::npos);
}

TEST(DataCommand, PreviewWritesASheet) {
  const TemporaryFolder folder;
  run_data({"preview", "--shapes-train", "50", "--shapes-test", "10", "--size", "16", "--per-class",
            "3", "--zoom", "2", "--out", folder.file("sheet.png")});
  EXPECT_EQ(read_image(folder.file("sheet.png")).shape(), (Shape{10 * 34, 3 * 34, 3}));
  expect_error(
      [&] {
        run_data({"preview", "--part", "all", "--out", folder.file("no.png")});
      },
      {"--part", "'all'"});
}

}  // namespace
}  // namespace limbeck::data
