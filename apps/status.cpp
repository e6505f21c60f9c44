// limbeck status: how far each stage of a run folder is, here and on a Slurm cluster. limbeck
// cancel: ends its Slurm jobs.
#include <algorithm>
#include <cstdio>
#include <memory>

#include "apps/command.h"
#include "apps/run_files.h"
#include "apps/run_plan.h"
#include "apps/slurm.h"
#include "tensor/error.h"

namespace limbeck::status_app {
namespace {

struct StatusLine {
  std::string stage, state, job, detail;
};

/// Without Slurm at hand the folder still says a lot.
std::map<std::string, SlurmJob> known_jobs(const std::string& directory,
                                           const std::vector<PlannedStage>& plan) {
  try {
    return slurm_jobs(directory, plan);
  } catch (const SlurmError& e) {
    std::printf("Slurm does not answer (%s); what is below comes from the folder alone\n",
                e.what());
    return {};
  }
}

bool in(const std::vector<std::string>& list, const std::string& name) {
  return std::count(list.begin(), list.end(), name) != 0;
}

/// Marks as failed what Slurm ended for good: a job is gone, its stage is neither finished nor
/// worked on, and nothing that it needs failed.
void judge_by_jobs(RecordedRun& run, const std::map<std::string, SlurmJob>& jobs,
                   const std::string& directory) {
  for (auto& p : run.plan) {
    const auto job = jobs.find(p.stage->name);
    if (job == jobs.end() || job->second.active || p.state == StageState::finished ||
        p.state == StageState::failed)
      continue;
    const SlurmJob& j = job->second;
    const bool ended_itself =
        j.state != "CANCELLED" && j.state != "COMPLETING" && j.reason != "DependencyNeverSatisfied";
    if (!ended_itself || !failed_needs(p, run.plan).empty() ||
        !stage_worker(directory, p.stage->name).empty())
      continue;
    p.state = StageState::failed;
    p.why = cat("Slurm job ", j.id, " ended", j.state.empty() ? "" : cat(" as ", j.state),
                " without finishing it; see ", directory, "/slurm/*-", j.id, ".out");
  }
}

std::vector<std::string> unfinished_needs(const PlannedStage& p,
                                          const std::vector<PlannedStage>& plan) {
  std::vector<std::string> names;
  for (const auto& other : plan)
    if (other.state != StageState::finished && in(p.stage->needs, other.stage->name))
      names.push_back(other.stage->name);
  return names;
}

StatusLine status_of(const PlannedStage& p, const RecordedRun& run,
                     const std::map<std::string, SlurmJob>& jobs, const std::string& directory) {
  const auto found = jobs.find(p.stage->name);
  const SlurmJob job = found == jobs.end() ? SlurmJob{} : found->second;
  StatusLine line{p.stage->name, "", job.id, ""};
  const std::string worker = stage_worker(directory, p.stage->name);
  const auto failed = failed_needs(p, run.plan), missing = unfinished_needs(p, run.plan);
  if (p.state == StageState::finished)
    line.state = "done";
  else if (!worker.empty())
    line.state = "running", line.detail = worker;
  else if (p.state == StageState::failed)
    line.state = "failed", line.detail = p.why;
  else if (!failed.empty())
    line.state = "not run", line.detail = "needs " + joined(failed) + ", which failed";
  else if (!missing.empty())
    line.state = "waiting for", line.detail = joined(missing);
  else if (job.active)
    line.state = job.state == "RUNNING" ? "running" : "pending", line.detail = job.reason;
  else if (job.state == "CANCELLED")
    line.state = "cancelled";
  else
    line.state = "to do", line.detail = p.state == StageState::unfinished ? "was interrupted"
                                        : p.state == StageState::changed
                                            ? "settings changed since it ran"
                                            : "";
  return line;
}

void print_status(const std::string& directory) {
  RecordedRun run = read_recorded_run(directory);
  if (const std::string note = format_note(directory); !note.empty())
    std::printf("%s\n", note.c_str());
  const auto jobs = known_jobs(directory, run.plan);
  judge_by_jobs(run, jobs, directory);
  std::vector<StatusLine> lines{{"stage", "state", jobs.empty() ? "" : "job", "what"}};
  for (const auto& p : run.plan) lines.push_back(status_of(p, run, jobs, directory));
  size_t width = 0, job_width = 0;
  for (const auto& l : lines)
    width = std::max(width, l.stage.size()),
    job_width = std::max(job_width, l.job.size() + (jobs.empty() ? 0 : 2));
  for (const auto& l : lines) {
    std::string text = cat(l.stage, std::string(width + 2 - l.stage.size(), ' '), l.state,
                           std::string(13 - l.state.size(), ' '), l.job,
                           std::string(job_width - l.job.size(), ' '), l.detail);
    text.erase(text.find_last_not_of(' ') + 1);
    std::printf("%s\n", text.c_str());
  }
  const std::string failures = failure_summary(run.plan);
  if (!failures.empty()) std::printf("\n%s\n", failures.c_str());
}

void cancel(const std::string& directory) {
  read_recorded_run(directory);
  const auto ids = cancel_slurm_jobs(directory);
  if (ids.empty())
    std::printf("no Slurm job of this run is pending or running\n");
  else
    std::printf("cancelled: %s\n", joined(ids).c_str());
}

RegisterCommand status_command(
    {"status", "show how far each stage of a run is", [](CommandLine& app) {
       auto directory = std::make_shared<std::string>();
       app.add_option("run", *directory, "run folder").required().value_name("DIR");
       app.callback([directory] { print_status(*directory); });
     }});

RegisterCommand cancel_command({"cancel", "cancel the Slurm jobs of a run", [](CommandLine& app) {
                                  auto directory = std::make_shared<std::string>();
                                  app.add_option(
                                         "run", *directory,
                                         "run folder that was submitted with 'limbeck run --slurm'")
                                      .required()
                                      .value_name("DIR");
                                  app.callback([directory] { cancel(*directory); });
                                }});

}  // namespace
}  // namespace limbeck::status_app
