// The plan of a run: which stages, in which order, and how far each of them is on disk.
//
// The fingerprint of a stage hashes its name, its settings (with what it reads besides,
// kd::Workflow::read_inputs) and the fingerprints of its needs. A finished stage with the same
// fingerprint is skipped; with another one it runs again if the person says so, and so do the
// stages that need it.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "apps/run_files.h"
#include "kd/stage.h"

namespace limbeck {

enum class StageState { finished, changed, unfinished, missing, failed };

struct PlannedStage {
  const kd::Stage* stage;
  std::string fingerprint;
  StageState state;
  std::string
      why;  ///< changed: "gan.steps", or "teacher" when only a needed stage did; failed: the error
  std::string needs = {};  ///< the part of the fingerprinted text that names the needs'
};

/// Which stages; all of them when both are empty. What the chosen ones need always comes with them.
struct Selection {
  std::string stop_after;  ///< this stage
  /// "method=crd,seed=3" each: the stages with all these labels; the key `stage` is the name
  std::vector<std::string> only;
};

/// The stages in dependency order (the given order where it is free). Throws Error for a duplicate
/// or a cycle, and for an unknown stage, label or value (with the nearest one). Reads the folder,
/// changes nothing.
std::vector<PlannedStage> plan_stages(const std::vector<kd::Stage>& stages,
                                      const std::string& directory,
                                      const Selection& selection = {});

/// Of a stage with such settings; `needs` as in PlannedStage.
std::string fingerprint_of(const kd::Stage& stage, const std::string& settings,
                           const std::string& needs);

/// The stages that `only` (see Selection) names, without their needs.
std::vector<const kd::Stage*> stages_with_labels(const std::vector<kd::Stage>& stages,
                                                 const std::string& only,
                                                 const std::string& option);

/// The text of run.json.
std::string overview_text(const std::vector<PlannedStage>& plan);

/// What run.json says, without settings and work: names, titles, needs, labels, fingerprints, and
/// the states on disk.
struct RecordedRun {
  std::vector<kd::Stage> stages;
  std::vector<PlannedStage> plan;  ///< points into `stages`
};
/// Throws Error naming run.json when it is missing, malformed, or of a format before `oldest`.
RecordedRun read_recorded_run(const std::string& directory, int oldest = readable_run_format);
/// Throws Error when the folder holds a run that this version does not go on with.
void expect_continuable(const std::string& directory);

bool all_finished(const std::vector<PlannedStage>& plan);
/// Not finished, not failed, and all its needs are finished.
bool is_runnable(const PlannedStage& p, const std::vector<PlannedStage>& plan);
/// The failed stages among those that the stage needs, directly or not.
std::vector<std::string> failed_needs(const PlannedStage& p, const std::vector<PlannedStage>& plan);
/// One line: which stages failed and why, and which were not run because of them; empty when none
/// failed.
std::string failure_summary(const std::vector<PlannedStage>& plan);

/// "key = value" lines (under "[section]" lines, where there are), by key.
std::map<std::string, std::string> lines_of(const std::string& text);
/// The keys of "key = value" lines (under "[section]" lines, where there are) that differ, at most
/// three; empty when none does.
std::string changed_keys(const std::string& before, const std::string& after);

}  // namespace limbeck
