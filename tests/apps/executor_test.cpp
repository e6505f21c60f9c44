// The executor on fake stages: caching, dependants, resume after SIGKILL with the same bits,
// several processes, locks, errors.
#include "apps/executor.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <filesystem>
#include <limits>
#include <optional>

#include "apps/extension.h"
#include "apps/monitor.h"
#include "tensor/fields.h"
#include "tensor/random.h"

namespace limbeck {
namespace {

namespace fs = std::filesystem;

/// A small "training": a state that depends on all its history, with metrics, a product and a
/// result.
struct Counter {
  int64_t steps = 20;
  double scale = 1;
  void fields(FieldVisitor& v) {
    v("steps", steps, "");
    v("scale", scale, "");
  }
};

class ExecutorTest : public testing::Test {
 protected:
  void SetUp() override {
    // In memory where there is such a place: the atomic writes sync, and a disk takes milliseconds
    // for each.
    const std::string place = access("/dev/shm", W_OK) == 0 ? "/dev/shm/" : testing::TempDir();
    root_ = place + "limbeck_executor_" + std::to_string(getuid()) + "_" +
            testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(root_);
  }
  void TearDown() override { fs::remove_all(root_); }

  /// Trains `steps` steps; at step `die_at` of this process it is killed the hard way.
  void train(kd::StageContext& c, const Counter& s, double start) {
    ++runs_;
    int64_t step = 0;
    double value = start;
    if (const auto state = c.monitor.load()) {
      step = static_cast<int64_t>(state->get("step").item());
      value = state->get("value").item();
      resumed_at_ = step;
    }
    for (; step < s.steps;) {
      value = std::sin(value * 1.7 + s.scale);
      ++step;
      c.monitor.metrics(step, {{"value", value}});
      if (step % 5 == 0) c.monitor.progress(step, s.steps, 1, {{"value", value}});
      if (step == die_at_) raise(SIGKILL);
      if (step == throw_at_) fail("no luck");
      nn::checkpoint(c.monitor, [&] {
        TensorFile file;
        file.add("step", Tensor::scalar(static_cast<double>(step), DType::f64));
        file.add("value", Tensor::scalar(value, DType::f64));
        return file;
      });
    }
    TensorFile model;
    model.add("value", Tensor::scalar(value, DType::f64));
    write_safetensors(c.directory + "/model.safetensors", model);
    if (die_at_ == -1) raise(SIGKILL);  // after the last step, before done.json
    c.results["final"] = {value};
  }

  std::vector<kd::Stage> stages() {
    return {{"student",
             "fake student",
             {"teacher"},
             settings_text(student_),
             [this](kd::StageContext& c) {
               order_ += "s";
               train(c, student_, c.result_of(kd::StageHandle("teacher"), "final"));
             },
             {},
             {},
             {},
             "steps"},
            {"teacher",
             "fake teacher",
             {},
             settings_text(teacher_),
             [this](kd::StageContext& c) {
               order_ += "t";
               train(c, teacher_, 0.25);
             },
             {},
             {},
             {},
             "steps"},
            {"other", "independent", {}, "x = 1\n", [this](kd::StageContext& c) {
               order_ += "o";
               c.results["one"] = {1};
             }}};
  }

  RunStatus run(const std::string& root, RunOptions options = {}) {
    const auto graph = stages();
    RunFolder folder(root, graph, config());
    Console console(stdout, Console::Mode::quiet);
    return run_stages(graph, folder, options, console);
  }

  std::string config() {
    return "[teacher]\n" + settings_text(teacher_) + "[student]\n" + settings_text(student_);
  }

  /// Runs in a child that may be killed; gives the signal that ended it, or 0.
  int run_in_child(const RunOptions& options) {
    const pid_t child = fork();
    if (child == 0) {
      try {
        run(root_, options);
      } catch (...) {
        _exit(9);
      }
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status) ? -WEXITSTATUS(status) : 0;
  }

  /// Every file but times.json and the locks, with its bytes.
  static std::map<std::string, std::string> contents(const std::string& root) {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(root))
      if (entry.is_regular_file() && entry.path().filename() != "times.json" &&
          entry.path().filename() != ".lock" && entry.path().parent_path().filename() != ".locks")
        files[fs::relative(entry.path(), root).string()] = read_file(entry.path().string());
    return files;
  }

  std::map<std::string, std::string> undisturbed() {
    const std::string root = root_ + "_undisturbed";
    fs::remove_all(root);
    die_at_ = 0;
    run(root);
    auto files = contents(root);
    fs::remove_all(root);
    order_.clear();
    return files;
  }

