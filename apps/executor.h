// The executor: runs a graph of kd::Stage in a run folder, skips what is finished, resumes what was interrupted.
//
//   DIR/config.toml                 the effective configuration
//   DIR/run.json                    the stages in order: name, title, needs, fingerprint
//   DIR/times.json                  wall seconds and sessions per stage (the one file that differs between equal runs)
//   DIR/stages/NAME/stage.json      fingerprint and settings of what runs, or ran, in this folder
//   DIR/stages/NAME/done.json       written last: the stage is finished
//   DIR/stages/NAME/result.json     its numbers
//   DIR/stages/NAME/metrics.jsonl   its curves, images/*.png, and the files the stage itself writes
//   DIR/stages/NAME/checkpoint.safetensors   only while it is unfinished
//
// The fingerprint of a stage hashes its name, its settings and the fingerprints of its needs. A finished stage with the same
// fingerprint is skipped; with another one its folder is cleared and it runs again, and so do the stages that need it.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "apps/console.h"
#include "kd/stage.h"

namespace limbeck {

/// A run folder held by this process. The constructor creates it; throws Error when it cannot, when another process holds it, or when
/// the folder holds something else than a run.
class RunFolder {
 public:
  explicit RunFolder(std::string directory);
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;
  const std::string& directory() const { return directory_; }

 private:
  std::string directory_;
  int lock_ = -1;
};

enum class StageState { finished, changed, unfinished, missing };

struct PlannedStage {
  const kd::Stage* stage;
  std::string fingerprint;
  StageState state;
  std::string why;  ///< what changed: "gan.steps", or "teacher" when only a needed stage did
};

/// The stages in dependency order (the given order where it is free), up to and with what `stop_after` needs when it is not empty.
/// Throws Error for an unknown name (with the nearest one), a duplicate or a cycle. Reads the folder, changes nothing.
std::vector<PlannedStage> plan_stages(const std::vector<kd::Stage>& stages, const std::string& directory, const std::string& stop_after = {});

struct RunOptions {
  std::string stop_after;                ///< run this stage and what it needs, then stop
  double checkpoint_seconds = 60;        ///< between checkpoints; has no influence on the result
  std::function<bool()> stop_requested = [] { return false; };
};

enum class RunStatus { finished, interrupted };

/// Runs what is not finished. An error of a stage passes through with the stage's name in front; the folder can be resumed.
RunStatus run_stages(const std::vector<kd::Stage>& stages, const RunFolder& folder, const RunOptions& options, Console& console);

/// The numbers of a finished stage (result.json). Non-finite numbers are stored as null and read as NaN.
kd::Results read_results(const std::string& stage_directory);

}  // namespace limbeck
