// The executor on fake stages: caching, dependants, resume after SIGKILL with the same bits, links,
// errors.
#include "apps/executor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "tests/apps/fake_stages.h"

namespace limbeck {
namespace {

namespace fs = std::filesystem;

class ExecutorTest : public test::FakeStages {};

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