  std::string root_, order_;
  Counter teacher_, student_{30, 2};
  int64_t die_at_ = 0, throw_at_ = 0, resumed_at_ = -1;
  int runs_ = 0;
};

TEST_F(ExecutorTest, RunsInDependencyOrderAndSkipsWhatIsDone) {
  EXPECT_EQ(run(root_), RunStatus::finished);
  EXPECT_EQ(order_, "tso");
  for (const char* file :
       {"stage.json", "done.json", "result.json", "metrics.jsonl", "model.safetensors"})
    EXPECT_TRUE(fs::exists(root_ + "/stages/teacher/" + file)) << file;
  EXPECT_TRUE(fs::exists(root_ + "/run.json"));
  EXPECT_EQ(read_times(root_ + "/stages/teacher").sessions, 1);
  EXPECT_FALSE(fs::exists(root_ + "/stages/teacher/checkpoint.safetensors"));
  EXPECT_EQ(run(root_), RunStatus::finished);
  EXPECT_EQ(order_, "tso");
}

TEST_F(ExecutorTest, ChangedSettingsRerunTheStageAndItsDependants) {
  run(root_);
  student_.scale = 3;
  auto plan = plan_stages(stages(), root_);
  EXPECT_EQ(plan[0].state, StageState::finished);
  EXPECT_EQ(plan[1].state, StageState::changed);
  EXPECT_EQ(plan[1].why, "scale");
  order_.clear();
  run(root_);
  EXPECT_EQ(order_, "s");
  fs::remove_all(root_ + "/stages/student.1");
  teacher_.steps = 21;
  plan = plan_stages(stages(), root_);
  EXPECT_EQ(plan[0].why, "steps");
  EXPECT_EQ(plan[1].why, "teacher");
  EXPECT_EQ(plan[2].state, StageState::finished);
  order_.clear();
  run(root_);
  EXPECT_EQ(order_, "ts");
  for (const char* old : {"teacher.1", "student.1"}) fs::remove_all(root_ + "/stages/" + old);
  EXPECT_EQ(contents(root_), undisturbed());
}

TEST_F(ExecutorTest, WhatIsFinishedIsKeptUnderAnotherName) {
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
TEST_F(ExecutorTest, ExtendedItHasTheBitsOfALongerRun) {
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
  const std::string long_root = root_ + "_long";
  fs::remove_all(long_root);
  run(long_root, options);
  EXPECT_EQ(contents(root_), contents(long_root));
  fs::remove_all(long_root);
}

TEST_F(ExecutorTest, AnExtensionSurvivesAKill) {
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
  const std::string long_root = root_ + "_long";
  fs::remove_all(long_root);
  run(long_root, options);
  EXPECT_EQ(contents(root_), contents(long_root));
  fs::remove_all(long_root);
}

TEST_F(ExecutorTest, OnlyAGreaterLengthIsAnExtension) {
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

TEST_F(ExecutorTest, MilestonesBeyondTheOldEndDoNotMatter) {
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

TEST_F(ExecutorTest, KillAnywhereAndResumeGivesTheSameBits) {
  const auto expected = undisturbed();
  // A checkpoint at every step, or none at all before the kill; a kill in the first stage, in the
  // second, and after the last step.
  for (const double interval : {0.0, 1e9})
    for (const int64_t die_at : {1, 7, 20, 25, 30, -1}) {
      fs::remove_all(root_);
      RunOptions options;
      options.checkpoint_seconds = interval;
      die_at_ = die_at;
      EXPECT_EQ(run_in_child(options), SIGKILL) << die_at;
      EXPECT_NE(contents(root_), expected);
      die_at_ = 0;
      EXPECT_EQ(run_in_child(options), 0);
      EXPECT_EQ(contents(root_), expected)
          << "killed at " << die_at << ", checkpoint interval " << interval;
    }
}

TEST_F(ExecutorTest, ResumeStartsFromTheCheckpoint) {
  RunOptions options;
  options.checkpoint_seconds = 0;
  die_at_ = 7;
  EXPECT_EQ(run_in_child(options), SIGKILL);
  die_at_ = 0;
  student_.steps = 0;
  run(root_, options);
  EXPECT_EQ(resumed_at_, 6);  // the kill came before step 7 was saved
}

TEST_F(ExecutorTest, MetricsBeyondTheCheckpointAreCut) {
  const auto expected = undisturbed();
  RunOptions options;
  options.checkpoint_seconds = 0;
  die_at_ = 7;
  EXPECT_EQ(run_in_child(options), SIGKILL);
  const std::string path = root_ + "/stages/teacher/metrics.jsonl";
  const std::string metrics = read_file(path);
  EXPECT_EQ(std::count(metrics.begin(), metrics.end(), '\n'), 7);
  write_file_atomically(path, metrics + "{\"step\":8,\"val");  // a line torn by the kill
  write_file_atomically(root_ + "/stages/teacher/model.safetensors.tmp", "half a file");
  die_at_ = 0;
  run(root_, options);
  EXPECT_EQ(contents(root_), expected);
}

TEST_F(ExecutorTest, NothingIsClearedBehindALink) {
  const std::string precious = root_ + "_precious";
  fs::remove_all(precious);
  fs::create_directories(precious);
  write_file_atomically(precious + "/thesis.txt", "years of work");
  fs::create_directories(root_ + "/stages");
  write_file_atomically(root_ + "/.lock", "");
  fs::create_directory_symlink(precious, root_ + "/stages/teacher");
  try {
    run(root_);
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("stages/teacher: is a symbolic link"), std::string::npos)
        << e.what();
  }
  EXPECT_EQ(contents(precious),
            (std::map<std::string, std::string>{{"thesis.txt", "years of work"}}));
  // Nor when all stages lie behind a link.
  fs::remove_all(root_ + "/stages");
  fs::create_directory_symlink(precious, root_ + "/stages");
  EXPECT_THROW(run(root_), Error);
  EXPECT_EQ(contents(precious),
            (std::map<std::string, std::string>{{"thesis.txt", "years of work"}}));
  fs::remove_all(precious);
}

TEST_F(ExecutorTest, AFinishedStageMayBeALink) {
  const auto expected = undisturbed();
  run(root_);
  const std::string elsewhere = root_ + "_elsewhere";
  fs::remove_all(elsewhere);
  fs::rename(root_ + "/stages/teacher", elsewhere);
  fs::create_directory_symlink(elsewhere, root_ + "/stages/teacher");
  write_file_atomically(elsewhere + "/checkpoint.safetensors", "another run's");
  fs::remove(root_ + "/stages/student/done.json");
  EXPECT_EQ(run(root_), RunStatus::finished);
  EXPECT_EQ(read_file(elsewhere + "/checkpoint.safetensors"), "another run's");
  EXPECT_EQ(contents(root_).at("stages/student/result.json"),
            expected.at("stages/student/result.json"));
  fs::remove_all(elsewhere);
}

TEST_F(ExecutorTest, LeftTemporaryFilesOfTheFolderAreRemoved) {
  run(root_);
  for (const char* name : {"run.json.77-0.tmp", "config.toml.77-0.tmp", "report.html.77-0.tmp"})
    write_file_atomically(root_ + "/" + name, "half");
  run(root_);
  EXPECT_FALSE(fs::exists(root_ + "/run.json.77-0.tmp") ||
               fs::exists(root_ + "/config.toml.77-0.tmp"));
  EXPECT_TRUE(fs::exists(root_ + "/report.html.77-0.tmp"));  // a report may be at work
}

TEST_F(ExecutorTest, BrokenTimesStartAgain) {
  run(root_);
  const std::string folder = root_ + "/stages/student";
  EXPECT_EQ(read_times(folder).sessions, 1);
  for (const char* text : {"7", "{\"seconds\":", "{\"seconds\":null,\"sessions\":\"x\"}"}) {
    write_file_atomically(folder + "/times.json", text);
    EXPECT_EQ(read_times(folder).sessions, 0) << text;
    EXPECT_EQ(read_times(folder).seconds, 0) << text;
  }
}

TEST_F(ExecutorTest, StopRequestSavesAndInterrupts) {
  const auto expected = undisturbed();
  RunOptions options;
  options.checkpoint_seconds = 1e9;
  int asked = 0;
  options.stop_requested = [&asked] { return ++asked > 10; };
  EXPECT_EQ(run(root_, options), RunStatus::interrupted);
  EXPECT_TRUE(fs::exists(root_ + "/stages/teacher/checkpoint.safetensors"));
  EXPECT_FALSE(fs::exists(root_ + "/stages/teacher/done.json"));
  options.stop_requested = [] { return false; };
  EXPECT_EQ(run(root_, options), RunStatus::finished);
  EXPECT_GT(resumed_at_, 0);
  EXPECT_EQ(contents(root_), expected);
}

TEST_F(ExecutorTest, ErrorNamesTheStageAndLeavesItUnfinished) {
  throw_at_ = 3;
  try {
    run(root_);
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "stage teacher: no luck");
  }
  EXPECT_FALSE(fs::exists(root_ + "/stages/teacher/done.json"));
  EXPECT_FALSE(fs::exists(root_ + "/stages/teacher/result.json"));
  const auto plan = plan_stages(stages(), root_);
  EXPECT_EQ(plan[0].state, StageState::failed);
  EXPECT_EQ(plan[0].why, "no luck");
  throw_at_ = 0;
  const auto expected = undisturbed();
  EXPECT_EQ(run(root_), RunStatus::finished);
  EXPECT_EQ(contents(root_), expected);
}

TEST_F(ExecutorTest, KeepGoingRunsWhatDoesNotNeedTheFailedStage) {
  throw_at_ = 25;  // of the student
  RunOptions options;
  options.keep_going = true;
  const std::string summary = "stage failed: student (no luck)";
  try {
    run(root_, options);
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.what(), summary);
  }
  EXPECT_EQ(order_, "tso");
  throw_at_ = 3;
  fs::remove_all(root_);
  order_.clear();
  try {
    run(root_, options);
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "stage failed: teacher (no luck); not run because of it: student");
  }
  EXPECT_EQ(order_, "to");
  throw_at_ = 0;
  EXPECT_EQ(run(root_, options), RunStatus::finished);  // a new session tries again
  EXPECT_EQ(order_, "tots");
}

