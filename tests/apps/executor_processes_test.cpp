// Several processes in one run folder: they share the stages, wait for each other, and end with the
// bits of one, whichever are killed.
#include <gtest/gtest.h>

#include <optional>

#include "apps/executor.h"
#include "tensor/random.h"
#include "tests/apps/fake_stages.h"

namespace limbeck {
namespace {

namespace fs = std::filesystem;

class ProcessesTest : public test::FakeStages {};

TEST_F(ProcessesTest, FailureInAnotherProcessEndsTheWaitForIt) {
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

TEST_F(ProcessesTest, OtherSettingsAreRefusedWhileARunIsOn) {
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

TEST_F(ProcessesTest, SettingsMayChangeBetweenRuns) {
  { RunFolder folder(root_, stages(), config()); }
  write_file_atomically(root_ + "/config.toml", "torn by a person");
  student_.scale = 3;
  const auto other = stages();
  RunFolder folder(root_, other, config());
  EXPECT_EQ(read_file(root_ + "/config.toml"), config());
  EXPECT_EQ(read_file(root_ + "/run.json"), overview_text(plan_stages(other, root_)));
}

TEST_F(ProcessesTest, StageThatAnotherProcessWorksOnIsWaitedFor) {
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
class ManyProcessesTest : public test::FakeStages {
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
    FakeStages::TearDown();
  }
};

TEST_F(ManyProcessesTest, KilledAtRandomTheyEndWithTheBitsOfOne) {
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

TEST_F(ManyProcessesTest, AllKilledAtOnceOneContinues) {
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

}  // namespace
}  // namespace limbeck
