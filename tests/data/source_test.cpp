// Data sources: registration, settings, what is refused before any work; the worked example of
// docs/data.md (bars_source.cpp).
#include "data/source.h"

#include <algorithm>
#include <iterator>

#include "apps/config.h"
#include "data/shapes.h"
#include "tests/data/temporary.h"

namespace limbeck::data {
namespace {

using test::expect_error;
using test::TemporaryFolder;

std::string text_of(const std::string& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(Source, TheExampleOfTheDocumentIsTheOneThatIsTested) {
  const std::string code = text_of("tests/data/bars_source.cpp");
  ASSERT_FALSE(code.empty()) << "run the tests from the top of the repository";
  EXPECT_NE(text_of("docs/data.md").find("```cpp\n" + code + "```\n"), std::string::npos);
}

TEST(Source, AFileOfItsOwnIsEnough) {
  DataSettings s;
  s.kind = "bars";
  s.image_size = 16;
  const Settings list = list_settings(s);
  set_override(list, "bars.train=30");
  set_override(list, "bars.test=7");
  set_override(list, "train_per_class=1");
  const Split split = load(s);
  EXPECT_EQ(split.train.images.shape(), (Shape{30, 16, 16, 1}));
  EXPECT_EQ(split.test.size(), 7);
  EXPECT_EQ(split.train.classes, 0);
  EXPECT_EQ(split.train.scale, (ResponseScale{0, 90, "degrees"}));
  EXPECT_EQ(split.test.scale, split.train.scale);
  set_override(list, "bars.width=0");
  expect_error([&] { check(s); }, {"data.bars.width", "found 0"});
  expect_error([&] { load(s); }, {"data.bars.width"});
}

TEST(Source, NoneHasSizesAndNoImages) {
  DataSettings s;
  s.kind = "none";
  s.image_size = 28;
  const Settings list = list_settings(s);
  set_override(list, "none.classes=7");
  set_override(list, "none.channels=1");
  const Split split = load(s);
  EXPECT_EQ(split.train.images.shape(), (Shape{0, 28, 28, 1}));
  EXPECT_EQ(split.train.classes, 7);
  EXPECT_EQ(split.test.size(), 0);
  set_override(list, "none.channels=2");
  expect_error([&] { check(s); }, {"data.none.channels", "found 2"});
  set_override(list, "none.classes=1");
  expect_error([&] { check(s); }, {"data.none.classes", "found 1"});
}

TEST(Source, NamesAreUniqueAndSorted) {
  std::vector<std::string> names;
  for (const DataSource& s : all_sources()) names.push_back(s.name);
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
  for (const char* name : {"cifar10", "cifar100", "idx", "folder", "shapes", "bars"})
    EXPECT_NE(std::find(names.begin(), names.end(), name), names.end()) << name;
  expect_error([] { RegisterSource again({.name = "shapes"}); }, {"two data sources", "shapes"});
}

TEST(Source, TheTextHoldsTheChosenSourceOnly) {
  DataSettings s;
  s.path = "somewhere";  // shapes reads no files
  const std::string before = s.text();
  EXPECT_EQ(before,
            "data.kind = \"shapes\"\ndata.train_per_class = 0\ndata.test_per_class = 0\n"
            "data.image_size = 32\ndata.seed = 0\n"
            "data.shapes.train = 2000\ndata.shapes.test = 1000\ndata.shapes.difficulty = 1\n");
  const Settings list = list_settings(s);
  set_override(list, "folder.label_column=age");
  set_override(list, "bars.train=1");
  EXPECT_EQ(s.text(), before);
  set_override(list, "shapes.train=1");
  EXPECT_NE(s.text(), before);
  s.kind = "folder";
  EXPECT_EQ(s.text().find("somewhere"), std::string::npos) << "a name says nothing of the data";
  EXPECT_EQ(s.text().find("data.seed"), std::string::npos) << "nothing is drawn";
  s.train_per_class = 5;
  EXPECT_NE(s.text().find("data.seed = 0\n"), std::string::npos);
  EXPECT_NE(s.text().find("data.folder.label_column = \"age\"\n"), std::string::npos);
  EXPECT_EQ(s.text().find("shapes"), std::string::npos);
  s.kind = "nothing like it";
  expect_error([&] { s.text(); }, {"data.kind", "limbeck data kinds"});
}

TEST(Source, CopiesOfSettingsAreDeep) {
  DataSettings a;
  DataSettings b = a;
  b.sources.at("shapes").as<ShapesSettings>().train = 7;
  EXPECT_EQ(a.sources.at("shapes").as<ShapesSettings>().train, 2000);
  EXPECT_EQ(DataSettings{}.sources.at("shapes").as<ShapesSettings>().train, 2000);
}

/// The [data] section as it lies in a configuration.
struct Configuration {
  DataSettings data;
  void fields(FieldVisitor& v) { v("data", data, "images"); }
};

TEST(Source, KeysOfBeforeNameTheirSuccessors) {
  Configuration c;
  const Settings list = list_settings(c);
  const auto refused = [&](const std::string& old_key, const std::string& now) {
    expect_error([&] { set_override(list, old_key + "=1"); },
                 {"unknown key '" + old_key + "'", "did you mean '" + now + "'?"});
  };
  refused("data.shapes_train", "data.shapes.train");
  refused("data.shapes_test", "data.shapes.test");
  refused("data.shapes_difficulty", "data.shapes.difficulty");
  refused("data.label_column", "data.folder.label_column");
}

TEST(Source, CheckRefusesBeforeAnyWorkAndNamesTheKey) {
  const TemporaryFolder folder;
  const auto refused = [](const std::vector<std::string>& assignments,
                          std::vector<std::string> parts) {
    DataSettings s;
    const Settings list = list_settings(s);
    for (const std::string& a : assignments) set_override(list, a);
    expect_error([&] { check(s); }, parts);
  };
  check(DataSettings{});
  refused({"kind=cifar11"}, {"data.kind", "'cifar11'", "did you mean 'cifar10'?"});
  refused({"image_size=0"}, {"data.image_size", "found 0"});
  refused({"image_size=4097"}, {"data.image_size", "found 4097"});
  refused({"image_size=7"}, {"data.image_size", "shapes", "found 7"});
  refused({"train_per_class=-1"}, {"data.train_per_class", "found -1"});
  refused({"test_per_class=-2"}, {"data.test_per_class", "found -2"});
  refused({"shapes.train=0"}, {"data.shapes.train", "found 0"});
  refused({"shapes.test=0"}, {"data.shapes.test", "found 0"});
  refused({"shapes.difficulty=1.5"}, {"data.shapes.difficulty", "found 1.5"});
  refused({"kind=idx"}, {"data.path", "idx", "train-images"});
  refused({"kind=idx", "path=/nonexistent-folder"},
          {"data.path: /nonexistent-folder", "found none"});
  folder.write("a-file", "");
  refused({"kind=idx", "path=" + folder.file("a-file")}, {"data.path", "a-file", "found a file"});
  refused({"kind=idx", "path=" + folder.path()},
          {folder.path(), "train-images-idx3-ubyte", "found neither"});
  refused({"kind=cifar10", "path=" + folder.path()}, {folder.path(), "data_batch_1.bin"});
  folder.write("data_batch_1.bin", "");
  refused({"kind=cifar10", "path=" + folder.path()}, {"test_batch.bin", "cannot open"});
  refused({"kind=cifar100", "path=" + folder.path()}, {"train.bin", "cannot open"});
  refused({"kind=folder", "path=" + folder.path()}, {"labels.csv"});
  folder.write("labels.csv", "file,age\na.png,1\nb.png,2\n");
  refused({"kind=folder", "path=" + folder.path()},
          {"labels.csv: line 2", "a.png", "no such file"});
  refused({"kind=folder", "path=" + folder.path(), "folder.label_column=year"},
          {"labels.csv", "'year'"});
}

TEST(ResponseScale, ThereAndBack) {
  // The original's constants (Steering Angle, UTKFace).
  const ResponseScale angle{-88.13, 97.92, "degrees"}, age{0, 60, "years"};
  EXPECT_EQ(angle.to_unit(-88.13), 0);
  EXPECT_EQ(angle.to_unit(97.92), 1);
  EXPECT_NEAR(angle.to_unit(0), 0.473690, 5e-7);
  EXPECT_NEAR(angle.from_unit(0.473690), 0, 1e-4);
  EXPECT_NEAR(age.to_unit(25), 0.416667, 5e-7);
  EXPECT_NEAR(age.from_unit(age.to_unit(25)), 25, 1e-12);
  EXPECT_EQ(age.to_unit(90), 1.5);  // not clipped
  EXPECT_EQ(ResponseScale{}.to_unit(0.25), 0.25);
  const Tensor responses = Tensor::of(std::vector<float>{-88.13f, 0, 97.92f});
  const Tensor unit = angle.to_unit(responses), back = angle.from_unit(unit);
  for (int64_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(unit.at(i), angle.to_unit(responses.at(i)), 1e-7);
    EXPECT_NEAR(back.at(i), responses.at(i), 1e-5);
  }
}

}  // namespace
}  // namespace limbeck::data
