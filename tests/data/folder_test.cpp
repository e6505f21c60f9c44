// Image folder with labels.csv, and load(): draws, padding, refused settings.
#include <algorithm>

#include "data/readers.h"
#include "data/shapes.h"
#include "data/source.h"
#include "tests/data/temporary.h"

namespace limbeck::data {
namespace {

using test::expect_error;
using test::TemporaryFolder;

Tensor image(int64_t height, int64_t width, int64_t channels, int value) {
  return Tensor::full({height, width, channels}, value, DType::u8);
}

/// a.png .. d.png of 4 x 5 RGB with values 10, 20, 30, 40.
void write_images(const TemporaryFolder& folder) {
  for (int i = 0; i < 4; ++i)
    write_png(folder.file(std::string(1, static_cast<char>('a' + i)) + ".png"),
              image(4, 5, 3, 10 * (i + 1)));
}

Split read_csv(const TemporaryFolder& folder, const std::string& csv,
               const FolderSettings& settings = {}) {
  folder.write("labels.csv", csv);
  return read_folder(folder.path(), settings);
}

TEST(Folder, ClassesByNumber) {
  const TemporaryFolder folder;
  write_images(folder);
  const Split s =
      read_csv(folder, "file,class,split\na.png,1,train\nb.png,0,test\n\nc.png,2,train\n");
  EXPECT_EQ(s.train.classes, 3);
  EXPECT_EQ(s.train.labels.to_vector<int64_t>(), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(s.test.labels.to_vector<int64_t>(), std::vector<int64_t>{0});
  EXPECT_FALSE(s.train.targets.defined());
  EXPECT_EQ(s.train.images.shape(), (Shape{2, 4, 5, 3}));
  EXPECT_EQ(s.train.images.at(60), 30);
  EXPECT_EQ(s.test.images.at(0), 20);
}

TEST(Folder, ClassesByNameQuotesAndWindowsLines) {
  const TemporaryFolder folder;
  write_images(folder);
  const Split s = read_csv(folder,
                           "\xEF\xBB\xBF"
                           "label,file\r\n\"wolf, grey\",a.png\r\ncat,b.png\r\n");
  EXPECT_EQ(s.train.class_names, (std::vector<std::string>{"cat", "wolf, grey"}));
  EXPECT_EQ(s.train.labels.to_vector<int64_t>(), (std::vector<int64_t>{1, 0}));
  EXPECT_EQ(s.test.size(), 0);
}

TEST(Folder, ResponsesAndNamedColumn) {
  const TemporaryFolder folder;
  write_images(folder);
  const std::string csv =
      "file,object,angle,split\na.png,2,-0.25,train\nb.png,2,1e1,test\nc.png,2,8,train\n";
  const Split s = read_csv(folder, csv, {.label_column = "angle"});
  EXPECT_EQ(s.train.classes, 0);
  EXPECT_FALSE(s.train.labels.defined());
  EXPECT_EQ(s.train.targets.to_vector<float>(), (std::vector<float>{-0.25f, 8}));
  EXPECT_EQ(s.test.targets.to_vector<float>(), std::vector<float>{10});
  expect_error([&] { read_csv(folder, csv); },
               {"labels.csv", "object, angle", "data.folder.label_column"});
  expect_error([&] { read_csv(folder, csv, {.label_column = "angel"}); },
               {"labels.csv", "'angel'"});
  expect_error([&] { s.train.histogram(); }, {"responses"});
}

TEST(Folder, ResponseScale) {
  const TemporaryFolder folder;
  write_images(folder);
  const std::string csv = "file,angle,split\na.png,-2,train\nb.png,10,test\nc.png,8,train\n";
  // Without a given scale: of the training responses; a test response may lie outside.
  const Split s = read_csv(folder, csv);
  EXPECT_EQ(s.train.scale, (ResponseScale{-2, 8, ""}));
  EXPECT_EQ(s.test.scale, s.train.scale);
  EXPECT_EQ(s.test.scale.to_unit(s.test.targets).at(0), 1.2f);
  const FolderSettings given{.response = {.low = -2, .high = 10, .unit = "degrees"}};
  EXPECT_EQ(read_csv(folder, csv, given).test.scale, (ResponseScale{-2, 10, "degrees"}));
  // A given one holds every response, of either part.
  expect_error([&] { read_csv(folder, csv, {.response = {.low = -2, .high = 9}}); },
               {"labels.csv: line 3", "response 10", "expected -2..9"});
  expect_error([&] { read_csv(folder, csv, {.response = {.low = -1, .high = 10}}); },
               {"labels.csv: line 2", "response -2"});
  expect_error([&] { read_csv(folder, csv, {.response = {.low = 3, .high = 3}}); },
               {"data.folder.response_low", "found 3 and 3"});
  expect_error(
      [&] { read_csv(folder, "file,class\na.png,0\n", {.response = {.unit = "degrees"}}); },
      {"labels.csv", "column class holds classes"});
  expect_error([&] { read_csv(folder, csv, {.response = {.wraps = true}}); },
               {"data.folder.response_wraps", "response_low"});
  const ResponseScale turn =
      read_csv(folder, csv, {.response = {.low = -2, .high = 10, .wraps = true}}).train.scale;
  EXPECT_TRUE(turn.wraps);
  expect_error([&] { turn.to_unit(s.train.targets); }, {"wrap", "10 is -2 again"});
  expect_error([&] { turn.from_unit(s.train.targets); }, {"wrap"});
  const std::string alike = "file,angle,split\na.png,5,train\nb.png,10,test\n";
  expect_error([&] { read_csv(folder, alike); },
               {"labels.csv", "found only 5", "data.folder.response_low"});
  EXPECT_EQ(read_csv(folder, alike, given).train.scale.high, 10);
  Dataset other = s.test;
  other.scale.unit = "radians";
  expect_error([&] { concatenate(s.train, other); }, {"different scales", "radians"});
  EXPECT_EQ(concatenate(s.train, s.test).scale, s.train.scale);
}

TEST(Folder, ResponsesOutsideOfACutAreLeftOut) {
  const TemporaryFolder folder;
  write_images(folder);
  // What is left out need not lie in the scale, nor exist.
  const std::string csv =
      "file,angle,split\nnone.png,-85,train\na.png,-80,train\nb.png,10,test\nc.png,80,train\n"
      "none.png,99,test\n";
  const FolderSettings cut{.response = {.from = -80, .to = 80}};
  const Split s = read_csv(folder, csv, cut);
  EXPECT_EQ(s.train.targets.to_vector<float>(), (std::vector<float>{-80, 80}));
  EXPECT_EQ(s.test.targets.to_vector<float>(), std::vector<float>{10});
  EXPECT_EQ(s.train.scale, (ResponseScale{-80, 80, ""})) << "of what stays";
  const FolderSettings both{.response = {.low = -80, .high = 80, .from = -80, .to = 80}};
  EXPECT_EQ(read_csv(folder, csv, both).train.size(), 2);
  expect_error([&] { read_csv(folder, csv, {.response = {.from = 100, .to = 120}}); },
               {"labels.csv", "data.folder.response_from and response_to, 100..120", "found none"});
  expect_error([&] { read_csv(folder, csv, {.response = {.from = 5, .to = 3}}); },
               {"data.folder.response_from", "found 5 and 3"});
  expect_error([&] { read_csv(folder, "file,class\na.png,0\n", cut); },
               {"labels.csv", "column class holds classes", "response_from"});
}

// Truncation in f32 gives the ages back, as the original's denormalisation does.
TEST(ResponseScale, WholeNumbersSurviveTheWayToTheUnitAndBack) {
  const ResponseScale years{0, 60, "years", false, true};
  for (int age = 1; age <= 60; ++age) {
    const auto network = static_cast<float>(years.to_unit(age));
    EXPECT_EQ(years.counted(years.from_unit(static_cast<double>(network))), age);
  }
  EXPECT_EQ(years.counted(years.from_unit(0.4299)), 25);
  EXPECT_EQ(years.counted(-0.7), 0);
  EXPECT_EQ((ResponseScale{0, 60}.counted(25.9)), 25.9);
}

TEST(Folder, Damage) {
  const TemporaryFolder folder;
  write_images(folder);
  const auto broken = [&](const std::string& csv, std::vector<std::string> parts) {
    parts.push_back("labels.csv");
    expect_error([&] { read_csv(folder, csv); }, parts);
  };
  broken("", {"empty"});
  broken("file,class\n", {"found none"});
  broken("name,class\na.png,1\n", {"name, class"});
  broken("file\na.png\n", {"label column"});
  broken("name,class,split\na.png,0,train\n", {"expected a column file", "name, class, split"});
  broken("file,class\na.png,1\nb.png\n", {"line 3", "expected 2 columns", "found 1"});
  broken("file,class\na.png,-1\n", {"line 2", "label -1"});
  broken("file,class,split\na.png,1,train\nb.png,2,test\n", {"line 3", "label 2", "expected 0..1"});
  broken("file,class,split\na.png,cat,train\nb.png,dog,test\n", {"line 3", "'dog'"});
  broken("file,class,split\na.png,1,valid\n", {"line 2", "'valid'"});
  broken("file,class,split\na.png,1,test\n", {"split train"});
  broken("file,age\na.png,12\nb.png,x\n", {"line 3", "age", "'x'"});
  broken("file,age\na.png,nan\n", {"line 2", "'nan'"});
  broken("file,age\na.png,1\nb.png,1e300\n", {"line 3", "1e+300", "finite"});
  broken("file,age\n\"a.png,1\n", {"line 2", "quote"});
  broken("file,age\na.png,1\nmissing.png,2\n", {"line 3", "missing.png"});
  write_png(folder.file("big.png"), image(4, 6, 3, 0));
  write_png(folder.file("gray.png"), image(4, 5, 1, 0));
  broken("file,age\na.png,1\nbig.png,2\n", {"line 3", "big.png", "[4, 5, 3]", "[4, 6, 3]"});
  broken("file,age\na.png,1\ngray.png,2\n", {"line 3", "gray.png", "[4, 5, 1]"});
  folder.write("bad.png", "not an image");
  broken("file,age\nbad.png,1\na.png,2\n", {"line 2", "bad.png"});
  expect_error([&] { read_folder(folder.file("none")); }, {"none/labels.csv"});
}

DataSettings folder_settings(const TemporaryFolder& folder, int64_t size) {
  DataSettings s;
  s.kind = "folder";
  s.path = folder.path();
  s.image_size = size;
  return s;
}

TEST(Load, PadsWithBlack) {
  const TemporaryFolder folder;
  write_images(folder);
  folder.write("labels.csv", "file,class,split\na.png,0,train\nb.png,0,test\n");
  const Split s = load(folder_settings(folder, 8));
  ASSERT_EQ(s.train.images.shape(), (Shape{1, 8, 8, 3}));
  for (int64_t y = 0; y < 8; ++y)
    for (int64_t x = 0; x < 8; ++x)
      EXPECT_EQ(s.train.images.at((y * 8 + x) * 3), y >= 2 && y < 6 && x >= 1 && x < 6 ? 10 : 0)
          << y << "," << x;
  expect_error([&] { load(folder_settings(folder, 4)); },
               {folder.path(), "4 x 5", "image_size = 4"});
}

TEST(Load, DrawsAreBalancedNestedAndSeeded) {
  DataSettings s;
  s.image_size = 8;
  s.sources.at("shapes").as<ShapesSettings>() = {.train = 200, .test = 50};
  const Split all = load(s);
  s.train_per_class = 3;
  s.test_per_class = 2;
  const Split three = load(s);
  EXPECT_EQ(three.train.histogram(), std::vector<int64_t>(10, 3));
  EXPECT_EQ(three.test.histogram(), std::vector<int64_t>(10, 2));
  s.train_per_class = 6;
  const Split six = load(s);
  // Every image of the small draw is in the large one.
  const auto contains = [](const Dataset& d, const uint8_t* wanted) {
    const int64_t bytes = 8 * 8 * 3;
    for (int64_t i = 0; i < d.size(); ++i)
      if (std::equal(wanted, wanted + bytes, d.images.data<uint8_t>() + i * bytes)) return true;
    return false;
  };
  for (int64_t i = 0; i < 30; ++i) {
    EXPECT_TRUE(contains(six.train, three.train.images.data<uint8_t>() + i * 192));
    EXPECT_FALSE(contains(all.test, three.train.images.data<uint8_t>() + i * 192));
  }
  EXPECT_EQ(load(s).train.images.to_vector<uint8_t>(), six.train.images.to_vector<uint8_t>());
  s.seed = 1;
  EXPECT_NE(load(s).train.images.to_vector<uint8_t>(), six.train.images.to_vector<uint8_t>());
  s.train_per_class = 21;
  expect_error([&] { load(s); }, {"train_per_class", "expected 21", "found 20"});
}

TEST(Load, ResponsesAreDrawnPerValue) {
  const TemporaryFolder folder;
  write_images(folder);
  folder.write("labels.csv", "file,age\na.png,5\nb.png,7\nc.png,5\nd.png,5\n");
  DataSettings s = folder_settings(folder, 8);
  s.train_per_class = 2;
  auto ages = load(s).train.targets.to_vector<float>();
  std::sort(ages.begin(), ages.end());
  EXPECT_EQ(ages, (std::vector<float>{5, 5, 7}));
}

TEST(Dataset, SelectAndConcatenate) {
  Dataset a;
  a.images = Tensor::of(std::vector<uint8_t>{1, 2, 3, 4, 5, 6}, {3, 1, 2, 1});
  a.labels = Tensor::of(std::vector<int64_t>{0, 1, 1});
  a.classes = 2;
  const Dataset picked = a.select({2, 0, 2});
  EXPECT_EQ(picked.images.to_vector<uint8_t>(), (std::vector<uint8_t>{5, 6, 1, 2, 5, 6}));
  EXPECT_EQ(picked.labels.to_vector<int64_t>(), (std::vector<int64_t>{1, 0, 1}));
  const Dataset both = concatenate(a, picked);
  EXPECT_EQ(both.size(), 6);
  EXPECT_EQ(both.histogram(), (std::vector<int64_t>{2, 4}));
  expect_error([&] { a.select({3}); }, {"row 3", "3 rows"});
  Dataset other = a;
  other.classes = 3;
  expect_error([&] { concatenate(a, other); }, {"2 classes", "3 classes"});
  other = a;
  other.images = a.images.reshape({3, 2, 1, 1});
  expect_error([&] { concatenate(a, other); }, {"unequal size"});
}

}  // namespace
}  // namespace limbeck::data
