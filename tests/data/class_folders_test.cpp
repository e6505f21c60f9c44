// Folders that are called as their class.
#include "data/readers.h"
#include "data/source.h"
#include "tests/data/temporary.h"

namespace limbeck::data {
namespace {

using test::expect_error;
using test::TemporaryFolder;
using Classes = std::vector<int64_t>;
using Names = std::vector<std::string>;

void add(const TemporaryFolder& folder, const std::string& file, int value = 0) {
  std::filesystem::create_directories(std::filesystem::path(folder.file(file)).parent_path());
  write_png(folder.file(file), Tensor::full({4, 4, 3}, value, DType::u8));
}
DataSettings settings(const TemporaryFolder& folder) {
  return {.kind = "folder", .path = folder.path()};
}

TEST(ClassFolders, TrainAndTest) {
  const TemporaryFolder folder;
  add(folder, "train/dog/b.png", 20), add(folder, "train/cat/deep/a.PNG", 10);
  add(folder, "test/dog/c.png", 30), add(folder, "val/cat/d.png", 40);
  folder.write("train/dog/notes.txt", "x");
  add(folder, "train/.cache/x.png");
  const Split s = read_folder(folder.path());
  EXPECT_EQ(s.train.class_names, (Names{"cat", "dog"}));
  EXPECT_EQ(s.train.labels.to_vector<int64_t>(), (Classes{0, 1}));
  EXPECT_EQ(s.train.images.at(0), 10);
  EXPECT_EQ(s.train.images.at(48), 20);
  EXPECT_EQ(s.test.labels.to_vector<int64_t>(), Classes{1});
  EXPECT_EQ(s.test.images.at(0), 30);
  const auto notes = find_source("folder").notes(FolderSettings{}, settings(folder));
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_NE(notes[0].find("val: is not read"), std::string::npos) << notes[0];
  std::filesystem::remove_all(folder.file("test"));
  EXPECT_EQ(read_folder(folder.path()).test.images.at(0), 40) << "val is the test part";
  expect_error([&] { read_folder(folder.path(), {.test_share = 0.5}); }, {"test_share"});
}

TEST(ClassFolders, OneTreeAndItsShare) {
  const TemporaryFolder folder;
  for (int i = 0; i < 8; ++i) add(folder, cat("10/", i, ".png")), add(folder, cat("9/", i, ".png"));
  const Split all = read_folder(folder.path());
  EXPECT_EQ(all.train.class_names, (Names{"9", "10"})) << "by value";
  EXPECT_EQ(all.train.size(), 16);
  EXPECT_EQ(all.test.size(), 0);
  const Split parts = read_folder(folder.path(), {.test_share = 0.25});
  EXPECT_EQ(parts.train.histogram(), (Classes{6, 6}));
  EXPECT_EQ(parts.test.histogram(), (Classes{2, 2}));
  add(folder, "loose.png");
  EXPECT_EQ(read_folder(folder.path()).train.size(), 16);
  const auto notes = find_source("folder").notes(FolderSettings{}, settings(folder));
  EXPECT_NE(joined(notes).find("1 image lies beside the class folders"), std::string::npos);
}

TEST(ClassFolders, Damage) {
  const TemporaryFolder folder;
  expect_error([&] { check(settings(folder)); }, {"labels.csv", "no folders of classes"});
  add(folder, "train/cat/a.png"), add(folder, "test/cow/a.png");
  expect_error([&] { check(settings(folder)); },
               {folder.file("test/cow"), "without training images"});
  std::filesystem::remove_all(folder.file("test"));
  std::filesystem::create_directories(folder.file("train/dog"));
  expect_error([&] { check(settings(folder)); }, {folder.file("train/dog"), "found none"});
  std::filesystem::remove_all(folder.file("train/dog"));
  folder.write("train/cat/b.TIF", "x");
  expect_error([&] { check(settings(folder)); }, {"b.TIF", "convert it to PNG"});
  expect_error([&] { read_folder(folder.path(), {.task = "regression"}); },
               {folder.path(), "labels.csv"});
  std::filesystem::remove(folder.file("train/cat/b.TIF"));
  EXPECT_NO_THROW(check(settings(folder)));
  folder.write("labels.csv", "file,class\ntrain/cat/a.png,0\n");
  EXPECT_TRUE(read_folder(folder.path()).train.class_names.empty()) << "labels.csv says it";
}

}  // namespace
}  // namespace limbeck::data