TEST_F(ExecutorTest, FailureInAnotherProcessEndsTheWaitForIt) {
  RunOptions options;
  options.selection.only = {"stage=other"};
  run(root_, options);
  fs::remove(root_ + "/stages/other/done.json");
  auto graph = stages();
  graph[1].run = [this](kd::StageContext&) {
    mark_failed(root_, plan_stages(stages(), root_)[2], "no luck elsewhere");
  };
  RunFolder folder(root_, graph, "");
  Console console(stdout, Console::Mode::quiet);
  try {
    run_stages(graph, folder, {}, console);
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "stage other: failed in another process: no luck elsewhere");
  }
}

TEST_F(ExecutorTest, FailureThatCannotBeNotedIsNotTriedForever) {
  const auto graph = stages();
  RunFolder folder(root_, graph, "");
  fs::create_directories(root_ + "/stages");
  write_file_atomically(root_ + "/stages/teacher", "a file in place of the folder");
  RunOptions options;
  options.keep_going = true;
  Console console(stdout, Console::Mode::quiet);
  EXPECT_THROW(run_stages(graph, folder, options, console), Error);
  EXPECT_EQ(order_, "o");
  options.worker = true;
  EXPECT_EQ(run_stages(graph, folder, options, console), RunStatus::failed);
}

