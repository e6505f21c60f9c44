// Three small stages that the executor runs in tests: a teacher, a student that needs it, and one
// beside them.
#pragma once
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "apps/executor.h"
#include "tensor/fields.h"
#include "tensor/safetensors.h"

namespace limbeck::test {

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

/// Runs of the three stages, each test in a folder of its own.
class FakeStages : public testing::Test {
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

  /// The contents of a run from the start.
  std::map<std::string, std::string> undisturbed(const RunOptions& options = {}) {
    const std::string root = root_ + "_undisturbed";
    fs::remove_all(root);
    die_at_ = 0;
    run(root, options);
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

}  // namespace limbeck::test
