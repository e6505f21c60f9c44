#include "apps/report_groups.h"

#include <algorithm>
#include <set>

#include "apps/report_text.h"
#include "tensor/error.h"

namespace limbeck::report {
namespace {

using SettingMap = std::map<std::string, std::string>;

SettingMap without_seeds(SettingMap settings) {
  settings.erase("seed");
  settings.erase("plan.seeds");
  return settings;
}

std::string value_in(const SettingMap& settings, const std::string& key) {
  const auto found = settings.find(key);
  return found == settings.end() ? "-" : found->second;
}

SettingsByRun differing(const std::vector<SettingMap>& maps) {
  std::set<std::string> keys;
  for (const auto& settings : maps)
    for (const auto& [key, value] : settings) keys.insert(key);
  SettingsByRun out;
  for (const auto& key : keys) {
    std::vector<std::string> values;
    for (const auto& settings : maps) values.push_back(value_in(settings, key));
    if (std::any_of(values.begin(), values.end(),
                    [&](const std::string& v) { return v != values[0]; }))
      out.emplace_back(key, values);
  }
  return out;
}

std::string capitals(std::string text) {
  for (char& c : text)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return text;
}

Subject new_subject(const StageRecord& stage) {
  Subject s;
  s.name = stage.name, s.title = stage.title;
  s.role = stage.label("role");
  const std::string model = stage.label("model");
  if (s.role == "teacher") s.model = model;
  if (s.is_of_student()) {
    s.pair = stage.label("pair", model);
    s.method = stage.label("method", "none"), s.fakes = stage.label("fakes", "none");
    s.row = student_name(stage);
    s.name = s.pair.empty() ? s.row : cat(s.row, " (", s.pair, ")");
  } else if ((s.role == "teacher" || s.role == "judge") && !model.empty()) {
    s.name = cat(s.role, " ", model);
  }
  return s;
}

bool same_subject(const Subject& a, const Subject& b) {
  if (a.role != b.role) return false;
  if (a.is_of_student()) return a.pair == b.pair && a.method == b.method && a.fakes == b.fakes;
  return a.name == b.name;
}

Subject& subject_of(const StageRecord& stage, std::vector<Subject>& subjects) {
  Subject s = new_subject(stage);
  const auto found = std::find_if(subjects.begin(), subjects.end(),
                                  [&](const Subject& other) { return same_subject(s, other); });
  return found != subjects.end() ? *found : subjects.emplace_back(std::move(s));
}

}  // namespace

SettingsByRun differing_settings(const std::vector<RunRecord>& runs) {
  std::vector<SettingMap> maps;
  for (const auto& run : runs) maps.push_back(run.settings);
  return differing(maps);
}

std::vector<Group> group_runs(const std::vector<RunRecord>& runs) {
  std::vector<Group> groups;
  std::vector<SettingMap> keys;
  for (const auto& run : runs) {
    const SettingMap key = without_seeds(run.settings);
    const auto at = static_cast<size_t>(std::find(keys.begin(), keys.end(), key) - keys.begin());
    if (at == keys.size()) keys.push_back(key), groups.emplace_back();
    groups[at].runs.push_back(run);
  }
  for (size_t i = 0; i < groups.size() && groups.size() > 1; ++i)
    groups[i].name = cat("group ", i + 1);
  for (const auto& [key, values] : differing(keys))
    for (size_t i = 0; i < groups.size(); ++i) groups[i].settings.emplace_back(key, values[i]);
  return groups;
}

std::string in_group(const Group& group) {
  return group.name.empty() ? "" : cat(" of ", group.name);
}

std::string describe_settings(const Group& group) {
  constexpr size_t shown = 12;
  std::string text;
  for (size_t i = 0; i < std::min(shown, group.settings.size()); ++i)
    text += cat(i ? ", " : "", group.settings[i].first, " = ", group.settings[i].second);
  return group.settings.size() > shown ? cat(text, " and ", group.settings.size() - shown, " more")
                                       : text;
}

Repeated Subject::values(const std::string& key, const kd::Result& like) const {
  Repeated out;
  for (const auto& [repetition, stage] : stages)
    if (const auto found = stage->results.find(key);
        found != stage->results.end() && found->second.unit == like.unit &&
        found->second.better == like.better && found->second.kind == like.kind)
      out[repetition] = found->second.value;
  return out;
}

std::vector<Subject> subjects_of(const Group& group) {
  std::vector<Subject> subjects;
  for (const RunRecord& run : group.runs) {
    std::set<const StageRecord*> own;  // the stages of this run that stand for a repetition
    const auto seed = run.settings.find("seed");
    const std::string run_seed = seed == run.settings.end() ? run.directory : seed->second;
    for (const StageRecord& stage : run.stages) {
      Subject& subject = subject_of(stage, subjects);
      const StageRecord*& held = subject.stages[{run_seed, stage.label("seed")}];
      LIMBECK_CHECK(!held || !own.count(held), run.directory, "/run.json: stages ", stage.name,
                    " and ", held->name, " have the same labels");
      if (held && (held->finished || !stage.finished)) continue;
      held = &stage;
      own.insert(&stage);
    }
  }
  return subjects;
}

std::string teacher_of(const std::string& pair) { return pair.substr(0, pair.find(" > ")); }
std::string student_of(const std::string& pair) { return pair.substr(pair.find(" > ") + 3); }

std::string student_name(const StageRecord& stage) {
  const std::string key = stage.label("method", "none"), fakes = stage.label("fakes", "none");
  const std::string method = key == "none" ? "" : stage.label("method_name", capitals(key));
  const std::string alone = method.empty() ? "NOKD" : method;
  if (fakes == "none") return alone;
  if (fakes == "equal") return alone + ", equal steps";
  return cat("cGAN-KD", fakes == "m2" ? "" : " (" + fakes + ")",
             method.empty() ? "" : " + " + method);
}

std::vector<Measure> measures_of(const Subject& subject, const std::string& kind) {
  std::vector<Measure> list;
  for (const auto& [repetition, stage] : subject.stages)
    for (const auto& [key, result] : stage->results) {
      Measure m{key, result};
      m.what.value = 0;
      if ((kind.empty() || result.kind == kind) &&
          std::find(list.begin(), list.end(), m) == list.end())
        list.push_back(m);
    }
  return list;
}

}  // namespace limbeck::report
