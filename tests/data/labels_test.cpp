// Labels as people write them: read, or refused in a line that says what to change.
#include "data/labels.h"

#include "data/classes.h"
#include "data/source.h"
#include "tests/data/temporary.h"

namespace limbeck::data {
namespace {

using test::expect_error;
using test::TemporaryFolder;
using Classes = std::vector<int64_t>;
using Names = std::vector<std::string>;

Labels read(const std::string& csv, const FolderSettings& settings = {}) {
  const TemporaryFolder folder;
  folder.write("labels.csv", csv);
  return read_label_table(folder.path(), settings, 0);
}
Classes classes(const std::string& csv) { return read(csv).task.labels.to_vector<int64_t>(); }
void refused(const std::string& csv, std::vector<std::string> parts,
             const FolderSettings& settings = {}) {
  parts.push_back("labels.csv");
  expect_error([&] { read(csv, settings); }, parts);
}

TEST(Labels, NumbersHoweverTheyAreWritten) {
  EXPECT_EQ(classes("file,class\na, 1\nb,0 \nc,\" 10\"\nd,2\n"), (Classes{1, 0, 10, 2}));
  EXPECT_EQ(classes("file,class\na,0.0\nb,1.0\nc,10.0\nd,+2\n"), (Classes{0, 1, 10, 2}));
  EXPECT_EQ(classes("file;class\na;1e0\nb;007\n"), (Classes{1, 7}));
  EXPECT_TRUE(read("file,class\na,0.0\n").task.class_names.empty());
}

TEST(Labels, NamesWithoutBlanks) {
  const Labels l = read("file,class\na,cat\nb,cat \nc, dog\n");
  EXPECT_EQ(l.task.class_names, (Names{"cat", "dog"}));
  EXPECT_EQ(l.task.labels.to_vector<int64_t>(), (Classes{0, 0, 1}));
  EXPECT_TRUE(l.notes.empty());
}

TEST(Labels, HeadersHoweverTheyAreCalled) {
  for (const char* label : {"Label", "CLASS", "category", "class_name", "Class ID", "labels"})
    for (const char* file : {"file", "filename", "Image", "PATH", "image_path", "File Name"}) {
      const Labels l = read(cat(file, ",", label, ",Split\na.png,1,Train\nb.png,0,TEST\n"));
      EXPECT_EQ(l.task.classes, 2) << file << label;
      EXPECT_EQ(l.is_test, (std::vector<bool>{false, true})) << file << label;
    }
  // pandas' column of row numbers, and one that spreadsheets leave.
  for (const char* index : {"", "Unnamed: 0", "index"})
    EXPECT_EQ(classes(cat(index, ",file,label\n0,a.png,1\n1,b.png,0\n")), (Classes{1, 0})) << index;
  EXPECT_EQ(classes("file,label,\na.png,1,\n"), Classes{1});
  refused("a.png,0\nb.png,1\n", {"expected a header", "'a.png'"});
  refused("name,class\na.png,0\n", {"expected a column file", "name, class", "file_column"});
  refused("filename,path,class\na.png,x/a.png,0\n", {"filename, path", "data.folder.file_column"});
  const Labels chosen = read("filename,Path,class\na.png,x/a.png,0\n",
                             {.label_column = "class", .file_column = "path"});
  EXPECT_TRUE(chosen.files.at(0).ends_with("/x/a.png")) << chosen.files[0];
}

TEST(Labels, MissingOnesAreNamed) {
  refused("file,class\na,0\nb,\n", {"line 3", "no label", "nothing"});
  refused("file,class\na,0\nb,NaN\n", {"line 3", "no label", "'NaN'"});
  refused("file,class\na,0.0\nb,NA\n", {"line 3", "no label", "'NA'"});
  refused("file,class\na,cat\nb,nan\n", {"line 3", "no label", "'nan'"});
  EXPECT_EQ(read("file,class\na,none\nb,scratch\n").task.class_names, (Names{"none", "scratch"}));
  refused("file,class\na,0\nb,-1\n", {"line 3", "label -1", "0..65535"});
  refused("file,class\na,0\nb,0.5\n", {"line 3", "label 0.5", "data.folder.task=regression"});
  refused("file,class\na,0\nb,1e300\n", {"line 3", "0..65535"});
  refused("file,class\n,0\n", {"line 2", "column file", "found nothing"});
  refused("file,age\na,3\nb,\n", {"line 3", "expected a number", "without a response"});
  refused("file;age\na;3\nb;3,5\n", {"line 3", "'3,5'", "point"});
}

TEST(Labels, TheTaskIsTheColumnsNameOrTheSetting) {
  EXPECT_EQ(read("file,digit\na,0\nb,1\n", {.task = "classification"}).task.classes, 2);
  EXPECT_EQ(read("file,class\na,0.5\nb,1\n", {.task = "regression"}).task.classes, 0);
  refused("file,breed\na,cat\nb,dog\n", {"line 2", "'cat'", "data.folder.task=classification"});
  const Labels l = read("file,digit\na,0\nb,1\nc,1\nd,0\n");
  EXPECT_EQ(l.task.classes, 0);
  ASSERT_EQ(l.notes.size(), 1u);
  EXPECT_NE(l.notes[0].find("column digit is read as responses (2"), std::string::npos)
      << l.notes[0];
  EXPECT_TRUE(read("file,angle\na,0.5\nb,1\nc,1\nd,0\n").notes.empty());
}

TEST(Labels, WhatLooksLikeAMistakeIsNoted) {
  const auto note = [](const std::string& csv) { return joined(read(csv).notes); };
  EXPECT_NE(note("file,class\na,0\n./a,1\n")
                .find("1 line names an image again, with different labels (./a in lines 2 and 3)"),
            std::string::npos)
      << note("file,class\na,0\n./a,1\n");
  EXPECT_NE(note("file,class,split\na,0,train\na,0,test\n").find("in the training and the test"),
            std::string::npos);
  EXPECT_NE(note("file,class\na,0\nb,1\na,0\na,0\n").find("2 lines name an image again, more than"),
            std::string::npos);
  EXPECT_NE(note("file,class\na,cat\nb,Cat\n").find("'Cat' and 'cat' differ"), std::string::npos);
  EXPECT_NE(note("file,class\na,1\nb,cat\n").find("numbers ('1') and names ('cat')"),
            std::string::npos);
  refused("file,class,split\na,0,train\nb,0,val\n", {"line 3", "'val'", "train or test"});
}

TEST(Labels, FilesBeginInTheFolderUnlessTheyAreAbsolute) {
  const TemporaryFolder folder;
  folder.write("labels.csv", "file,class\nsub/a.png,0\n/data/b.png,1\n");
  const Labels l = read_label_table(folder.path(), {}, 0);
  EXPECT_EQ(l.files, (Names{folder.file("sub/a.png"), "/data/b.png"}));
  const DataSettings s{.kind = "folder", .path = folder.path()};
  expect_error([&] { check(s); }, {"line 2", folder.file("sub/a.png"), "no such file"});
  folder.write("b.png", "");
  folder.write("labels.csv", "file,class\nb,0\n");
  expect_error([&] { check(s); }, {"line 2", "no such file", "b.png is there"});
  folder.write("labels.csv", "file,class\nsub\\b.png,0\n");
  expect_error([&] { check(s); }, {"line 2", "no such file", "written with /"});
}

TEST(Labels, ATestShareIsDrawnPerClass) {
  std::string csv = "file,class\n";
  for (int i = 0; i < 50; ++i)
    csv += cat(i, ".png,", i < 40 ? "cat" : i < 49 ? "dog" : "emu", "\n");
  const TemporaryFolder folder;
  folder.write("labels.csv", csv);
  const auto drawn = [&](double share, int64_t seed) {
    return read_label_table(folder.path(), {.test_share = share}, seed).is_test;
  };
  const auto tested = [](const std::vector<bool>& is_test, int from, int to) {
    return std::count(is_test.begin() + from, is_test.begin() + to, true);
  };
  const std::vector<bool> is_test = drawn(0.25, 1);
  EXPECT_EQ(tested(is_test, 0, 40), 10);
  EXPECT_EQ(tested(is_test, 40, 49), 2);
  EXPECT_EQ(tested(drawn(0.9, 1), 49, 50), 0) << "a class keeps one image";
  EXPECT_EQ(drawn(0.25, 1), is_test);
  EXPECT_NE(drawn(0.25, 2), is_test);
  refused("file,class,split\na,0,train\n", {"test_share", "test part"}, {.test_share = 0.5});
  expect_error([&] { read("file,class\na,0\n", {.test_share = 1}); },
               {"data.folder.test_share", "found 1"});
}

// --- classes without images ----------------------------------------------------------------------

Dataset with_labels(const Classes& labels, int64_t classes, const Names& names = {}) {
  Dataset d;
  d.labels = Tensor::of(labels);
  d.images = Tensor::zeros({static_cast<int64_t>(labels.size()), 1, 1, 1}, DType::u8);
  d.classes = classes, d.class_names = names;
  return d;
}

TEST(EmptyClasses, AreRefusedWithAdvice) {
  expect_error(
      [] {
        check_classes({with_labels({1, 2, 2}, 3), {}}, "set");
      },
      {"set: no training image of class 0 of 0..2", "begin with 1", "data.compact_labels = true",
       "2 classes"});
  expect_error(
      [] {
        check_classes({with_labels({0, 9}, 10), {}}, "set");
      },
      {"classes 1, 2, 3, 4, 5 and 3 others of 0..9"});
  EXPECT_NO_THROW(check_classes({with_labels({0, 1}, 2), {}}, "set"));
}

TEST(EmptyClasses, CompactLabelsLeaveThemOut) {
  Split split{with_labels({5, 2, 5}, 6), with_labels({2}, 6)};
  compact_classes(split, "set");
  EXPECT_EQ(split.train.labels.to_vector<int64_t>(), (Classes{1, 0, 1}));
  EXPECT_EQ(split.test.labels.to_vector<int64_t>(), Classes{0});
  EXPECT_EQ(split.train.classes, 2);
  EXPECT_EQ(split.test.class_names, (Names{"2", "5"})) << "the old numbers";
  Split named{with_labels({2, 0}, 3, {"a", "b", "c"}), with_labels({}, 3, {"a", "b", "c"})};
  compact_classes(named, "set");
  EXPECT_EQ(named.train.class_names, (Names{"a", "c"}));
  Split unknown{with_labels({0, 2}, 3), with_labels({1}, 3)};
  expect_error([&] { compact_classes(unknown, "set"); }, {"set: test image 0: class 1"});
}

TEST(EmptyClasses, OfAFolder) {
  const TemporaryFolder folder;
  write_png(folder.file("a.png"), Tensor::full({4, 4, 3}, 9, DType::u8));
  folder.write("labels.csv", "file,class,split\na.png,1,train\na.png,2,train\na.png,1,test\n");
  DataSettings s{.kind = "folder", .path = folder.path()};
  expect_error([&] { load(s); }, {folder.path(), "class 0 of 0..2", "compact_labels"});
  s.compact_labels = true;
  const Split split = load(s);
  EXPECT_EQ(split.train.labels.to_vector<int64_t>(), (Classes{0, 1}));
  EXPECT_EQ(split.test.labels.to_vector<int64_t>(), Classes{0});
  EXPECT_NE(s.text().find("compact_labels = true"), std::string::npos);
  EXPECT_EQ(s.text().find("max_pixels"), std::string::npos) << "no influence on what is read";
}

TEST(Summary, CountsAndWarnings) {
  Classes labels(30, 0);
  labels.push_back(1);
  const Split split{with_labels(labels, 2, {"cat", "dog"}), with_labels({0}, 2, {"cat", "dog"})};
  EXPECT_EQ(summary_of(split), (Names{"training images: 31, 2 classes: cat 30, dog 1",
                                      "test images: 1, 2 classes: cat 1, dog 0"}));
  const std::string warnings = joined(warnings_of({}, split));
  EXPECT_NE(warnings.find("1 class has few training images, from 1 on: dog"), std::string::npos)
      << warnings;
  EXPECT_NE(warnings.find("no test image of class dog"), std::string::npos) << warnings;
  Classes many;
  for (int i = 0; i < 300; ++i) many.push_back(i % 30);
  EXPECT_EQ(summary_of({with_labels(many, 30), {}}),
            (Names{"training images: 300, 30 classes of 10 each", "test images: none"}));
  many.push_back(7);
  EXPECT_EQ(summary_of({with_labels(many, 30), {}})[0],
            "training images: 301, 30 classes of 10 (0) to 11 (7)");
  EXPECT_EQ(warnings_of({}, {with_labels(many, 30), {}}),
            Names{"no test images: nothing is measured on such"});
}

TEST(Summary, NamesThatCheckpointsCannotHoldAreRefused) {
  EXPECT_NO_THROW(check_class_names(with_labels({0}, 1, {"B\xC3\xA4r"}), "set"));
  expect_error([] { check_class_names(with_labels({0}, 1, {"B\xE4r"}), "set"); },
               {"set: class 0", "UTF-8"});
  expect_error([] { check_class_names(with_labels({0}, 1, {"two\nlines"}), "set"); },
               {"set: class 0", "one line"});
}

}  // namespace
}  // namespace limbeck::data
