#include "apps/report_data.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "apps/console.h"
#include "apps/executor.h"
#include "tensor/error.h"
#include "tensor/safetensors.h"

namespace limbeck::report {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

json parse(const std::string& path) {
  json j = json::parse(read_file(path), nullptr, false);
  LIMBECK_CHECK(!j.is_discarded(), path, ": not JSON");
  return j;
}

/// The member `key` of an object in the file `path`; throws naming both when it is missing or of another type.
const json& member(const json& object, const char* key, json::value_t type, const std::string& path) {
  LIMBECK_CHECK(object.is_object(), path, ": expected an object with \"", key, "\", found ", object.type_name());
  const auto found = object.find(key);
  LIMBECK_CHECK(found != object.end(), path, ": \"", key, "\" is missing");
  LIMBECK_CHECK(found->type() == type, path, ": \"", key, "\": expected ", json(type).type_name(), ", found ", found->type_name());
  return *found;
}

std::string text_member(const json& object, const char* key, const std::string& path) {
  return member(object, key, json::value_t::string, path).get<std::string>();
}

/// A number of at least 0, or 0 where it is missing.
double amount(const json& object, const char* key, const std::string& path) {
  const json value = object.value(key, json(0));
  LIMBECK_CHECK(value.is_number() && value.get<double>() >= 0 && value.get<double>() <= 1e9, path, ": \"", key, "\": expected a number in [0, 1e9], found ",
                value.is_number() ? value.dump() : value.type_name());
  return value.get<double>();
}

void read_metrics(const std::string& path, StageRecord& stage) {
  if (!fs::exists(path)) return;
  std::istringstream in(read_file(path));
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    const json j = json::parse(line, nullptr, false);
    if (j.is_discarded() && !stage.finished && in.peek() == EOF) break;  // the line that a running stage is writing
    LIMBECK_CHECK(j.is_object() && j.contains("step") && j["step"].is_number(), path, ":", number, ": expected an object with \"step\"");
    for (const auto& [key, value] : j.items()) {
      if (key == "step") continue;
      if (!stage.metrics.count(key)) stage.metric_keys.push_back(key);
      Series& s = stage.metrics[key];
      LIMBECK_CHECK(value.is_number() || value.is_null(), path, ":", number, ": \"", key, "\": expected a number or null, found ", value.type_name());
      if (value.is_null()) continue;
      s.x.push_back(j["step"].get<double>());
      s.y.push_back(value.get<double>());
    }
  }
}

/// One stage of the run in `directory`, whose run.json has this entry.
StageRecord read_stage(const std::string& directory, const json& entry) {
  const std::string overview = directory + "/run.json";
  StageRecord stage;
  stage.name = text_member(entry, "name", overview);
  stage.title = text_member(entry, "title", overview);
  const std::string folder = directory + "/stages/" + stage.name, done = folder + "/done.json";
  stage.finished = fs::exists(done) && text_member(parse(done), "fingerprint", done) == text_member(entry, "fingerprint", overview);
  if (stage.finished) stage.results = read_results(folder);
  read_metrics(folder + "/metrics.jsonl", stage);
  if (fs::is_directory(folder + "/images"))
    for (const auto& file : fs::directory_iterator(folder + "/images"))
      if (file.path().extension() == ".png") stage.images.push_back(file.path().string());
  std::sort(stage.images.begin(), stage.images.end());
  return stage;
}

/// Wall time and sessions of a stage, where times.json has them.
void read_times(const json& times, const std::string& path, StageRecord& stage) {
  const json& stages = member(times, "stages", json::value_t::object, path);
  if (!stages.contains(stage.name)) return;
  const json& t = member(stages, stage.name.c_str(), json::value_t::object, path);
  stage.seconds = amount(t, "seconds", path);
  stage.sessions = static_cast<int>(amount(t, "sessions", path));
}

std::map<std::string, std::string> settings_of(const RunRecord& run) {
  std::map<std::string, std::string> settings;
  std::istringstream in(run.config);
  std::string section;
  for (std::string line; std::getline(in, line);) {
    const size_t equals = line.find(" = ");
    if (!line.empty() && line[0] == '[') section = line.substr(1, line.find(']') - 1) + ".";
    else if (equals != std::string::npos) settings[section + line.substr(0, equals)] = line.substr(equals + 3);
  }
  return settings;
}

}  // namespace

