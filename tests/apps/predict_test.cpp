// `limbeck predict`: what its rows say is what the network says, however the images come.
#include <cmath>

#include "apps/command.h"
#include "apps/predict_input.h"
#include "data/dataset.h"
#include "kd/checkpoint.h"
#include "tests/data/temporary.h"

namespace limbeck {
namespace {

using test::expect_error;
using test::TemporaryFolder;

struct Saved {
  TemporaryFolder folder;
  std::string file = folder.file("model.safetensors");

  explicit Saved(const nn::ModelOptions& options = {.outputs = 3, .channels = 3, .size = 16},
                 const std::vector<std::string>& names = {"cat", "wolf, grey", "emu"}) {
    const auto network = nn::create_model("resnet8", options);
    network->initialise(Stream(1));
    const size_t channels = static_cast<size_t>(options.channels);
    kd::save_network(file, *network, "resnet8", options,
                     {std::vector<double>(channels, 0.4), std::vector<double>(channels, 0.3)},
                     data::ResponseScale{0, 90, "degrees"}, names);
  }
  std::string image(const std::string& name, int64_t height, int64_t width, int64_t channels = 3) {
    Tensor t = Tensor::empty({height, width, channels}, DType::u8);
    for (int64_t i = 0; i < t.numel(); ++i)
      t.data<uint8_t>()[i] = static_cast<uint8_t>(i * 7 % 251);
    std::filesystem::create_directories(std::filesystem::path(folder.file(name)).parent_path());
    data::write_png(folder.file(name), t);
    return folder.file(name);
  }
  std::string predict(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"--ckpt", file});
    testing::internal::CaptureStdout();
    try {
      run_command("predict", arguments);
    } catch (...) {
      testing::internal::GetCapturedStdout();
      throw;
    }
    return testing::internal::GetCapturedStdout();
  }
};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

TEST(Predict, TheRowOfAnImageIsTheSoftmaxOfItsOutputs) {
  Saved s;
  const std::string image = s.image("a.png", 16, 16);
  s.predict({"--input", image, "--out", s.folder.file("y.npy")});
  const std::vector<float> y = read_npy(s.folder.file("y.npy")).to_vector<float>();
  ASSERT_EQ(y.size(), 3u);
  const auto lines = lines_of(s.predict({"--input", image, "--top", "3"}));
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0], "file,class,probability,class_2,probability_2,class_3,probability_3");
  double sum = 0;
  for (const float v : y) sum += std::exp(static_cast<double>(v));
  std::vector<std::pair<double, std::string>> expected;
  const std::vector<std::string> names = {"cat", "\"wolf, grey\"", "emu"};
  for (size_t k = 0; k < 3; ++k)
    expected.push_back({-std::exp(static_cast<double>(y[k])) / sum, names[k]});
  std::sort(expected.begin(), expected.end());
  std::string row = image;
  size_t at = image.size();
  ASSERT_EQ(lines[1].substr(0, at), image);
  for (const auto& [p, name] : expected) {
    ASSERT_EQ(lines[1].substr(at, name.size() + 2), "," + name + ",") << lines[1];
    at += name.size() + 2;
    EXPECT_NEAR(std::stod(lines[1].substr(at)), -p, 1e-6) << lines[1];
    at = std::min(lines[1].find(',', at), lines[1].size());
  }
}

TEST(Predict, FoldersListsAndSeveralInputsNameTheSameImages) {
  Saved s({.outputs = 3, .channels = 3, .size = 16}, {});
  const std::string a = s.image("photos/a.png", 16, 16), b = s.image("photos/deep/b.PNG", 16, 16);
  s.folder.write("photos/notes.txt", "x");
  s.folder.write("list.txt", "# mine\nphotos/a.png\r\n\n " + b + " \n");
  const std::string one = s.predict({"--input", a, b});
  EXPECT_EQ(lines_of(one).size(), 3u);
  EXPECT_EQ(lines_of(one)[1].substr(0, a.size() + 1), a + ",");
  EXPECT_NE(std::string("012").find(lines_of(one)[1][a.size() + 1]), std::string::npos)
      << "without names the number";
  EXPECT_EQ(s.predict({"--input", s.folder.file("list.txt")}), one);
  testing::internal::CaptureStderr();
  EXPECT_EQ(s.predict({"--input", s.folder.file("photos")}), one);
  EXPECT_NE(testing::internal::GetCapturedStderr().find("1 file is no PNG"), std::string::npos);
  EXPECT_EQ(s.predict({"--input", a, b, "--batch", "1"}), one);
  s.predict({"--input", a, b, "--out", s.folder.file("o.csv")});
  EXPECT_EQ(read_file(s.folder.file("o.csv")), one);
}

