// The files of a run folder that more than one part of the program reads or writes, and the locks
// in it.
//
//   DIR/config.toml                 the effective configuration
//   DIR/run.json                    the stages in order: name, title, needs, fingerprint, labels
//   DIR/identities.json             what was read of files, by their state (data/identity.h)
//   DIR/.lock                       held by every process of the run (RunFolder in executor.h)
//   DIR/.locks/NAME                 held by the process that works on stage NAME
//   DIR/stages/NAME/stage.json      fingerprint and settings of what runs, or ran, in this folder
//   DIR/stages/NAME/done.json       written last: the stage is finished
//   DIR/stages/NAME/failed.json     its error, until it runs again
//   DIR/stages/NAME/result.json     its numbers
//   DIR/stages/NAME/times.json      wall seconds, sessions and peak memory (the one file that
//                                   differs between equal runs)
//   DIR/stages/NAME/metrics.jsonl   its curves, images/*.png, and the files the stage itself writes
//   DIR/stages/NAME/checkpoint.safetensors   while it is unfinished; with --keep-state afterwards
//   DIR/stages/NAME.1, NAME.2, ...  what --replace and --extend kept of it
//   DIR/slurm/                      scripts, outputs and job ids of --slurm (slurm.h)
#pragma once
#include <map>
#include <optional>
#include <string>

#include "kd/stage.h"

namespace limbeck {

std::string stage_folder(const std::string& directory, const std::string& stage);

/// A stage writes and clears its own folder, never one that a link leads to: that may be another
/// run's, or no stage's at all.
bool is_link(const std::string& folder);
/// Throws Error when it is one.
void expect_no_link(const std::string& folder);

/// The text at `key` of a JSON file; empty when the file is absent or has none (what a kill in the
/// middle cannot leave, but a person can).
std::string json_text(const std::string& path, const std::string& key);
/// The texts of the object at `key` of a stage's JSON file, by their names; empty when the file is
/// absent or has none. Throws naming the file when it is no object, or what it has there is none.
std::map<std::string, std::string> json_texts(const std::string& path, const std::string& key);

/// Of run.json, result.json and the fingerprints in them. Format 2 can be read, not gone on with:
/// its fingerprints say nothing of the data.
inline constexpr int run_format = 3, readable_run_format = 2;
/// Throws Error naming run.json when it is missing, malformed, or of a format before `oldest` or
/// after ours. Returns the format.
int check_run_format(const std::string& directory, int oldest = readable_run_format);

/// What to say of a run that an earlier version made and this one reads; empty: it is of ours.
std::string format_note(const std::string& directory);

/// identities.json; empty when there is none.
std::map<std::string, std::string> read_identities(const std::string& directory);
void write_identities(const std::string& directory,
                      const std::map<std::string, std::string>& entries);

/// Whether a finished stage kept its last state.
bool keeps_state(const std::string& stage_directory);

/// The numbers of a finished stage (result.json). Non-finite numbers are stored as null and read as
/// NaN.
kd::Results read_results(const std::string& stage_directory);
void write_results(const std::string& stage_directory, const kd::Results& results);

/// times.json of a stage; zeros when there is none.
struct StageTimes {
  double seconds = 0;  ///< of wall time in all sessions since the stage started afresh
  int sessions = 0;
  double peak_bytes = 0;         ///< the most memory that the process needed in any session
  double device_peak_bytes = 0;  ///< the same of the device's memory; 0 on the CPU
};
StageTimes read_times(const std::string& stage_directory);
void write_times(const std::string& stage_directory, const StageTimes& times);

/// An exclusive flock() on a file of its own, which is created and never removed. It dies with its
/// process.
class FileLock {
 public:
  /// Nothing when another holds it. Throws Error when the file cannot be created or locked at all.
  static std::optional<FileLock> acquire(const std::string& path);
  ~FileLock();
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&&) = delete;

 private:
  explicit FileLock(int file) : file_(file) {}
  int file_;
};

/// The right to work in a stage's folder; nothing when another process has it.
std::optional<FileLock> lock_stage(const std::string& directory, const std::string& stage);
/// Who works on the stage: "process 12 on HOST"; empty when nobody does.
std::string stage_worker(const std::string& directory, const std::string& stage);

}  // namespace limbeck
