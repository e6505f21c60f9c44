// What a report knows: the run folders (apps/executor.h) as records, and their numbers over several runs as mean and deviation.
#pragma once
#include <map>
#include <string>
#include <vector>

namespace limbeck::report {

/// One curve: a key of metrics.jsonl over its steps; lines without the key (or with null) are left out.
struct Series {
  std::vector<double> x, y;
};

struct StageRecord {
  std::string name, title;
  bool finished = false;
  std::map<std::string, double> results;
  std::vector<std::string> metric_keys;       ///< in order of first appearance
  std::map<std::string, Series> metrics;
  std::vector<std::string> images;            ///< paths of PNG files, sorted
  double seconds = 0;
  int sessions = 0;
};

struct RunRecord {
  std::string directory, config;              ///< config: the text of config.toml
  std::vector<StageRecord> stages;            ///< in the order of run.json
  const StageRecord* find(const std::string& stage) const;
};

/// Throws Error naming the folder or file for what is not a run folder, or not as the executor writes it. Stages that are not
/// finished come with what they have so far.
RunRecord read_run(const std::string& directory);

/// Mean and sample deviation (n - 1) over the runs that have the value and where it is finite; deviation is 0 for n = 1.
struct Summary {
  int n = 0;
  double mean = 0, deviation = 0;
};
Summary summarise(const std::vector<double>& values);

/// A stage's name and title with one value per run that finished it.
struct ResultRow {
  std::string stage, title, key;
  std::vector<double> values;   ///< one per run, NaN where it is missing
  Summary summary;
};
/// Every result of every finished stage, stages in order of first appearance, keys sorted.
std::vector<ResultRow> result_rows(const std::vector<RunRecord>& runs);

/// "key = value" of config.toml with its section in front, for those keys in which the runs differ: key -> one text per run.
std::vector<std::pair<std::string, std::vector<std::string>>> differing_settings(const std::vector<RunRecord>& runs);

/// Shares ("accuracy", "consistency", ...: values in [0, 1] by key) read better in percent.
bool is_share(const std::string& key);
/// "71.25 ± 0.40" (percent for shares, four significant digits otherwise); "-" for n = 0.
std::string format_summary(const std::string& key, const Summary& s);
std::string format_value(const std::string& key, double value);

}  // namespace limbeck::report
