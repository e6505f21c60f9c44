// --slurm: the stages of a plan as jobs of a Slurm cluster, and what becomes of them. Slurm's own
//   programs do the work (sbatch, squeue,
// scontrol, scancel).
//
//   DIR/slurm/jobs.json         the job of each submitted stage, with the fingerprint that it was
//                               submitted for
//   DIR/slurm/config.toml       the settings that they run
//   DIR/slurm/NAME.sh           what was submitted
//   DIR/slurm/NAME-ID.out       what a job wrote
#pragma once
#include <map>
#include <string>
#include <vector>

#include "apps/console.h"
#include "apps/run_plan.h"
#include "tensor/error.h"

namespace limbeck {

/// One of Slurm's programs is missing, or refuses; the message has the first line that it wrote.
class SlurmError : public Error {
 public:
  using Error::Error;
};

struct SlurmOptions {
  std::string options;              ///< further options of sbatch, as one writes them in a shell
  std::vector<std::string> groups;  ///< as Selection::only: the stages of each are one job
};

/// The stages that are not finished, as jobs in an order in which they can be submitted. Throws
/// Error for a group that would have to wait for itself, or that shares a stage with another.
std::vector<std::vector<std::string>> slurm_groups(const std::vector<kd::Stage>& stages,
                                                   const std::vector<PlannedStage>& plan,
                                                   const std::vector<std::string>& groups);

/// Submits what is not finished: each job runs this program with `arguments` and --only for its
/// stages, after the jobs of what it needs. A stage whose job is still pending or running is left
/// to it. Throws SlurmError when sbatch refuses.
void submit_to_slurm(const std::vector<kd::Stage>& stages, const std::vector<PlannedStage>& plan,
                     const std::string& directory, const std::vector<std::string>& arguments,
                     const SlurmOptions& options, Console& console);

/// A job of this run as Slurm knows it.
struct SlurmJob {
  std::string id;
  /// "PENDING", "RUNNING", ... as squeue says; of a job that has ended as scontrol says, empty when
  /// Slurm has forgotten it
  std::string state;
  std::string reason;   ///< why it is pending
  bool active = false;  ///< pending with a chance to run, running, or about to run again
};
/// By stage, for those that were submitted with these fingerprints. Throws SlurmError when Slurm
/// does not answer.
std::map<std::string, SlurmJob> slurm_jobs(const std::string& directory,
                                           const std::vector<PlannedStage>& plan);

/// Cancels the jobs that are active; returns their ids.
std::vector<std::string> cancel_slurm_jobs(const std::string& directory);

}  // namespace limbeck
