#include "apps/report_overview.h"

#include <algorithm>
#include <cmath>

#include "apps/console.h"
#include "apps/report_text.h"
#include "tensor/error.h"

namespace limbeck::report {
namespace {

/// Whether anything in the group was measured more than once.
std::string repetitions_note(const std::vector<Subject>& subjects) {
  for (const Subject& s : subjects)
    if (s.stages.size() > 1)
      return "Mean ± sample standard deviation over seeds; n: number of values.";
  return {};
}

std::string bytes_text(double bytes) {
  return bytes > 0 ? format_bytes(static_cast<int64_t>(bytes)) : "-";
}

std::string tenths(double value) { return format_number(std::round(10 * value) / 10); }

}  // namespace

Table fakes_table(const Group& group) {
  const std::vector<Subject> subjects = subjects_of(group);
  Table t{cat("Generated images", in_group(group)),
          repetitions_note(subjects),
          {"what", "measure", "value", "n"},
          {},
          2};
  for (const Subject& s : subjects)
    for (const auto& [key, what] : measures_of(s, "fakes")) {
      const Summary summary = summarise(s.values(key, what));
      t.rows.push_back(
          {s.name, key, format_with_unit(summary, what.unit), std::to_string(summary.n)});
    }
  return t;
}

Table full_table(const Group& group) {
  const std::vector<Subject> subjects = subjects_of(group);
  Table t{cat("Every number", in_group(group)),
          repetitions_note(subjects),
          {"what", "kind", "key", "value", "n"},
          {},
          3};
  for (const Subject& s : subjects)
    for (const auto& [key, what] : measures_of(s, "")) {
      const Summary summary = summarise(s.values(key, what));
      t.rows.push_back({s.name, what.kind, key, format_with_unit(summary, what.unit),
                        std::to_string(summary.n)});
    }
  return t;
}

Table times_table(const Group& group) {
  const std::vector<Subject> subjects = subjects_of(group);
  bool on_device = false;
  for (const Subject& subject : subjects)
    for (const auto& [repetition, stage] : subject.stages)
      on_device = on_device || stage->device_peak_bytes > 0;
  Table t{cat("Wall time and memory", in_group(group)),
          "Mean time over n stages, largest memory; more sessions than stages: some were "
          "interrupted.",
          {"what", "time", "seconds", "memory"},
          {},
          1};
  if (on_device) t.header.push_back("on the device");
  t.header.insert(t.header.end(), {"n", "sessions"});
  const auto add = [&](const std::string& name, double seconds, double memory, double device_memory,
                       int64_t n, int64_t sessions) {
    std::vector<Cell> row{name, format_duration(seconds), tenths(seconds), bytes_text(memory)};
    if (on_device) row.push_back(bytes_text(device_memory));
    row.insert(row.end(), {std::to_string(n), std::to_string(sessions)});
    t.rows.push_back(row);
  };
  double total = 0, memory = 0, device_memory = 0;
  int64_t stages = 0, all_sessions = 0;
  for (const Subject& subject : subjects) {
    std::vector<double> seconds;
    double peak = 0, device_peak = 0;
    int64_t sessions = 0;
    for (const auto& [repetition, stage] : subject.stages) {
      if (stage->sessions == 0) continue;
      seconds.push_back(stage->seconds), sessions += stage->sessions, total += stage->seconds;
      peak = std::max(peak, stage->peak_bytes);
      device_peak = std::max(device_peak, stage->device_peak_bytes);
    }
    if (seconds.empty()) continue;
    const Summary s = summarise(seconds);
    add(subject.name, s.mean, peak, device_peak, s.n, sessions);
    memory = std::max(memory, peak), device_memory = std::max(device_memory, device_peak);
    stages += s.n, all_sessions += sessions;
  }
  if (!t.rows.empty()) add("sum, largest", total, memory, device_memory, stages, all_sessions);
  return t;
}

Table settings_table(const std::vector<RunRecord>& runs) {
  Table t{"Settings in which the runs differ", "", {"key"}, {}, runs.size() + 1};
  for (const auto& run : runs) t.header.push_back(run.directory);
  for (const auto& [key, values] : differing_settings(runs)) {
    std::vector<Cell> row{key};
    row.insert(row.end(), values.begin(), values.end());
    t.rows.push_back(row);
  }
  return t;
}

}  // namespace limbeck::report
