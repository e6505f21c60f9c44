#include "apps/run_plan.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "tensor/error.h"
#include "tensor/random.h"
#include "tensor/safetensors.h"

namespace limbeck {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

/// Goes into every fingerprint; raise it when stages mean something else by the same settings.
constexpr const char* format_version = "limbeck stage 3";

std::string hex(uint64_t v) {
  char text[20];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(v));
  return text;
}

const kd::Stage& find_stage(const std::vector<kd::Stage>& stages, const std::string& name,
                            const std::string& who) {
  std::vector<std::string> names;
  for (const auto& s : stages) {
    if (s.name == name) return s;
    names.push_back(s.name);
  }
  fail(who, ": unknown stage '", name, "'", did_you_mean(name, names));
}

const PlannedStage* find_planned(const std::vector<PlannedStage>& plan, const std::string& name) {
  for (const auto& p : plan)
    if (p.stage->name == name) return &p;
  return nullptr;
}

/// Depth first: needs before the stage, otherwise in the given order.
class Planner {
 public:
  explicit Planner(const std::vector<kd::Stage>& stages) : stages_(stages) {
    std::set<std::string> names;
    for (const auto& s : stages)
      LIMBECK_CHECK(names.insert(s.name).second, "workflow: two stages are named '", s.name, "'");
  }
  void add(const kd::Stage& stage) {
    if (done_.count(stage.name)) return;
    LIMBECK_CHECK(open_.insert(stage.name).second, "workflow: stage '", stage.name,
                  "' needs itself");
    for (const auto& need : stage.needs) add(find_stage(stages_, need, cat("stage ", stage.name)));
    done_.insert(stage.name);
    order_.push_back(&stage);
  }
  const std::vector<const kd::Stage*>& order() const { return order_; }

 private:
  const std::vector<kd::Stage>& stages_;
  std::set<std::string> open_, done_;
  std::vector<const kd::Stage*> order_;
};

/// Labels, and the name under "stage".
std::string label_of(const kd::Stage& stage, const std::string& key) {
  if (key == "stage") return stage.name;
  const auto found = stage.labels.find(key);
  return found == stage.labels.end() ? std::string() : found->second;
}

/// "key=value" of --only, both known to the graph.
std::pair<std::string, std::string> read_condition(const std::vector<kd::Stage>& stages,
                                                   const std::string& text,
                                                   const std::string& option) {
  const size_t equals = text.find('=');
  LIMBECK_CHECK(equals != std::string::npos, option, ": expected key=value, found '", text, "'");
  const std::string key = text.substr(0, equals), value = text.substr(equals + 1);
  std::set<std::string> keys{"stage"}, values;
  for (const auto& s : stages) {
    for (const auto& [k, v] : s.labels) keys.insert(k);
    values.insert(label_of(s, key));
  }
  values.erase("");
  const std::vector<std::string> key_list(keys.begin(), keys.end()),
      value_list(values.begin(), values.end());
  LIMBECK_CHECK(keys.count(key), option, ": no stage has a '", key, "'",
                did_you_mean(key, key_list, "; there are: " + joined(key_list)));
  LIMBECK_CHECK(values.count(value), option, ": no stage has ", key, " '", value, "'",
                did_you_mean(value, value_list, "; there are: " + joined(value_list)));
  return {key, value};
}

/// How far the stage is on disk.
void judge(PlannedStage& p, const std::vector<PlannedStage>& before, const std::string& directory) {
  const std::string folder = stage_folder(directory, p.stage->name);
  const std::string fingerprint = json_text(folder + "/stage.json", "fingerprint");
  if (fingerprint == p.fingerprint) {
    p.state = StageState::unfinished;
    if (json_text(folder + "/done.json", "fingerprint") == p.fingerprint) {
      p.state = StageState::finished;
    } else if (json_text(folder + "/failed.json", "fingerprint") == p.fingerprint) {
      p.state = StageState::failed;
      p.why = json_text(folder + "/failed.json", "error");
    }
  } else if (!fingerprint.empty()) {
    p.state = StageState::changed;
    p.why = changed_keys(json_text(folder + "/stage.json", "settings"), p.stage->settings);
    for (const auto& other : before)
      if (p.why.empty() && other.state != StageState::finished &&
          std::count(p.stage->needs.begin(), p.stage->needs.end(), other.stage->name))
        p.why = other.stage->name;
    if (p.why.empty()) p.why = "what it needs";
  }
}

/// One entry of run.json; throws nlohmann's exceptions for missing keys and wrong types.
kd::Stage recorded_stage(const json& entry) {
  kd::Stage stage;
  entry.at("name").get_to(stage.name);
  entry.at("title").get_to(stage.title);
  entry.at("needs").get_to(stage.needs);
  entry.at("labels").get_to(stage.labels);
  return stage;
}

}  // namespace

std::vector<const kd::Stage*> stages_with_labels(const std::vector<kd::Stage>& stages,
                                                 const std::string& only,
                                                 const std::string& option) {
  std::vector<const kd::Stage*> chosen;
  for (const auto& s : stages) chosen.push_back(&s);
  std::istringstream in(only);
  for (std::string text; std::getline(in, text, ',');) {
    const auto [key, value] = read_condition(stages, text, option);
    std::erase_if(chosen, [&key = key, &value = value](const kd::Stage* s) {
      return label_of(*s, key) != value;
    });
  }
  LIMBECK_CHECK(!only.empty() && !chosen.empty(), option, " '", only,
                "': no stage has all of these");
  return chosen;
}