TEST_F(ExecutorTest, StopAfterRunsTheStageAndItsNeeds) {
  RunOptions options;
  options.selection.stop_after = "teacher";
  run(root_, options);
  EXPECT_EQ(order_, "t");
  options.selection.stop_after = "student";
  run(root_, options);
  EXPECT_EQ(order_, "ts");
  EXPECT_THROW(plan_stages(stages(), root_, {.stop_after = "studnet"}), Error);
}

TEST_F(ExecutorTest, OtherSettingsAreRefusedWhileARunIsOn) {
  const auto graph = stages();
  std::optional<RunFolder> folder(std::in_place, root_, graph, config());
  RunFolder second(root_ + "/", graph, config());  // the same settings join
  student_.scale = 3;
  const auto other = stages();
  try {
    RunFolder third(root_, other, config());
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(std::string(e.what()), root_ +
                                         ": another limbeck run with other settings is using this "
                                         "folder (they differ in student.scale)");
  }
  EXPECT_EQ(read_file(root_ + "/run.json"), overview_text(plan_stages(graph, root_)));
}

TEST_F(ExecutorTest, SettingsMayChangeBetweenRuns) {
  { RunFolder folder(root_, stages(), config()); }
  write_file_atomically(root_ + "/config.toml", "torn by a person");
  student_.scale = 3;
  const auto other = stages();
  RunFolder folder(root_, other, config());
  EXPECT_EQ(read_file(root_ + "/config.toml"), config());
  EXPECT_EQ(read_file(root_ + "/run.json"), overview_text(plan_stages(other, root_)));
}

