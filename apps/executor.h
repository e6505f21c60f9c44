// The executor: runs a graph of kd::Stage in a run folder (run_files.h), skips what is finished,
// resumes what was interrupted. Any number of processes may work on one folder: each takes the
// stages that are free and whose needs are finished, and waits where others work.
#pragma once
#include <string>
#include <vector>

#include "apps/console.h"
#include "apps/run_files.h"
#include "apps/run_plan.h"
#include "apps/stage_runner.h"

namespace limbeck {

/// A run folder that this process works on, alone or with other processes that have the same
/// settings. The constructor creates it and writes config.toml and run.json; throws Error when it
/// cannot, when processes with other settings work on the folder, or when the folder holds
/// something else than a run, or a run of an earlier version.
class RunFolder {
 public:
  RunFolder(std::string directory, const std::vector<kd::Stage>& stages, const std::string& config);
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;
  const std::string& directory() const { return directory_; }

 private:
  void join(const std::string& config, const std::string& overview);

  std::string directory_;
  int lock_ = -1;
};

struct RunOptions : StageOptions {
  Selection selection;      ///< run these stages and what they need, then stop
  bool keep_going = false;  ///< after a failed stage go on with those that do not need it
  bool worker =
      /// one of several that a parent started: no word about other stages; failures of before are
      /// the parent's to forget
      false;
};

enum class RunStatus { finished, interrupted, failed };

/// Runs what is not finished, and waits for what other processes work on. An error of a stage
/// passes through with the stage's name in front; where it keeps going, one error comes at the end
/// with failure_summary(), or `failed` without an error from a worker. In any case the folder can
/// be resumed.
RunStatus run_stages(const std::vector<kd::Stage>& stages, const RunFolder& folder,
                     const RunOptions& options, Console& console);

}  // namespace limbeck
