// One stage in its folder: started afresh or resumed, its files, its end. Callers hold the stage's
// lock.
#pragma once
#include <functional>
#include <string>

#include "apps/console.h"
#include "apps/run_plan.h"

namespace limbeck {

struct StageOptions {
  double checkpoint_seconds = 60;  ///< between checkpoints; has no influence on the result
  bool tensorboard = false;        ///< an event file beside metrics.jsonl
  std::function<bool()> stop_requested = [] { return false; };
  Device device = cpu;      ///< on which stages run: its memory is watched
  bool extend = false;      ///< finished stages whose length has grown are trained on
  bool keep_state = false;  ///< of trainings, for that
};

/// Runs a stage that is not finished to its end; `index` of `count` is what the console shows.
/// What is finished with other settings is kept under another name. Throws nn::Interrupted with the
/// checkpoint written, and whatever the stage throws.
void run_stage(const std::string& directory, const PlannedStage& p, int index, int count,
               const StageOptions& options, Console& console);

/// Removes what a kill just after the end may have left in the folder of a finished stage, and its
/// checkpoint unless that is kept; one behind a link is read only.
void tidy_stage(const std::string& directory, const std::string& stage);

/// stage.json: the stage has begun in this folder.
void write_stage_json(const std::string& folder, const PlannedStage& p);

/// Notes the error beside the stage's files, for other processes and `limbeck status`; run_stage()
/// removes it.
void mark_failed(const std::string& directory, const PlannedStage& p, const std::string& error);
/// So that stages that failed are tried again; stages that a process works on are left alone.
void forget_failures(const std::string& directory, const std::vector<PlannedStage>& plan);

}  // namespace limbeck