TEST(Predict, ImagesAreBroughtToTheNetwork) {
  Saved s;
  const std::string small = s.image("small.png", 8, 8), large = s.image("large.png", 20, 30),
                    grey = s.image("grey.png", 16, 16, 1);
  expect_error(
      [&] {
        s.predict({"--input", large});
      },
      {"large.png", "16 x 16", "found 20 x 30", "--resize"});
  for (const char* how : {"crop", "fit", "stretch"})
    EXPECT_EQ(lines_of(s.predict({"--input", large, "--resize", how})).size(), 2u) << how;
  EXPECT_EQ(lines_of(s.predict({"--input", small, grey})).size(), 3u);
  expect_error(
      [&] {
        s.predict({"--input", large, "--max-pixels", "599"});
      },
      {"20 x 30", "at most 599"});
  // The same bytes as an array, in PyTorch's order.
  const Tensor bytes = data::read_image(s.image("x.png", 16, 16));
  write_npy(s.folder.file("x.npy"), to_channels_first(bytes.reshape({1, 16, 16, 3})));
  const auto array = lines_of(s.predict({"--input", s.folder.file("x.npy")})),
             file = lines_of(s.predict({"--input", s.folder.file("x.png")}));
  EXPECT_EQ(array[1], "0" + file[1].substr(s.folder.file("x.png").size()));
}

TEST(Predict, ResponsesHaveTheirUnit) {
  Saved s({.outputs = 1, .channels = 1, .size = 16, .task = nn::Task::regression}, {});
  const std::string image = s.image("a.png", 16, 16, 1);
  const auto lines = lines_of(s.predict({"--input", image}));
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0], "file,response,unit");
  s.predict({"--input", image, "--out", s.folder.file("y.npy")});
  const float y = read_npy(s.folder.file("y.npy")).at(0);
  EXPECT_NEAR(std::stod(lines[1].substr(image.size() + 1)), y, 1e-4);
  EXPECT_TRUE(lines[1].ends_with(",degrees")) << lines[1];
  expect_error([&] { s.predict({"--input", image, "--top", "2"}); }, {"--top", "responses"});
}

TEST(Predict, Refusals) {
  Saved s;
  const std::string image = s.image("a.png", 16, 16);
  expect_error([&] { s.predict({"--input", s.folder.file("none.png")}); }, {"none.png"});
  expect_error([&] { s.predict({"--input", image, "--top", "4"}); }, {"--top", "1..3", "found 4"});
  expect_error(
      [&] {
        s.predict({"--input", s.folder.write("list.txt", "a.png\nb.png\n")});
      },
      {"list.txt: line 2", "b.png", "no such file"});
  expect_error(
      [&] {
        s.predict({"--input", s.folder.write("empty.txt", "\n")});
      },
      {"empty.txt", "expected paths"});
  expect_error([&] { s.predict({"--input", s.folder.write("x.tif", "II*")}); }, {"x.tif", "found"});
  std::filesystem::create_directories(s.folder.file("bare"));
  expect_error([&] { s.predict({"--input", s.folder.file("bare")}); }, {"bare", "found 0 other"});
  expect_error([&] { s.predict({"--input", image, s.folder.file("x.npy")}); }, {"one .npy file"});
  expect_error([&] { s.predict({"--input", image, "--bits", "7"}); }, {"--bits", "9..16"});
}

TEST(Checkpoint, ClassNamesAreOneForEachOutput) {
  Saved s;
  EXPECT_EQ(kd::load_network(s.file).class_names,
            (std::vector<std::string>{"cat", "wolf, grey", "emu"}));
  Saved wrong({.outputs = 3, .channels = 3, .size = 16}, {"cat", "dog"});
  expect_error([&] { kd::load_network(wrong.file); },
               {"model.safetensors", "class_names", "expected 3", "found 2"});
}

}  // namespace
}  // namespace limbeck
