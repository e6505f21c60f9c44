// What a report reads: run folders (apps/executor.h) as records. Nothing is taken from a name:
// results say what they are, stages have labels.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "kd/stage.h"

namespace limbeck::report {

/// One curve: a key of metrics.jsonl over its steps; lines without the key (or with null) are left
/// out.
struct Series {
  std::vector<double> x, y;
};

struct StageRecord {
  std::string name, title;
  kd::Labels labels;  ///< kd/stage.h
  bool finished = false;
  kd::Results results;                   ///< of a finished stage
  std::vector<std::string> metric_keys;  ///< in order of first appearance
  std::map<std::string, Series> metrics;
  std::vector<std::string> images;  ///< paths of PNG files, sorted
  double seconds = 0;               ///< wall time of all its sessions
  int sessions = 0;
  double peak_bytes = 0, device_peak_bytes = 0;  ///< of memory in any of them; 0: not known, none
  /// A label, or `otherwise` where it is absent.
  std::string label(const std::string& key, const std::string& otherwise = {}) const;
};

struct RunRecord {
  std::string directory, config;                ///< config: the text of config.toml
  std::map<std::string, std::string> settings;  ///< of config.toml: "gan.steps" -> "700"
  std::vector<StageRecord> stages;              ///< in the order of run.json
  const StageRecord* find(const std::string& stage) const;
};

/// Throws Error naming the folder, or the file and key, for what is not a run folder, is one of
/// another format, or is not as the executor writes it: also for a stage whose name leads out of
/// the folder. Stages that are not finished come with what they have so far.
RunRecord read_run(const std::string& directory);

}  // namespace limbeck::report
