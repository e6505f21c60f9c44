// Finished stages with other settings: kept under another name, or trained on with the bits of a
// longer run.
#include "apps/extension.h"

#include <gtest/gtest.h>

#include "tests/apps/fake_stages.h"

namespace limbeck {
namespace {

namespace fs = std::filesystem;

class ExtensionTest : public test::FakeStages {};

TEST_F(ExtensionTest, WhatIsFinishedIsKeptUnderAnotherName) {
  run(root_);
  const auto of = [&](const std::string& stage) { return contents(root_ + "/stages/" + stage); };
  const auto first = of("student");
  student_.scale = 3;
  run(root_);
  EXPECT_EQ(of("student.1"), first);
  const auto second = of("student");
  student_.scale = 4;
  run(root_);
  EXPECT_EQ(of("student.1"), first);
  EXPECT_EQ(of("student.2"), second);
  EXPECT_FALSE(fs::exists(root_ + "/stages/teacher.1"));
  fs::remove(root_ + "/stages/student/done.json");  // interrupted: nothing is kept of it
  student_.scale = 5;
  run(root_);
  EXPECT_FALSE(fs::exists(root_ + "/stages/student.3"));
}

/// Trained on, a stage ends with the files of one that was that long from the start.
TEST_F(ExtensionTest, ExtendedItHasTheBitsOfALongerRun) {
  RunOptions options;
  options.keep_state = options.extend = true;
  run(root_, options);
  EXPECT_TRUE(keeps_state(root_ + "/stages/teacher"));
  const auto shorter = contents(root_ + "/stages/student");
  student_.steps = 45;
  const auto graph = stages();
  const auto plan = plan_stages(graph, root_);
  EXPECT_TRUE(grew(root_, plan[1]));
  EXPECT_EQ(why_not_extended(root_, plan[1]), "");
  resumed_at_ = -1, order_.clear();
  run(root_, options);
  EXPECT_EQ(order_, "s");
  EXPECT_EQ(resumed_at_, 30);
  EXPECT_EQ(read_times(root_ + "/stages/student").sessions, 2);
  EXPECT_EQ(contents(root_ + "/stages/student.1"), shorter);
  fs::remove_all(root_ + "/stages/student.1");
  EXPECT_EQ(contents(root_), undisturbed(options));
}

TEST_F(ExtensionTest, AnExtensionSurvivesAKill) {
  RunOptions options;
  options.keep_state = options.extend = true;
  options.checkpoint_seconds = 0;
  run(root_, options);
  student_.steps = 45;
  die_at_ = 37;
  EXPECT_EQ(run_in_child(options), SIGKILL);
  // As if the kill had come between the two names of the folder.
  fs::rename(root_ + "/stages/student", root_ + "/stages/student.extending");
  die_at_ = 0;
  run(root_, options);
  EXPECT_EQ(resumed_at_, 36);
  fs::remove_all(root_ + "/stages/student.1");
  EXPECT_EQ(contents(root_), undisturbed(options));
}

TEST_F(ExtensionTest, OnlyAGreaterLengthIsAnExtension) {
  RunOptions options;
  options.keep_state = true;
  options.selection.only = {"stage=student"};
  run(root_, options);
  std::vector<kd::Stage> graph;
  const auto student = [&] {
    graph = stages();
    return plan_stages(graph, root_)[1];
  };
  student_.steps = 29;
  EXPECT_FALSE(grew(root_, student())) << "shorter";
  student_.steps = 31;
  EXPECT_TRUE(grew(root_, student()));
  student_.scale = 3;
  EXPECT_FALSE(grew(root_, student())) << "another setting";
  EXPECT_EQ(why_not_extended(root_, student()),
            "expected a greater steps and no other change, found scale, steps");
  student_.scale = 2;
  teacher_.scale = 7;
  EXPECT_FALSE(grew(root_, student())) << "another need";
  teacher_.scale = 1;
  fs::remove(root_ + "/stages/student/checkpoint.safetensors");
  EXPECT_NE(why_not_extended(root_, student()).find("--keep-state"), std::string::npos);
}

TEST_F(ExtensionTest, MilestonesBeyondTheOldEndDoNotMatter) {
  const auto staged = [&](const std::string& settings) {
    return std::vector<kd::Stage>{{.name = "a",
                                   .settings = settings,
                                   .run = [](kd::StageContext& c) { c.results["x"] = {1}; },
                                   .length = "t.epochs"}};
  };
  const auto first = staged("t.epochs = 10\nt.lr = 1\nt.milestones = [4]\nt.lr_factor = 0.1\n");
  {
    RunFolder folder(root_, first, "");
    Console console(stdout, Console::Mode::quiet);
    run_stages(first, folder, {}, console);
  }
  const auto grows = [&](const std::string& settings) {
    const auto list = staged(settings);
    return grew(root_, plan_stages(list, root_)[0]);
  };
  EXPECT_TRUE(grows("t.epochs = 20\nt.lr = 1\nt.milestones = [4]\nt.lr_factor = 0.1\n"));
  EXPECT_TRUE(grows("t.epochs = 20\nt.lr = 1\nt.milestones = [4, 10]\nt.lr_factor = 0.1\n"));
  EXPECT_FALSE(grows("t.epochs = 20\nt.lr = 1\nt.milestones = [4, 9]\nt.lr_factor = 0.1\n"));
  EXPECT_FALSE(grows("t.epochs = 20\nt.lr = 1\nt.milestones = [5]\nt.lr_factor = 0.1\n"));
  EXPECT_FALSE(grows("t.epochs = 20\nt.lr = 1\nt.milestones = [4]\nt.lr_factor = 0.2\n"));
  EXPECT_FALSE(grows("t.epochs = 20\nt.lr = 2\nt.milestones = [4]\nt.lr_factor = 0.1\n"));
  EXPECT_FALSE(grows("t.epochs = 20\nt.milestones = [4]\nt.lr_factor = 0.1\n"));
}

}  // namespace
}  // namespace limbeck