TEST_F(ExecutorTest, StageThatAnotherProcessWorksOnIsWaitedFor) {
  const auto expected = undisturbed();
  const auto graph = stages();
  RunFolder folder(root_, graph, config());
  int ready[2], go[2];
  ASSERT_EQ(pipe(ready) | pipe(go), 0);
  const pid_t child = fork();
  if (child == 0) {
    RunOptions options;
    char c = 0;
    options.selection.stop_after = "teacher";
    options.stop_requested = [&, asked = 0]() mutable {
      if (++asked == 5)
        _exit(write(ready[1], "r", 1) == 1 && read(go[0], &c, 1) == 1
                  ? 7
                  : 8);  // in the middle of the stage
      return false;
    };
    run(root_, options);
    _exit(9);
  }
  char c = 0;
  ASSERT_EQ(read(ready[0], &c, 1), 1);
  EXPECT_NE(stage_worker(root_, "teacher").find(cat("process ", child)), std::string::npos);
  EXPECT_EQ(stage_worker(root_, "student"), "");
  std::FILE* out = std::tmpfile();
  Console console(out, Console::Mode::plain);
  RunOptions options;
  options.stop_requested =
      [&, asked = 0]() mutable {  // lets the child go on when this process has waited a while
        if (++asked == 40 && write(go[1], "g", 1) != 1) return true;
        return false;
      };
  EXPECT_EQ(run_stages(graph, folder, options, console), RunStatus::finished);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 7);
  EXPECT_EQ(order_, "ots");
  EXPECT_EQ(contents(root_), expected);
  std::rewind(out);
  std::string text(10000, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), out));
  std::fclose(out);
  const std::string note = cat("waiting for stage teacher: process ", child, " on ");
  EXPECT_NE(text.find(note), std::string::npos) << text;
  EXPECT_EQ(text.find("waiting"), text.rfind("waiting")) << text;
}

/// Many small stages in a graph with choice, for several processes at a time.
class ProcessesTest : public ExecutorTest {
 protected:
  static constexpr int children = 3;

  std::vector<kd::Stage> graph() {
    std::vector<kd::Stage> list;
    for (int i = 0; i < 9; ++i) {
      const std::string name = cat("stage", i);
      std::vector<std::string> needs;
      if (i >= 2) needs.push_back(cat("stage", i / 2 - 1));
      if (i >= 6) needs.push_back(cat("stage", i - 3));
      list.push_back({name, name, needs, "x = 1\n", [this, name, needs](kd::StageContext& c) {
                        const auto alone = FileLock::acquire(root_ + "_guard/" + name);
                        if (!alone) write_file_atomically(root_ + "_guard/overlap", name);
                        double start = 0.1;
                        for (const auto& need : needs)
                          start += c.result_of(kd::StageHandle(need), "final");
                        c.monitor.image("picture", Tensor::full({2, 2, 3}, 9, DType::u8));
                        train(c, {25, 1.5}, start);
                      }});
    }
    return list;
  }

  pid_t start(double checkpoint_seconds) {
    const pid_t child = fork();
    if (child != 0) return child;
    int code = 0;
    try {
      const auto list = graph();
      RunFolder folder(root_, list, "config\n");
      RunOptions options;
      options.checkpoint_seconds = checkpoint_seconds;
      options.stop_requested = [] { return usleep(300), false; };
      Console console(stdout, Console::Mode::quiet);
      run_stages(list, folder, options, console);
    } catch (const std::exception& e) {
      std::fprintf(stderr, "child: %s\n", e.what());
      code = 9;
    }
    _exit(code);
  }
  void TearDown() override {
    fs::remove_all(root_ + "_guard");
    ExecutorTest::TearDown();
  }
};

TEST_F(ProcessesTest, KilledAtRandomTheyEndWithTheBitsOfOne) {
  fs::create_directories(root_ + "_guard");
  int status = 0;
  waitpid(start(1e9), &status, 0);
  ASSERT_EQ(status, 0);
  const auto expected = contents(root_);
  Stream random(7);
  for (int round = 0; round < 4; ++round) {
    fs::remove_all(root_);
    const double interval = round % 2 == 0 ? 0 : 1e9;
    std::vector<pid_t> running;
    for (int i = 0; i < children; ++i) running.push_back(start(interval));
    for (int kills = 0; kills < 10; ++kills) {
      usleep(1000 + static_cast<useconds_t>(random.fork(cat(round, " ", kills)).uniform() * 25000));
      pid_t& victim = running[static_cast<size_t>(kills % children)];
      kill(victim, SIGKILL);
      waitpid(victim, &status, 0);
      victim = start(interval);
    }
    for (const pid_t child : running) {
      waitpid(child, &status, 0);
      EXPECT_EQ(status, 0);
    }
    EXPECT_EQ(contents(root_), expected) << "round " << round;
  }
  EXPECT_FALSE(fs::exists(root_ + "_guard/overlap")) << "two processes worked on one stage";
}

