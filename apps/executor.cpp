#include "apps/executor.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <exception>
#include <filesystem>
#include <map>
#include <new>
#include <optional>
#include <set>
#include <thread>

#include "tensor/safetensors.h"

namespace limbeck {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

bool holds_text(const std::string& path, const std::string& text) {
  return fs::exists(path) && read_file(path) == text;
}

/// What a kill in the middle of join() leaves.
void remove_temporary_overviews(const std::string& root) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(root))
    for (const char* name : {"config.toml.", "run.json."})
      if (entry.path().extension() == ".tmp" && entry.path().filename().string().starts_with(name))
        found.push_back(entry.path());
  for (const auto& path : found) fs::remove(path);
}

/// What went wrong, for people; call it in a handler.
std::string error_text() {
  try {
    throw;
  } catch (const fs::filesystem_error& e) {
    return cat(e.path1().string(), ": ", e.code().message());
  } catch (const Error& e) {
    return e.what();
  } catch (const std::bad_alloc&) {
    return "out of memory";
  } catch (const std::exception& e) {
    return cat("unexpected: ", e.what());
  }
}

class Executor {
 public:
  Executor(const std::vector<kd::Stage>& stages, const RunFolder& folder, const RunOptions& options,
           Console& console)
      : stages_(stages), root_(folder.directory()), options_(options), console_(console) {}

  RunStatus run() {
    start();
    for (;;) {
      if (options_.stop_requested()) return RunStatus::interrupted;
      const auto plan = read_plan();
      if (!options_.keep_going) stop_at_failure(plan);
      elsewhere_.clear();
      if (auto claim = find_work(plan)) {
        pause_ = shortest_pause;
        if (!run_claimed(*claim)) return RunStatus::interrupted;
      } else if (all_finished(plan)) {
        return RunStatus::finished;
      } else if (!elsewhere_.empty()) {
        wait();
      } else if (options_.worker) {
        return RunStatus::failed;
      } else {
        fail(failure_summary(plan));
      }
    }
  }

 private:
  /// A stage to run, with its lock and the plan that was read under it.
  struct Claim {
    std::vector<PlannedStage> plan;
    size_t index;
    FileLock lock;
  };

  /// What failed here counts even where failed.json could not be written.
  std::vector<PlannedStage> read_plan() const {
    auto plan = plan_stages(stages_, root_, options_.selection);
    for (auto& p : plan)
      if (const auto failed = failed_here_.find(p.stage->name); failed != failed_here_.end())
        p.state = StageState::failed, p.why = failed->second;
    return plan;
  }

  void start() {
    const auto plan = read_plan();
    if (!options_.worker) forget_failures(root_, plan);
    for (const auto& p : plan)
      if (p.state == StageState::finished) done_before_.insert(p.stage->name);
  }

  /// The first stage that can run and that nobody works on. What is worked on goes to elsewhere_;
  /// says what is finished on the way.
  std::optional<Claim> find_work(const std::vector<PlannedStage>& plan) {
    for (size_t i = 0; i < plan.size(); ++i) {
      const std::string& name = plan[i].stage->name;
      if (plan[i].state == StageState::finished) announce(name, i, plan.size());
      if (!is_runnable(plan[i], plan)) continue;
      auto lock = lock_stage(root_, name);
      if (lock) {
        // Another process may have ended the stage between our look at the disk and the lock.
        auto fresh = read_plan();
        if (is_runnable(fresh[i], fresh)) return Claim{std::move(fresh), i, std::move(*lock)};
      }
      elsewhere_.push_back(name);
    }
    return std::nullopt;
  }

  void announce(const std::string& name, size_t index, size_t count) {
    if (!announced_.insert(name).second) return;
    const bool before = done_before_.count(name) != 0;
    if (before)
      if (const auto lock = lock_stage(root_, name)) tidy_stage(root_, name);
    if (!options_.worker)
      console_.line(cat("[", index + 1, "/", count, "] ", name,
                        before ? ": done before" : ": done by another process"));
  }

  /// False: interrupted.
  bool run_claimed(const Claim& claim) {
    const PlannedStage& p = claim.plan[claim.index];
    try {
      run_stage(root_, p, static_cast<int>(claim.index + 1), static_cast<int>(claim.plan.size()),
                options_, console_);
      announced_.insert(p.stage->name);
    } catch (const nn::Interrupted& e) {
      console_.end(e.what());
      return false;
    } catch (...) {
      const std::string error = error_text();
      mark_failed(root_, p, error);
      if (!options_.keep_going) fail("stage ", p.stage->name, ": ", error);
      failed_here_[p.stage->name] = error;
      console_.end(cat("failed: ", error));
    }
    return true;
  }

