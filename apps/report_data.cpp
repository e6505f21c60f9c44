#include "apps/report_data.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "apps/console.h"
#include "apps/run_files.h"
#include "apps/run_plan.h"
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
      if (!value.is_number()) continue;
      s.x.push_back(j["step"].get<double>());
      s.y.push_back(value.get<double>());
    }
  }
}

StageRecord read_stage(const std::string& folder, const json& entry) {
  StageRecord stage;
  stage.name = entry.value("name", "");
  stage.title = entry.value("title", "");
  const std::string done = folder + "/done.json";
  stage.finished = fs::exists(done) && parse(done).value("fingerprint", "") == entry.value("fingerprint", "-");
  if (stage.finished)
    for (const auto& [key, r] : read_results(folder)) stage.results[key] = r.value;
  read_metrics(folder + "/metrics.jsonl", stage);
  if (fs::is_directory(folder + "/images"))
    for (const auto& file : fs::directory_iterator(folder + "/images"))
      if (file.path().extension() == ".png") stage.images.push_back(file.path().string());
  std::sort(stage.images.begin(), stage.images.end());
  return stage;
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
  read_recorded_run(directory);  // refuses what is no run, malformed, or of another format
  const json overview = parse(directory + "/run.json");
  if (fs::exists(directory + "/config.toml")) run.config = read_file(directory + "/config.toml");
  for (const auto& entry : overview.at("stages")) {
    StageRecord stage = read_stage(directory + "/stages/" + entry.value("name", ""), entry);
    const StageTimes times = read_times(stage_folder(directory, stage.name));
    stage.seconds = times.seconds;
    stage.sessions = times.sessions;
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
