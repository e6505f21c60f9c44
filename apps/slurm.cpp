#include "apps/slurm.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "apps/process.h"
#include "apps/run_files.h"
#include "apps/stage_runner.h"
#include "tensor/error.h"
#include "tensor/safetensors.h"

namespace limbeck {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

/// Seconds before the time limit at which a job gets SIGTERM, unless --slurm-options say otherwise:
/// a step and a checkpoint must fit.
constexpr int warning_seconds = 120;

std::string slurm_folder(const std::string& directory) { return directory + "/slurm"; }

// --- jobs.json: {"STAGE": {"job": "12", "fingerprint": "..."}} -----------------------------------

struct Submitted {
  std::string job, fingerprint;
};
using SubmittedStages = std::map<std::string, Submitted>;

SubmittedStages read_submitted(const std::string& directory) {
  const std::string path = slurm_folder(directory) + "/jobs.json";
  if (!fs::exists(path)) return {};
  SubmittedStages stages;
  try {
    const auto read = nlohmann::json::parse(read_file(path));
    for (const auto& [stage, entry] : read.items())
      stages[stage] = {entry.at("job").get<std::string>(),
                       entry.at("fingerprint").get<std::string>()};
  } catch (const nlohmann::json::exception& e) {
    fail(path, ": malformed: ", e.what());
  }
  return stages;
}

void write_submitted(const std::string& directory, const SubmittedStages& stages) {
  ordered_json text = ordered_json::object();
  for (const auto& [stage, s] : stages)
    text[stage] = {{"job", s.job}, {"fingerprint", s.fingerprint}};
  write_file_atomically(slurm_folder(directory) + "/jobs.json", text.dump(2) + "\n");
}

// --- asking Slurm --------------------------------------------------------------------------------

std::string ask_slurm(const std::vector<std::string>& command) {
  const ProcessOutput answer = run_process(command);
  if (answer.status == 127)
    throw SlurmError(cat(command[0], ": cannot be started; is Slurm installed here?"));
  if (answer.status != 0)
    throw SlurmError(
        cat(command[0], ": ",
            answer.error.empty() ? cat("ended with status ", answer.status) : answer.error));
  return answer.out;
}

/// Reads squeue's "ID|STATE|REASON" lines.
std::map<std::string, SlurmJob> queued_jobs() {
  std::istringstream in(ask_slurm({"squeue", "--noheader", "--me", "--format=%i|%T|%r"}));
  std::map<std::string, SlurmJob> jobs;
  for (std::string line; std::getline(in, line);) {
    const size_t first = line.find('|'), second = line.find('|', first + 1);
    if (second == std::string::npos) continue;
    SlurmJob job{line.substr(0, first), line.substr(first + 1, second - first - 1),
                 line.substr(second + 1), true};
    // Such a job waits for one that has failed, until Slurm removes it.
    if (job.reason == "DependencyNeverSatisfied" || job.state == "COMPLETING") job.active = false;
    jobs[job.id] = job;
  }
  return jobs;
}

/// The state of a job that has left the queue; empty when Slurm has forgotten it (after MinJobAge).
std::string ended_state(const std::string& id) {
  const std::string text = run_process({"scontrol", "--oneliner", "show", "job", id}).out;
  const std::string key = "JobState=";
  const size_t at = text.find(key);
  return at == std::string::npos
             ? std::string()
             : text.substr(at + key.size(), text.find(' ', at) - at - key.size());
}

// --- submitting ----------------------------------------------------------------------------------

/// The text of a job. Exit code 3 (interrupted, checkpoint written) puts the job back into the
/// queue under its id, so that what depends on it goes on waiting. Slurm's SIGTERM before the time
/// limit reaches the shell only, one at the end of a job reaches all its processes: the shell
/// passes on the first, and a job that is being ended is not put back.
std::string job_script(const std::vector<std::string>& command) {
  std::string words;
  for (const auto& word : command) words += (words.empty() ? "" : " ") + shell_quoted(word);
  return R"sh(#!/bin/sh
state() { squeue --noheader --jobs="$SLURM_JOB_ID" --format=%T; }
interrupt() { [ "$(state)" = RUNNING ] && interrupted=1 && kill -TERM "$process"; }
interrupted=0
trap interrupt TERM
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-$SLURM_CPUS_ON_NODE}"
)sh" + words +
         R"sh( &
process=$!
wait "$process"; code=$?
while kill -0 "$process" 2> /dev/null; do wait "$process"; code=$?; done
# 143: the signal came before the program was ready for it.
[ "$code" = 143 ] && [ "$interrupted" = 1 ] && code=3
if [ "$code" = 3 ] && [ "$(state)" = RUNNING ]; then
  trap - TERM
  scontrol requeue "$SLURM_JOB_ID" && sleep 600
