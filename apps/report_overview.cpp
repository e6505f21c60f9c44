#include "apps/report_overview.h"

#include <cmath>

#include "apps/console.h"
#include "apps/report_text.h"
#include "tensor/error.h"

namespace limbeck::report {
namespace {

std::string title_for(const char* what, const Group& group) {
  return group.name.empty() ? what : cat(what, " of ", group.name);
}

/// Whether anything in the group was measured more than once.
std::string repetitions_note(const std::vector<Subject>& subjects) {
  for (const Subject& s : subjects)
    if (s.stages.size() > 1)
      return "Mean ± sample standard deviation over seeds; n: number of values.";
  return {};
}

std::string tenths(double value) { return format_number(std::round(10 * value) / 10); }

}  // namespace

Table fakes_table(const Group& group) {
  const std::vector<Subject> subjects = subjects_of(group);
  Table t{title_for("Generated images", group),
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
  Table t{title_for("Every number", group),
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
  Table t{title_for("Wall time", group),
          "Mean over n stages; more sessions than stages: some were interrupted.",
          {"what", "time", "seconds", "n", "sessions"},
          {},
          1};
  double total = 0;
  int64_t stages = 0, all_sessions = 0;
  for (const Subject& subject : subjects_of(group)) {
    std::vector<double> seconds;
    int64_t sessions = 0;
    for (const auto& [repetition, stage] : subject.stages)
      if (stage->sessions > 0)
        seconds.push_back(stage->seconds), sessions += stage->sessions, total += stage->seconds;
    if (seconds.empty()) continue;
    const Summary s = summarise(seconds);
    t.rows.push_back({subject.name, format_duration(s.mean), tenths(s.mean), std::to_string(s.n),
                      std::to_string(sessions)});
    stages += s.n, all_sessions += sessions;
  }
  if (!t.rows.empty())
    t.rows.push_back({"sum", format_duration(total), tenths(total), std::to_string(stages),
                      std::to_string(all_sessions)});
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