const StageRecord* RunRecord::find(const std::string& stage) const {
  for (const auto& s : stages)
    if (s.name == stage) return &s;
  return nullptr;
}

RunRecord read_run(const std::string& directory) {
  RunRecord run;
  run.directory = directory;
  LIMBECK_CHECK(fs::exists(directory + "/run.json"), directory, ": not a run folder (it has no run.json)");
  const json overview = parse(directory + "/run.json");
  if (fs::exists(directory + "/config.toml")) run.config = read_file(directory + "/config.toml");
  const std::string times_path = directory + "/times.json";
  const json times = fs::exists(times_path) ? parse(times_path) : json();
  for (const auto& entry : member(overview, "stages", json::value_t::array, directory + "/run.json")) {
    StageRecord stage = read_stage(directory, entry);
    if (!times.is_null()) read_times(times, times_path, stage);
    run.stages.push_back(std::move(stage));
  }
  return run;
}

Summary summarise(const std::vector<double>& values) {
  Summary s;
  for (const double v : values)
    if (std::isfinite(v)) ++s.n, s.mean += v;
  if (s.n == 0) return s;
  s.mean /= s.n;
  for (const double v : values)
    if (std::isfinite(v)) s.deviation += (v - s.mean) * (v - s.mean);
  s.deviation = s.n > 1 ? std::sqrt(s.deviation / (s.n - 1)) : 0;
  return s;
}

std::vector<ResultRow> result_rows(const std::vector<RunRecord>& runs) {
  std::vector<const StageRecord*> order;
  for (const auto& run : runs)
    for (const auto& stage : run.stages)
      if (std::none_of(order.begin(), order.end(), [&](const StageRecord* s) { return s->name == stage.name; })) order.push_back(&stage);
  std::vector<ResultRow> rows;
  for (const StageRecord* stage : order) {
    std::map<std::string, std::vector<double>> values;
    for (size_t i = 0; i < runs.size(); ++i)
      if (const StageRecord* s = runs[i].find(stage->name))
        for (const auto& [key, value] : s->results) {
          auto& list = values[key];
          list.resize(runs.size(), std::nan(""));
          list[i] = value;
        }
    for (const auto& [key, list] : values) rows.push_back({stage->name, stage->title, key, list, summarise(list)});
  }
  return rows;
}

std::vector<std::pair<std::string, std::vector<std::string>>> differing_settings(const std::vector<RunRecord>& runs) {
  std::map<std::string, std::vector<std::string>> all;
  for (size_t i = 0; i < runs.size(); ++i)
    for (const auto& [key, value] : settings_of(runs[i])) {
      all[key].resize(runs.size());
      all[key][i] = value;
    }
  std::vector<std::pair<std::string, std::vector<std::string>>> differing;
  for (const auto& [key, values] : all)
    if (std::any_of(values.begin(), values.end(), [&](const std::string& v) { return v != values[0]; })) differing.emplace_back(key, values);
  return differing;
}

bool is_share(const std::string& key) {
  for (const char* word : {"accuracy", "consistency", "acceptance", "table6"})
    if (key.find(word) != std::string::npos) return true;
  return false;
}

std::string format_value(const std::string& key, double value) {
  if (!std::isfinite(value)) return "-";
  if (!is_share(key)) return format_number(value);
  char text[32];
  std::snprintf(text, sizeof text, "%.2f %%", 100 * value);
  return text;
}

std::string format_summary(const std::string& key, const Summary& s) {
  if (s.n == 0) return "-";
  if (s.n == 1) return format_value(key, s.mean);
  char text[64];
  if (is_share(key)) std::snprintf(text, sizeof text, "%.2f ± %.2f %%", 100 * s.mean, 100 * s.deviation);
  else return cat(format_number(s.mean), " ± ", format_number(s.deviation));
  return text;
}

}  // namespace limbeck::report
