#include "apps/stage_runner.h"

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "apps/extension.h"
#include "apps/monitor.h"
#include "apps/peak_memory.h"
#include "apps/run_files.h"
#include "apps/stage_files.h"
#include "tensor/error.h"
#include "tensor/safetensors.h"

namespace limbeck {
namespace {

namespace fs = std::filesystem;

/// times.json of the running stage.
class Stopwatch {
 public:
  Stopwatch(const std::string& folder, Device device)
      : folder_(folder), before_(read_times(folder)), memory_(device) {
    ++before_.sessions;
  }
  double seconds() const {
    return before_.seconds +
           std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
  }
  void write() const {
    write_times(folder_,
                {seconds(), before_.sessions,
                 std::max(before_.peak_bytes, static_cast<double>(memory_.resident())),
                 std::max(before_.device_peak_bytes, static_cast<double>(memory_.on_device()))});
  }

 private:
  std::string folder_;
  StageTimes before_;
  const PeakMemory memory_;
  std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
};

/// What a kill in the middle of an atomic write leaves.
void remove_temporary_files(const std::string& folder) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file() && entry.path().extension() == ".tmp")
      found.push_back(entry.path());
  for (const auto& path : found) fs::remove(path);
}

/// Clears the folder (done.json first: nothing that looks finished may lack its files) and marks it
/// with the stage's fingerprint.
void start_afresh(const PlannedStage& p, const std::string& folder) {
  fs::create_directories(folder);
  fs::remove(folder + "/done.json");
  for (const auto& entry : fs::directory_iterator(folder)) fs::remove_all(entry.path());
  write_stage_json(folder, p);
}

/// Whether the stage begins at its first step. Leaves a folder of its own.
bool begin(const std::string& directory, const PlannedStage& p, const StageOptions& options) {
  const std::string folder = stage_folder(directory, p.stage->name);
  expect_no_link(folder);
  bool resumes = p.state == StageState::unfinished || recover_extension(directory, p);
  if (is_superseded(directory, p)) {
    resumes = options.extend && why_not_extended(directory, p).empty();
    if (resumes)
      begin_extension(directory, p);
    else
      keep_finished(directory, p.stage->name);
  }
  // Without a checkpoint nothing in the folder counts.
  if (!resumes || !fs::exists(folder + "/checkpoint.safetensors")) {
    start_afresh(p, folder);
    return true;
  }
  remove_temporary_files(folder);
  return false;
}

/// Of a stage whose other files are all there.
std::string done_text(const std::string& folder, const std::string& fingerprint, bool keeps_state) {
  std::string files;
  for (const auto& [name, checksum] : checksums_of(folder, keeps_state))
    files += cat(files.empty() ? "" : ",", "\n  ", json_string(name), ":", json_string(checksum));
  return cat("{\"fingerprint\":", json_string(fingerprint),
             keeps_state ? ",\"state\":\"kept\"" : "", ",\"files\":{", files, "}}\n");
}

/// Only declared needs may be read: the fingerprint covers nothing else.
std::string needed_folder(const std::string& directory, const kd::Stage& stage,
                          const std::string& name) {
  LIMBECK_CHECK(std::count(stage.needs.begin(), stage.needs.end(), name), "stage ", stage.name,
                " reads '", name, "', which is not among its needs");
  return stage_folder(directory, name);
}

double needed_result(const std::string& directory, const kd::Stage& stage, const std::string& name,
                     const std::string& key) {
  const auto results = read_results(needed_folder(directory, stage, name));
  const auto found = results.find(key);
  if (found != results.end()) return found->second.value;
  std::vector<std::string> keys;
  for (const auto& [k, r] : results) keys.push_back(k);
  fail("result.json of stage ", name, " has no '", key, "'", did_you_mean(key, keys));
}

void say_why_again(const PlannedStage& p, bool afresh, Console& console) {
  if (p.state == StageState::changed)
    console.note(
        cat("changed since it ran (", p.why, afresh ? "); running again" : "); training on"));
  if (!afresh)
    console.note("resuming from its last checkpoint");
  else if (p.state == StageState::unfinished)
    console.note("was interrupted before its first checkpoint; starting again");
}

std::string summary_of(const kd::Results& results, double seconds) {
  std::string text = cat("done in ", format_duration(seconds));
  int shown = 0;
  for (const auto& [key, r] : results)
    if (++shown <= 6) text += cat("  ", key, " ", format_number(r.value));
  return text;
}

}  // namespace

void run_stage(const std::string& directory, const PlannedStage& p, int index, int count,
               const StageOptions& options, Console& console) {
  const std::string folder = stage_folder(directory, p.stage->name);
  const bool afresh = begin(directory, p, options);
  for (const std::string& need : p.stage->needs) expect_undamaged(stage_folder(directory, need));
  const bool keeps = options.keep_state && !p.stage->length.empty();
  const Stopwatch times(folder, options.device);
  console.begin(index, count, p.stage->name, p.stage->title);
  say_why_again(p, afresh, console);

  StageMonitor monitor({.directory = folder,
                        .fingerprint = p.fingerprint,
                        .checkpoint_seconds = options.checkpoint_seconds,
                        .save_last = keeps,
                        .tensorboard = options.tensorboard,
                        .stop_requested = options.stop_requested,
                        .after_save = [&] { times.write(); }},
                       console);
  kd::StageContext context{
      folder,
      [&](const kd::StageHandle& s) { return needed_folder(directory, *p.stage, s.name()); },
      [&](const kd::StageHandle& s, const std::string& key) {
        return needed_result(directory, *p.stage, s.name(), key);
      },
      monitor,
      {}};
  try {
    p.stage->run(context);
  } catch (const nn::Interrupted&) {
    times.write();
    throw;
  }
  monitor.finish();
  write_results(folder, context.results);
  times.write();
  write_file_atomically(
      folder + "/done.json",
      done_text(folder, p.fingerprint, keeps && fs::exists(folder + "/checkpoint.safetensors")));
  tidy_stage(directory, p.stage->name);
  console.end(summary_of(context.results, times.seconds()));
}

void write_stage_json(const std::string& folder, const PlannedStage& p) {
  write_file_atomically(folder + "/stage.json",
                        cat("{\n  \"stage\": ", json_string(p.stage->name),
                            ",\n  \"fingerprint\": ", json_string(p.fingerprint),
                            ",\n  \"settings\": ", json_string(p.stage->settings), "\n}\n"));
}

void tidy_stage(const std::string& directory, const std::string& stage) {
  const std::string folder = stage_folder(directory, stage);
  if (is_link(folder)) return;
  if (!keeps_state(folder)) fs::remove(folder + "/checkpoint.safetensors");
  remove_temporary_files(folder);
}

void mark_failed(const std::string& directory, const PlannedStage& p, const std::string& error) {
  if (is_link(stage_folder(directory, p.stage->name))) return;
  try {
    write_file_atomically(stage_folder(directory, p.stage->name) + "/failed.json",
                          cat("{\"fingerprint\": ", json_string(p.fingerprint),
                              ", \"error\": ", json_string(error), "}\n"));
  } catch (const Error&) {
    // A full disk, say: then the stage just stays unfinished.
  }
}

void forget_failures(const std::string& directory, const std::vector<PlannedStage>& plan) {
  for (const auto& p : plan)
    if (p.state == StageState::failed && !is_link(stage_folder(directory, p.stage->name)))
      if (const auto lock = lock_stage(directory, p.stage->name))
        fs::remove(stage_folder(directory, p.stage->name) + "/failed.json");
}

}  // namespace limbeck