TEST_F(ProcessesTest, AllKilledAtOnceOneContinues) {
  fs::create_directories(root_ + "_guard");
  int status = 0;
  waitpid(start(0), &status, 0);
  const auto expected = contents(root_);
  fs::remove_all(root_);
  std::vector<pid_t> running;
  for (int i = 0; i < children; ++i) running.push_back(start(0));
  usleep(30000);
  for (const pid_t child : running) kill(child, SIGKILL);
  for (const pid_t child : running) waitpid(child, &status, 0);
  EXPECT_NE(contents(root_), expected);
  waitpid(start(0), &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(contents(root_), expected);
}

TEST_F(ExecutorTest, ForeignFoldersAndFilesAreRefused) {
  fs::create_directories(root_);
  write_file_atomically(root_ + "/thesis.txt", "mine");
  EXPECT_THROW(RunFolder(root_, stages(), ""), Error);
  EXPECT_THROW(RunFolder(root_ + "/thesis.txt", stages(), ""), Error);
  EXPECT_THROW(RunFolder("/proc/limbeck", stages(), ""), Error);
  EXPECT_EQ(read_file(root_ + "/thesis.txt"), "mine");
}

TEST_F(ExecutorTest, BadGraphsAreRefused) {
  const auto noop = [](kd::StageContext&) {};
  const auto message = [&](const std::vector<kd::Stage>& graph) -> std::string {
    try {
      plan_stages(graph, root_);
    } catch (const Error& e) {
      return e.what();
    }
    return "no error";
  };
  EXPECT_EQ(message({{"a", "", {"b"}, "", noop}, {"b", "", {"a"}, "", noop}}),
            "workflow: stage 'a' needs itself");
  EXPECT_EQ(message({{"teacher", "", {}, "", noop}, {"b", "", {"techer"}, "", noop}}),
            "stage b: unknown stage 'techer'; did you mean 'teacher'?");
  EXPECT_EQ(message({{"a", "", {}, "", noop}, {"a", "", {}, "", noop}}),
            "workflow: two stages are named 'a'");
}

TEST_F(ExecutorTest, StagesReadOnlyWhatTheyNeed) {
  const std::vector<kd::Stage> graph{
      {"a", "", {}, "", [](kd::StageContext& c) { c.results["x"] = {0.1}; }},
      {"b", "", {}, "", [](kd::StageContext& c) { c.result_of(kd::StageHandle("a"), "x"); }}};
  RunFolder folder(root_, graph, "");
  Console console(stdout, Console::Mode::quiet);
  EXPECT_THROW(run_stages(graph, folder, {}, console), Error);
}

TEST_F(ExecutorTest, ResultsKeepTheirBits) {
  const kd::Results values{{"third", {1.0 / 3.0, "share", kd::Better::higher, "test"}},
                           {"tiny", {5e-324}},
                           {"big", {1.7976931348623157e308}},
                           {"whole", {93, "steps"}}};
  const std::vector<kd::Stage> graph{{"a", "", {}, "", [&](kd::StageContext& c) {
                                        c.results = values;
                                        c.results["infinite"] = {
                                            std::numeric_limits<double>::infinity()};
                                      }}};
  RunFolder folder(root_, graph, "");
  Console console(stdout, Console::Mode::quiet);
  run_stages(graph, folder, {}, console);
  auto read = read_results(root_ + "/stages/a");
  EXPECT_TRUE(std::isnan(read["infinite"].value));
  read.erase("infinite");
  EXPECT_EQ(read, values);
}

TEST_F(ExecutorTest, CheckpointOfOtherSettingsIsRefused) {
  RunOptions options;
  options.checkpoint_seconds = 0;
  die_at_ = 7;
  EXPECT_EQ(run_in_child(options), SIGKILL);
  die_at_ = 0;
  const std::string path = root_ + "/stages/teacher/checkpoint.safetensors";
  TensorFile file = read_safetensors(path);
  file.metadata["limbeck.fingerprint"] = "0123456789abcdef";
  write_safetensors(path, file);
  try {
    run(root_, options);
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("checkpoint of another stage"), std::string::npos)
        << e.what();
  }
}

}  // namespace
}  // namespace limbeck
