// data.resize: the arithmetic of one image, and where load() and `limbeck data convert` apply it.
#include "data/resize.h"

#include "apps/command.h"
#include "data/readers.h"
#include "data/source.h"
#include "tensor/safetensors.h"
#include "tests/data/temporary.h"

namespace limbeck::data {
namespace {

using test::expect_error;
using test::TemporaryFolder;
using Bytes = std::vector<uint8_t>;

Tensor image(int64_t height, int64_t width, const Bytes& bytes, int64_t channels = 1) {
  return Tensor::of(bytes).reshape({height, width, channels});
}
Bytes resized(const Tensor& in, int64_t size, Resize how) {
  const Tensor out = resize_image(in, size, how);
  EXPECT_EQ(out.shape(), (Shape{size, size, in.size(2)}));
  return out.to_vector<uint8_t>();
}

TEST(Resize, HalvingTakesTheMeanOfFour) {
  // Means 2.5, 8.25, 255, 0.75: a half goes up.
  const Tensor in = image(4, 4, {1, 2, 8, 8, 3, 4, 8, 9, 255, 255, 0, 1, 255, 255, 1, 1});
  EXPECT_EQ(resized(in, 2, Resize::stretch), (Bytes{3, 8, 255, 1}));
  // Channels do not mix.
  EXPECT_EQ(resized(image(2, 2, {10, 100, 20, 200, 30, 100, 40, 200}, 2), 1, Resize::stretch),
            (Bytes{25, 150}));
}

TEST(Resize, APixelThatIsCutCountsWithItsShare) {
  // 3 -> 2: each new pixel covers one and a half old ones; (90 + 30 / 2) / 1.5 = 70 and 80.
  EXPECT_EQ(resized(image(1, 3, {90, 30, 105}), 2, Resize::stretch), (Bytes{70, 80, 70, 80}));
  // A constant image stays constant whatever the sizes.
  for (const int64_t side : {1, 2, 3, 7, 31, 64, 200})
    for (const int64_t size : {1, 3, 32, 64})
      EXPECT_EQ(resized(Tensor::full({side, side + 1, 3}, 201, DType::u8), size, Resize::stretch),
                Bytes(static_cast<size_t>(size * size * 3), 201))
          << side << " -> " << size;
}

TEST(Resize, GrowingInterpolatesBetweenCentres) {
  EXPECT_EQ(resized(image(1, 2, {0, 100}), 4, Resize::stretch),
            (Bytes{0, 25, 75, 100, 0, 25, 75, 100, 0, 25, 75, 100, 0, 25, 75, 100}));
  const Tensor same = image(2, 2, {1, 2, 3, 4});
  EXPECT_EQ(resized(same, 2, Resize::stretch), (Bytes{1, 2, 3, 4}));
}

TEST(Resize, CropTakesTheMiddleSquare) {
  EXPECT_EQ(resized(image(2, 5, {9, 1, 2, 9, 9, 9, 3, 4, 9, 9}), 2, Resize::crop),
            (Bytes{1, 2, 3, 4}));
  EXPECT_EQ(resized(image(3, 1, {9, 5, 9}), 1, Resize::crop), Bytes{5});
}

TEST(Resize, FitKeepsTheAspectRatioInABlackFrame) {
  // 2 x 4 -> 1 x 2 in 2 x 2: the odd row of the frame is below.
  EXPECT_EQ(resized(image(2, 4, {4, 4, 8, 8, 4, 4, 8, 8}), 2, Resize::fit), (Bytes{4, 8, 0, 0}));
  // A side never vanishes.
  EXPECT_EQ(resized(Tensor::full({1, 100, 1}, 7, DType::u8), 3, Resize::fit),
            (Bytes{0, 0, 0, 7, 7, 7, 0, 0, 0}));
}

TEST(Resize, Names) {
  EXPECT_EQ(parse_resize(""), Resize::none);
  EXPECT_EQ(parse_resize("fit"), Resize::fit);
  expect_error([] { parse_resize("zoom"); }, {"data.resize", "stretch, crop, fit", "'zoom'"});
}

/// Photos of two sizes, one a part.
DataSettings photos(const TemporaryFolder& folder) {
  write_png(folder.file("a.png"), Tensor::full({6, 4, 3}, 10, DType::u8));
  write_png(folder.file("b.png"), Tensor::full({9, 20, 3}, 20, DType::u8));
  folder.write("labels.csv", "file,age,split\na.png,1,train\nb.png,2,test\n");
  DataSettings s;
  s.kind = "folder";
  s.path = folder.path();
  s.image_size = 4;
  s.sources.at("folder").as<FolderSettings>().response.high = 80;
  return s;
}

TEST(Resize, PhotosOfManySizesBecomeOneSet) {
  const TemporaryFolder folder;
  DataSettings s = photos(folder);
  expect_error([&] { load(s); }, {"labels.csv: line 3", "b.png", "[6, 4, 3]", "data.resize"});
  s.resize = "stretch";
  const Split stretched = load(s);
  EXPECT_EQ(stretched.train.images.to_vector<uint8_t>(), Bytes(48, 10));
  EXPECT_EQ(stretched.test.images.to_vector<uint8_t>(), Bytes(48, 20));
  s.resize = "fit";
  EXPECT_EQ(load(s).test.images.to_vector<uint8_t>().front(), 0);
  s.resize = "Fit";
  expect_error([&] { check(s); }, {"data.resize", "'Fit'"});
}

TEST(Resize, ConvertWritesTheSmallerSetAndLoadResizesFilesOfArrays) {
  const TemporaryFolder folder;
  photos(folder);
  folder.write("labels.csv", "file,age,split\na.png,1,train\na.png,2,test\n");
  const std::string big = folder.file("big.safetensors"), small = folder.file("small.safetensors");
  const auto convert = [](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "convert");
    run_command("data", arguments);
  };
  const auto shape_of = [](const std::string& file) {
    return read_safetensors(file).get("images_train").shape();
  };
  const std::string high = "folder.response_high=80";
  convert({folder.path(), big, "--kind", "folder", "--set", high});
  convert({folder.path(), small, "--kind", "folder", "--set", high, "--size", "2", "--set",
           "resize=crop"});
  EXPECT_EQ(shape_of(big), (Shape{1, 3, 6, 4}));
  EXPECT_EQ(shape_of(small), (Shape{1, 3, 2, 2}));
  DataSettings s;
  s.kind = "container";
  s.path = big;
  s.image_size = 2;
  expect_error([&] { load(s); }, {"6 x 4", "image_size = 2", "data.resize"});
  s.resize = "crop";
  EXPECT_EQ(load(s).train.images.to_vector<uint8_t>(), Bytes(12, 10));
  EXPECT_EQ(load(s).test.images.shape(), (Shape{1, 2, 2, 3}));
}

}  // namespace
}  // namespace limbeck::data