fi
exit "$code"
)sh";
}

/// One of slurm_groups() on its way to Slurm.
class Submission {
 public:
  Submission(const std::vector<PlannedStage>& plan, const std::string& directory,
             const std::vector<std::string>& arguments, const SlurmOptions& options,
             Console& console)
      : plan_(plan),
        directory_(directory),
        arguments_(arguments),
        words_(split_words(options.options, "--slurm-options")),
        console_(console),
        submitted_(read_submitted(directory)),
        queue_(queued_jobs()) {}

  void add(const std::vector<std::string>& group) {
    std::vector<std::string> left;
    for (const auto& stage : group)
      if (!keeps_its_job(stage)) left.push_back(stage);
    if (left.empty()) return;
    const std::string id = submit(left);
    for (const auto& stage : left)
      submitted_[stage] = {id, planned(stage).fingerprint}, new_.insert(stage);
    write_submitted(directory_, submitted_);  // after each: a kill in between loses none
    ++count_;
    console_.line(cat("job ", id, ": ", joined(left)));
  }
  int count() const { return count_; }

 private:
  const PlannedStage& planned(const std::string& stage) const {
    return *std::find_if(plan_.begin(), plan_.end(),
                         [&](const PlannedStage& p) { return p.stage->name == stage; });
  }

  /// Its job is active, of these settings, and waits for none that has been replaced; otherwise
  /// that job is cancelled.
  bool keeps_its_job(const std::string& stage) const {
    const auto before = submitted_.find(stage);
    const auto job = before == submitted_.end() ? queue_.end() : queue_.find(before->second.job);
    if (job == queue_.end()) return false;
    const auto& needs = planned(stage).stage->needs;
    const bool stale = job->second.state == "PENDING" &&
                       std::any_of(needs.begin(), needs.end(),
                                   [&](const std::string& n) { return new_.count(n) != 0; });
    if (job->second.active && !stale && before->second.fingerprint == planned(stage).fingerprint) {
      console_.line(cat("job ", job->first, ": ", stage, " (submitted before)"));
      return true;
    }
    run_process({"scancel", job->first});
    return false;
  }

  std::string submit(const std::vector<std::string>& group) {
    const std::string folder = slurm_folder(directory_),
                      name = group.size() == 1 ? group[0] : cat(group[0], "+", group.size() - 1);
    std::vector<std::string> command = arguments_;
    for (const auto& stage : group) command.insert(command.end(), {"--only", "stage=" + stage});
    const std::string script = cat(folder, "/", name, ".sh");
    write_file_atomically(script, job_script(command));
    std::vector<std::string> sbatch{"sbatch",
                                    "--parsable",
                                    "--job-name=" + name,
                                    cat("--output=", folder, "/", name, "-%j.out"),
                                    "--open-mode=append",
                                    "--requeue",
                                    cat("--signal=B:TERM@", warning_seconds),
                                    "--kill-on-invalid-dep=yes"};
    const std::string dependency = dependency_of(group);
    if (!dependency.empty()) sbatch.push_back("--dependency=" + dependency);
    sbatch.insert(sbatch.end(), words_.begin(), words_.end());
    sbatch.push_back(script);
    const std::string answer = ask_slurm(sbatch);  // "ID" or "ID;CLUSTER"
    return answer.substr(0, answer.find_first_of(";\n"));
  }

  std::string dependency_of(const std::vector<std::string>& group) const {
    std::set<std::string> ids;
    for (const auto& stage : group)
      for (const auto& need : planned(stage).stage->needs)
        if (planned(need).state != StageState::finished &&
            !std::count(group.begin(), group.end(), need))
          ids.insert(submitted_.at(need).job);
    std::string text;
    for (const auto& id : ids) text += (text.empty() ? "afterok:" : ":") + id;
    return text;
  }

  const std::vector<PlannedStage>& plan_;
  const std::string& directory_;
  const std::vector<std::string>& arguments_;
  std::vector<std::string> words_;
  Console& console_;
  SubmittedStages submitted_;
  std::map<std::string, SlurmJob> queue_;
  std::set<std::string> new_;  ///< stages that were submitted just now
  int count_ = 0;
};

/// The groups in an order in which each comes after those that it needs.
class GroupOrder {
 public:
  GroupOrder(std::vector<std::vector<std::string>> groups, const std::vector<PlannedStage>& plan)
      : groups_(std::move(groups)) {
    for (const auto& p : plan) needs_[p.stage->name] = p.stage->needs;
    for (size_t g = 0; g < groups_.size(); ++g)
      for (const auto& stage : groups_[g]) group_of_[stage] = g;
  }
  std::vector<std::vector<std::string>> take() {
    for (size_t g = 0; g < groups_.size(); ++g) add(g);
    return std::move(ordered_);
  }

