// What stages read besides each other belongs to their fingerprints.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>

#include "data/identity.h"
#include "kd/workflow.h"
#include "tests/data/temporary.h"

namespace limbeck::kd {
namespace {

class Inputs : public ::testing::Test {
 protected:
  Inputs() {
    std::filesystem::create_directory(folder_.file("set"));
    for (const char* name : {"a", "b", "c"})
      folder_.write(cat("set/", name, ".ppm"), cat("P6\n8 8\n255\n", std::string(192, name[0])));
    label("0", "1");
  }
  void label(const char* first, const char* second) {
    folder_.write("set/labels.csv", cat("file,class,split\na.ppm,", first, ",train\nb.ppm,", second,
                                        ",train\nc.ppm,0,test\n"));
  }
  std::string teacher_text(const std::string& path, KnownIdentities known = {}) {
    ExperimentSettings s;
    s.data.kind = "folder", s.data.path = path;
    Workflow workflow(s);
    workflow.read_inputs(known);
    return workflow.stages()[0].settings;
  }
  const test::TemporaryFolder folder_;
};

TEST_F(Inputs, DataBelongToTheFingerprintTheirNameDoesNot) {
  const std::string set = folder_.file("set"), before = teacher_text(set);
  EXPECT_NE(before.find("data.content = \"2 + 1 images, "), std::string::npos) << before;
  EXPECT_EQ(teacher_text(set + "/"), before);
  EXPECT_EQ(teacher_text(folder_.path() + "/./set/../set"), before);
  std::filesystem::copy(set, folder_.file("copy"));
  EXPECT_EQ(teacher_text(folder_.file("copy")), before);
  folder_.write("set/notes.txt", "no image");
  EXPECT_EQ(teacher_text(set), before) << "what is not read does not count";
  label("1", "0");
  EXPECT_NE(teacher_text(set), before);
  label("0", "1");
  EXPECT_EQ(teacher_text(set), before);
  folder_.write("set/a.ppm", cat("P6\n8 8\n255\n", std::string(192, 'x')));
  EXPECT_NE(teacher_text(set), before);
}

TEST_F(Inputs, WhatIsKnownIsNotReadAgain) {
  KnownIdentities known;
  int reads = 0;
  const auto read = [&] { return ++reads, std::string("identity"); };
  EXPECT_EQ(known.find("state", true, read), "identity");
  EXPECT_EQ(known.find("state", false, read), "identity") << "fresh ones are not remembered";
  EXPECT_EQ(reads, 2);
  EXPECT_EQ(known.find("state", false, read), "identity");
  EXPECT_EQ(reads, 2);
  known.find("another state", false, read);
  EXPECT_EQ(reads, 3);
}

/// A set is read again when any of its files has changed, wherever it lies.
TEST_F(Inputs, FilesOutsideOfTheFolderCountToo) {
  std::filesystem::create_directory(folder_.file("elsewhere"));
  const auto old =
      std::filesystem::last_write_time(folder_.file("set/a.ppm")) - std::chrono::hours(1);
  for (const std::string& place : {folder_.file("elsewhere"), std::string("../elsewhere")}) {
    const std::string image =
        folder_.write("elsewhere/a.ppm", cat("P6\n8 8\n255\n", std::string(192, 'a')));
    folder_.write("set/labels.csv", cat("file,class\n", place, "/a.ppm,0\nb.ppm,1\n"));
    ExperimentSettings s;
    s.data.kind = "folder", s.data.path = folder_.file("set");
    const std::string before = data::state_of(s.data).text;
    std::filesystem::last_write_time(image, old);
    EXPECT_NE(data::state_of(s.data).text, before) << place;
  }
}

TEST_F(Inputs, DataThatChangeUnderARunAreNoticed) {
  ExperimentSettings s;
  s.data.kind = "folder", s.data.path = folder_.file("set");
  KnownIdentities known;
  Workflow first(s);
  first.read_inputs(known);
  Experiment later(s, cpu);
  label("1", "0");
  const std::string text = first.stages()[0].settings, key = "data.content = \"";
  later.expect_data(text.substr(key.size(), text.find('\n') - key.size() - 1));
  EXPECT_THROW(later.data(), Error);
  label("0", "1");
  EXPECT_EQ(later.data().train.size(), 2);
}

TEST_F(Inputs, FilesInThePlaceOfStagesBelongToTheFingerprint) {
  const auto text = [&](const std::string& path) {
    ExperimentSettings s;
    s.plan.pairs = {"resnet14 > resnet8"}, s.plan.teachers = path;
    Workflow workflow(s);
    KnownIdentities known;
    workflow.read_inputs(known);
    return workflow.stages()[0].settings;
  };
  const std::string a = folder_.write("a.safetensors", "one"),
                    b = folder_.write("b.safetensors", "one");
  const std::string before = text(a);
  EXPECT_NE(before.find("plan.teachers = \"3 bytes, "), std::string::npos) << before;
  EXPECT_EQ(text(b), before);
  folder_.write("a.safetensors", "two");
  EXPECT_NE(text(a), before);
  test::expect_error([&] { text(folder_.file("none.safetensors")); },
                     {"plan.teachers: ", "none.safetensors: expected a file, found none"});
}

}  // namespace
}  // namespace limbeck::kd
