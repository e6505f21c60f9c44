#include "apps/report_data.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "apps/report_text.h"
#include "apps/run_files.h"
#include "apps/stage_files.h"
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

/// The member `key` of an object in the file `path`; throws naming both when it is missing or of
/// another type.
const json& member(const json& object, std::string_view key, json::value_t type,
                   std::string_view path) {
  LIMBECK_CHECK(object.is_object(), path, ": expected an object with \"", printable(key),
                "\", found ", object.type_name());
  const auto found = object.find(std::string(key));
  LIMBECK_CHECK(found != object.end(), path, ": \"", printable(key), "\" is missing");
  LIMBECK_CHECK(found->type() == type, path, ": \"", printable(key), "\": expected ",
                json(type).type_name(), ", found ", found->type_name());
  return *found;
}

std::string text_member(const json& object, const std::string& key, const std::string& path) {
  return member(object, key, json::value_t::string, path).get<std::string>();
}

/// A number of at least 0, or 0 where it is missing.
double amount(const json& object, const char* key, const std::string& path,
              const char* most = "1e9") {
  LIMBECK_CHECK(object.is_object(), path, ": expected an object with \"", key, "\", found ",
                object.type_name());
  const json value = object.value(key, json(0));
  LIMBECK_CHECK(value.is_number() && value.get<double>() >= 0 &&
                    value.get<double>() <= std::strtod(most, nullptr),
                path, ": \"", key, "\": expected a number in [0, ", most, "], found ",
                value.is_number() ? value.dump() : value.type_name());
  return value.get<double>();
}

/// kd/stage.h: letters, digits and . _ - +; neither "." nor "..".
bool is_folder_name(const std::string& name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string("._-+").find(c) != std::string::npos;
  };
  return !name.empty() && name != "." && name != ".." &&
         std::all_of(name.begin(), name.end(), allowed);
}

void read_labels(const json& entry, const std::string& overview, StageRecord& stage) {
  if (!entry.contains("labels")) return;
  const json& labels = member(entry, "labels", json::value_t::object, overview);
  for (const auto& [key, value] : labels.items())
    stage.labels[key] = text_member(labels, key, overview);
}

void read_metrics(const std::string& path, StageRecord& stage) {
  if (!fs::exists(path)) return;
  std::istringstream in(read_file(path));
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    const json j = json::parse(line, nullptr, false);
    if (j.is_discarded() && !stage.finished && in.peek() == EOF)
      break;  // the line that a running stage is writing
    LIMBECK_CHECK(j.is_object() && j.contains("step") && j["step"].is_number(), path, ":", number,
                  ": expected an object with \"step\"");
    for (const auto& [key, value] : j.items()) {
      if (key == "step") continue;
      if (!stage.metrics.count(key)) stage.metric_keys.push_back(key);
      Series& s = stage.metrics[key];
      LIMBECK_CHECK(value.is_number() || value.is_null(), path, ":", number, ": \"", printable(key),
                    "\": expected a number or null, found ", value.type_name());
      if (value.is_null()) continue;
      s.x.push_back(j["step"].get<double>());
      s.y.push_back(value.get<double>());
    }
  }
}

void read_times(const std::string& path, StageRecord& stage) {
  if (!fs::exists(path)) return;
  const json times = parse(path);
  stage.seconds = amount(times, "seconds", path);
  stage.sessions = static_cast<int>(amount(times, "sessions", path));
  constexpr const char* most_bytes = "1e15";
  stage.peak_bytes = amount(times, "peak_bytes", path, most_bytes);
  stage.device_peak_bytes = amount(times, "device_peak_bytes", path, most_bytes);
}

/// PNG files; a link may lead out of the run folder, and what it names would stand in the page.
std::vector<std::string> images_in(const std::string& folder) {
  std::vector<std::string> images;
  if (!fs::is_directory(folder)) return images;
  for (const auto& file : fs::directory_iterator(folder))
    if (file.path().extension() == ".png" && fs::is_regular_file(file.symlink_status()))
      images.push_back(file.path().string());
  std::sort(images.begin(), images.end());
  return images;
}

/// One stage of the run in `directory`, whose run.json has this entry.
StageRecord read_stage(const std::string& directory, const json& entry) {
  const std::string overview = directory + "/run.json";
  StageRecord stage;
  stage.name = text_member(entry, "name", overview);
  LIMBECK_CHECK(is_folder_name(stage.name), overview,
                ": \"name\": expected letters, digits and . _ - +, found '", printable(stage.name),
                "'");
  stage.title = text_member(entry, "title", overview);
  read_labels(entry, overview, stage);
  const std::string folder = directory + "/stages/" + stage.name, done = folder + "/done.json";
  stage.finished = fs::exists(done) && text_member(parse(done), "fingerprint", done) ==
                                           text_member(entry, "fingerprint", overview);
  if (stage.finished) expect_readable(folder);
  if (stage.finished) stage.results = read_results(folder);
  read_metrics(folder + "/metrics.jsonl", stage);
  read_times(folder + "/times.json", stage);
  stage.images = images_in(folder + "/images");
  return stage;
}

/// config.toml as the program writes it: sections, and one "key = value" a line.
std::map<std::string, std::string> settings_in(const std::string& config) {
  std::map<std::string, std::string> settings;
  std::istringstream in(config);
  std::string section;
  for (std::string line; std::getline(in, line);) {
    const size_t equals = line.find(" = ");
    if (!line.empty() && line[0] == '[')
      section = line.substr(1, line.find(']') - 1) + ".";
    else if (equals != std::string::npos)
      settings[section + line.substr(0, equals)] = line.substr(equals + 3);
  }
  return settings;
}

}  // namespace

std::string StageRecord::label(const std::string& key, const std::string& otherwise) const {
  const auto found = labels.find(key);
  return found == labels.end() ? otherwise : found->second;
}

const StageRecord* RunRecord::find(const std::string& stage) const {
  for (const auto& s : stages)
    if (s.name == stage) return &s;
  return nullptr;
}

RunRecord read_run(const std::string& directory) {
  RunRecord run;
  run.directory = directory;
  LIMBECK_CHECK(fs::exists(directory + "/run.json"), directory,
                ": not a run folder (it has no run.json)");
  check_run_format(directory);
  const json overview = parse(directory + "/run.json");
  if (fs::exists(directory + "/config.toml")) run.config = read_file(directory + "/config.toml");
  run.settings = settings_in(run.config);
  for (const auto& entry :
       member(overview, "stages", json::value_t::array, directory + "/run.json"))
    run.stages.push_back(read_stage(directory, entry));
  return run;
}

}  // namespace limbeck::report