 private:
  void add(size_t g) {
    if (done_.count(g)) return;
    LIMBECK_CHECK(open_.insert(g).second, "--slurm-group: the job of ", joined(groups_[g]),
                  " would wait for itself, through stages between these; add them to the group");
    for (const auto& stage : groups_[g])
      for (const auto& need : needs_[stage])
        if (const auto other = group_of_.find(need); other != group_of_.end() && other->second != g)
          add(other->second);
    done_.insert(g);
    ordered_.push_back(groups_[g]);
  }

  std::vector<std::vector<std::string>> groups_, ordered_;
  std::map<std::string, std::vector<std::string>> needs_;
  std::map<std::string, size_t> group_of_;
  std::set<size_t> open_, done_;
};

}  // namespace

std::vector<std::vector<std::string>> slurm_groups(const std::vector<kd::Stage>& stages,
                                                   const std::vector<PlannedStage>& plan,
                                                   const std::vector<std::string>& groups) {
  std::map<std::string, size_t> grouped;  // stage -> group
  for (size_t g = 0; g < groups.size(); ++g)
    for (const kd::Stage* s : stages_with_labels(stages, groups[g], "--slurm-group"))
      LIMBECK_CHECK(grouped.emplace(s->name, g).second, "--slurm-group '", groups[g], "': stage ",
                    s->name, " is in another group already");
  std::vector<std::vector<std::string>> jobs;
  std::map<size_t, size_t> job_of;  // group -> its place in jobs
  for (const auto& p : plan) {
    if (p.state == StageState::finished) continue;
    const auto group = grouped.find(p.stage->name);
    if (group != grouped.end() && job_of.count(group->second))
      jobs[job_of[group->second]].push_back(p.stage->name);
    else
      jobs.push_back({p.stage->name});
    if (group != grouped.end()) job_of.emplace(group->second, jobs.size() - 1);
  }
  return GroupOrder(std::move(jobs), plan).take();
}

void submit_to_slurm(const std::vector<kd::Stage>& stages, const std::vector<PlannedStage>& plan,
                     const std::string& directory, const std::vector<std::string>& arguments,
                     const SlurmOptions& options, Console& console) {
  const auto groups = slurm_groups(stages, plan, options.groups);
  fs::create_directories(slurm_folder(directory));
  const auto lock = FileLock::acquire(slurm_folder(directory) + "/.lock");
  LIMBECK_CHECK(lock, directory, ": another process is submitting this run to Slurm");
  // The jobs keep the settings of now, whatever becomes of DIR/config.toml before they start.
  write_file_atomically(slurm_folder(directory) + "/config.toml",
                        read_file(directory + "/config.toml"));
  forget_failures(directory, plan);
  Submission submission(plan, directory, arguments, options, console);
  for (const auto& group : groups) submission.add(group);
  console.line(groups.empty()
                   ? "all stages are done; nothing to submit"
                   : cat("submitted ", submission.count(), " jobs; 'limbeck status ", directory,
                         "' shows them, 'limbeck cancel ", directory, "' cancels them"));
}

std::map<std::string, SlurmJob> slurm_jobs(const std::string& directory,
                                           const std::vector<PlannedStage>& plan) {
  const SubmittedStages submitted = read_submitted(directory);
  if (submitted.empty()) return {};
  const auto queue = queued_jobs();
  std::map<std::string, SlurmJob> jobs;
  for (const auto& p : plan) {
    const auto s = submitted.find(p.stage->name);
    if (s == submitted.end() || s->second.fingerprint != p.fingerprint) continue;
    const auto queued = queue.find(s->second.job);
    jobs[p.stage->name] = queued != queue.end()
                              ? queued->second
                              : SlurmJob{s->second.job, ended_state(s->second.job), {}, false};
  }
  return jobs;
}

std::vector<std::string> cancel_slurm_jobs(const std::string& directory) {
  const SubmittedStages submitted = read_submitted(directory);
  if (submitted.empty()) return {};
  std::set<std::string> active;
  const auto queue = queued_jobs();
  for (const auto& [stage, s] : submitted)
    if (const auto job = queue.find(s.job); job != queue.end() && job->second.active)
      active.insert(s.job);
  if (active.empty()) return {};
  std::vector<std::string> command{"scancel"};
  command.insert(command.end(), active.begin(), active.end());
  ask_slurm(command);
  return {active.begin(), active.end()};
}

}  // namespace limbeck