std::vector<PlannedStage> plan_stages(const std::vector<kd::Stage>& stages,
                                      const std::string& directory, const Selection& selection) {
  Planner planner(stages);
  if (selection.stop_after.empty() && selection.only.empty())
    for (const auto& s : stages) planner.add(s);
  if (!selection.stop_after.empty())
    planner.add(find_stage(stages, selection.stop_after, "--stop-after"));
  for (const auto& only : selection.only)
    for (const kd::Stage* s : stages_with_labels(stages, only, "--only")) planner.add(*s);
  std::vector<PlannedStage> plan;
  for (const kd::Stage* s : planner.order()) {
    PlannedStage p{s, {}, StageState::missing, {}};
    for (const auto& need : s->needs)
      p.needs += cat("need ", need, " = ", find_planned(plan, need)->fingerprint, "\n");
    p.fingerprint = fingerprint_of(*s, s->settings, p.needs);
    judge(p, plan, directory);
    plan.push_back(p);
  }
  return plan;
}

std::string fingerprint_of(const kd::Stage& stage, const std::string& settings,
                           const std::string& needs) {
  return hex(fnv1a(cat(format_version, "\nname = ", stage.name, "\n", settings, "\n", needs)));
}

std::string overview_text(const std::vector<PlannedStage>& plan) {
  ordered_json list = ordered_json::array();
  for (const auto& p : plan)
    list.push_back({{"name", p.stage->name},
                    {"title", p.stage->title},
                    {"needs", p.stage->needs},
                    {"fingerprint", p.fingerprint},
                    {"labels", p.stage->labels}});
  return ordered_json{{"format", run_format}, {"stages", list}}.dump(2) + "\n";
}

RecordedRun read_recorded_run(const std::string& directory, int oldest) {
  check_run_format(directory, oldest);
  const std::string path = directory + "/run.json";
  const json read = json::parse(read_file(path), nullptr, false);
  RecordedRun run;
  try {
    for (const auto& entry : read["stages"]) run.stages.push_back(recorded_stage(entry));
    size_t i = 0;
    for (const auto& entry : read["stages"])
      run.plan.push_back(
          {&run.stages[i++], entry.at("fingerprint").get<std::string>(), StageState::missing, {}});
  } catch (const json::exception& e) {
    fail(path, ": malformed: ", e.what());
  }
  for (auto& p : run.plan) {
    judge(p, {}, directory);
    for (const auto& need : p.stage->needs)
      LIMBECK_CHECK(find_planned(run.plan, need), path, ": malformed: stage ", p.stage->name,
                    " needs '", need, "', which is not listed");
  }
  return run;
}

void expect_continuable(const std::string& directory) {
  if (std::filesystem::exists(directory + "/run.json")) read_recorded_run(directory, run_format);
}

bool all_finished(const std::vector<PlannedStage>& plan) {
  return std::all_of(plan.begin(), plan.end(),
                     [](const PlannedStage& p) { return p.state == StageState::finished; });
}

bool is_runnable(const PlannedStage& p, const std::vector<PlannedStage>& plan) {
  if (p.state == StageState::finished || p.state == StageState::failed) return false;
  return std::all_of(p.stage->needs.begin(), p.stage->needs.end(), [&](const std::string& need) {
    return find_planned(plan, need)->state == StageState::finished;
  });
}

std::vector<std::string> failed_needs(const PlannedStage& p,
                                      const std::vector<PlannedStage>& plan) {
  std::vector<std::string> names;
  for (const auto& name : p.stage->needs) {
    const PlannedStage& need = *find_planned(plan, name);
    if (need.state == StageState::finished) continue;
    for (const auto& failed : need.state == StageState::failed ? std::vector<std::string>{name}
                                                               : failed_needs(need, plan))
      if (!std::count(names.begin(), names.end(), failed)) names.push_back(failed);
  }
  return names;
}

std::string failure_summary(const std::vector<PlannedStage>& plan) {
  std::vector<std::string> failed, held;
  for (const auto& p : plan) {
    if (p.state == StageState::failed)
      failed.push_back(cat(p.stage->name, " (", p.why, ")"));
    else if (p.state != StageState::finished && !failed_needs(p, plan).empty())
      held.push_back(p.stage->name);
  }
  if (failed.empty()) return {};
  const bool one = failed.size() == 1;
  return cat(one ? "stage failed: " : "stages failed: ", joined(failed),
             held.empty() ? ""
             : one        ? "; not run because of it: "
                          : "; not run because of them: ",
             joined(held));
}

std::map<std::string, std::string> lines_of(const std::string& text) {
  std::map<std::string, std::string> map;
  std::istringstream in(text);
  std::string section;
  for (std::string line; std::getline(in, line);) {
    if (line.empty()) continue;
    const size_t equals = line.find(" = ");
    if (line[0] == '[')
      section = line.substr(1, line.find(']') - 1) + ".";
    else
      map[section + line.substr(0, equals)] =
          equals == std::string::npos ? std::string() : line.substr(equals + 3);
  }
  return map;
}

std::string changed_keys(const std::string& before, const std::string& after) {
  auto a = lines_of(before);
  for (const auto& [key, value] : lines_of(after))
    if (a.count(key) && a[key] == value)
      a.erase(key);
    else
      a[key] = "";
  std::string keys;
  int count = 0;
  for (const auto& [key, value] : a)
    if (++count <= 3) keys += (count > 1 ? ", " : "") + key;
  return count > 3 ? cat(keys, " and ", count - 3, " more") : keys;
}

}  // namespace limbeck