  static void stop_at_failure(const std::vector<PlannedStage>& plan) {
    for (const auto& p : plan)
      if (p.state == StageState::failed)
        fail("stage ", p.stage->name, ": failed in another process: ", p.why);
  }

  /// All that is left is worked on, or waits for it.
  void wait() {
    for (const auto& name : elsewhere_) {
      const std::string worker = stage_worker(root_, name);
      if (worker.empty() || options_.worker || !waited_for_.insert(name).second) continue;
      console_.note(cat("waiting for stage ", name, ": ", worker, " works on it"));
    }
    for (auto left = pause_; left.count() > 0 && !options_.stop_requested(); left -= shortest_pause)
      std::this_thread::sleep_for(shortest_pause);
    pause_ = std::min(2 * pause_, longest_pause);
  }

  static constexpr milliseconds shortest_pause{50}, longest_pause{1600};

  const std::vector<kd::Stage>& stages_;
  std::string root_;
  const RunOptions& options_;
  Console& console_;
  std::set<std::string> done_before_, announced_, waited_for_;
  std::map<std::string, std::string> failed_here_;  ///< with the error
  std::vector<std::string> elsewhere_;
  milliseconds pause_ = shortest_pause;
};

}  // namespace

RunFolder::RunFolder(std::string directory, const std::vector<kd::Stage>& stages,
                     const std::string& config)
    : directory_(std::move(directory)) {
  while (directory_.size() > 1 && directory_.back() == '/') directory_.pop_back();
  std::error_code error;
  if (fs::exists(directory_, error) && !fs::is_directory(directory_, error))
    fail(directory_, ": is a file; expected a folder for the run");
  if (fs::is_directory(directory_, error) && !fs::is_empty(directory_, error))
    LIMBECK_CHECK(fs::exists(directory_ + "/.lock"), directory_,
                  ": holds files that are not of a run; give an empty or new folder");
  expect_continuable(directory_);
  const std::string overview = overview_text(plan_stages(stages, directory_));
  expect_no_link(directory_ + "/stages");
  fs::create_directories(directory_, error);
  LIMBECK_CHECK(!error, directory_, ": the run folder cannot be created: ", error.message());
  // First of all: without it the folder would not pass for one of a run.
  const std::string path = directory_ + "/.lock";
  lock_ = open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
  LIMBECK_CHECK(lock_ >= 0, path, ": cannot be created: ", std::strerror(errno));
  try {
    fs::create_directory(directory_ + "/stages", error);
    LIMBECK_CHECK(!error, directory_, "/stages: cannot be created: ", error.message());
    join(config, overview);
  } catch (...) {
    close(lock_);
    throw;
  }
}

/// Exclusive while the settings are written, shared afterwards. Turning one into the other is not
/// atomic, and the first process may be killed in between, so every process compares before it
/// works, and looks again for a while before it gives up.
void RunFolder::join(const std::string& config, const std::string& overview) {
  const std::string config_path = directory_ + "/config.toml",
                    overview_path = directory_ + "/run.json";
  const auto try_lock = [&](int kind) {
    if (flock(lock_, kind | LOCK_NB) == 0) return true;
    LIMBECK_CHECK(errno == EWOULDBLOCK, directory_,
                  "/.lock: cannot be locked: ", std::strerror(errno));
    return false;
  };
  constexpr int tries = 20;
  for (int i = 0; i < tries; ++i) {
    if (try_lock(LOCK_EX)) {
      remove_temporary_overviews(directory_);
      if (!holds_text(config_path, config)) write_file_atomically(config_path, config);
      if (!holds_text(overview_path, overview)) write_file_atomically(overview_path, overview);
    }
    if (try_lock(LOCK_SH)) {
      if (holds_text(config_path, config) && holds_text(overview_path, overview)) return;
      flock(lock_, LOCK_UN);
    }
    std::this_thread::sleep_for(milliseconds(50));
  }
  const std::string keys =
      fs::exists(config_path) ? changed_keys(read_file(config_path), config) : std::string();
  fail(directory_, ": another limbeck run with other settings is using this folder",
       keys.empty() ? "" : cat(" (they differ in ", keys, ")"));
}

RunFolder::~RunFolder() { close(lock_); }

RunStatus run_stages(const std::vector<kd::Stage>& stages, const RunFolder& folder,
                     const RunOptions& options, Console& console) {
  return Executor(stages, folder, options, console).run();
}

}  // namespace limbeck
