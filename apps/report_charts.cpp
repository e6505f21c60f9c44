#include "apps/report_charts.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "apps/report_svg.h"
#include "tensor/error.h"

namespace limbeck::report {
namespace {

/// What tells the charts of a subject apart, and the name of each: its key, or what its keys share.
struct Chart {
  std::string group;
  std::vector<std::string> keys;
};

/// A result of the subject named like the curve, if there is one.
const kd::Result* result_for(const Subject& subject, const std::string& key) {
  for (const auto& [repetition, stage] : subject.stages)
    if (const auto found = stage->results.find(key); found != stage->results.end())
      return &found->second;
  return nullptr;
}

std::string chart_group(const Subject& subject, const std::string& key) {
  if (const size_t slash = key.find('/'); slash != std::string::npos)
    return "/" + key.substr(0, slash);
  const kd::Result* result = result_for(subject, key);
  if (result && !result->unit.empty() && result->better != kd::Better::neither)
    return cat(result->unit, "\n", name_of(result->better));
  return "=" + key;
}

std::vector<Chart> charts_of(const Subject& subject) {
  std::vector<Chart> charts;
  for (const auto& [repetition, stage] : subject.stages)
    for (const auto& key : stage->metric_keys) {
      const std::string group = chart_group(subject, key);
      auto found = std::find_if(charts.begin(), charts.end(),
                                [&](const Chart& c) { return c.group == group; });
      if (found == charts.end()) found = charts.insert(charts.end(), {group, {}});
      if (!std::count(found->keys.begin(), found->keys.end(), key)) found->keys.push_back(key);
    }
  return charts;
}

void add_lines(std::vector<Line>& lines, const Subject& subject, const std::string& key,
               const std::string& label) {
  for (const auto& [repetition, stage] : subject.stages)
    if (const auto found = stage->metrics.find(key); found != stage->metrics.end())
      lines.push_back({label, found->second});
}

template <class List>
void add_missing(List& list, const std::string& text) {
  if (std::find(list.begin(), list.end(), text) == list.end()) list.push_back(text);
}

/// The students of a pair, and the teachers, with their names there.
std::vector<Line> lines_of_pair(const std::vector<Subject>& subjects, const std::string& pair,
                                const std::string& key) {
  std::vector<Line> lines;
  for (const Subject& s : subjects)
    if (s.role == "student" && s.pair == pair)
      add_lines(lines, s, key, s.row);
    else if (s.role == "teacher" && s.model == teacher_of(pair))
      add_lines(lines, s, key, s.name);
  return lines;
}

}  // namespace

std::string subject_charts(const Subject& subject) {
  std::string out;
  for (const Chart& chart : charts_of(subject)) {
    std::vector<Line> lines;
    for (const auto& key : chart.keys) add_lines(lines, subject, key, key);
    std::string name;
    for (const auto& key : chart.keys) name += (name.empty() ? "" : ", ") + key;
    if (chart.group[0] == '/') name = chart.group.substr(1);
    out += line_chart(cat(subject.name, ": ", name), "step", lines);
  }
  return out;
}

std::string comparison_charts(const Group& group) {
  const std::vector<Subject> subjects = subjects_of(group);
  std::vector<std::string> pairs, keys;
  for (const Subject& s : subjects) {
    if (s.role != "student") continue;
    add_missing(pairs, s.pair);
    for (const Measure& m : measures_of(s, "test")) add_missing(keys, m.key);
  }
  std::string out;
  for (const auto& key : keys)
    for (const auto& pair : pairs)
      out += line_chart(pair.empty() ? key : cat(key, ", ", pair), "epoch",
                        lines_of_pair(subjects, pair, key));
  return out;
}

std::string consistency_chart(const StageRecord& stage) {
  // One step per class; a number that is null there is missing, and its bar too.
  std::map<double, std::array<double, 4>> classes;
  size_t place = 0;
  for (const char* key : {"candidates_consistent", "candidates", "kept_consistent", "kept"}) {
    if (!stage.metrics.count(key)) return {};
    const Series& series = stage.metrics.at(key);
    for (size_t i = 0; i < series.x.size(); ++i)
      classes.try_emplace(series.x[i], std::array<double, 4>{NAN, NAN, NAN, NAN})
          .first->second[place] = series.y[i];
    ++place;
  }
  std::vector<BarGroup> groups;
  bool any = false;
  for (const auto& [step, n] : classes) {
    groups.push_back({std::to_string(groups.size()), {100 * n[0] / n[1], 100 * n[2] / n[3]}});
    any |= std::isfinite(groups.back().values[0]) || std::isfinite(groups.back().values[1]);
  }
  if (!any) return {};
  return bar_chart(cat(stage.name, ": label consistency per class, %"),
                   {"before filtering", "after filtering"}, groups);
}

}  // namespace limbeck::report
