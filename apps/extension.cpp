#include "apps/extension.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <vector>

#include "apps/monitor.h"
#include "apps/run_files.h"
#include "apps/stage_runner.h"
#include "tensor/error.h"
#include "tensor/safetensors.h"

namespace limbeck {
namespace {

namespace fs = std::filesystem;
using Lines = std::map<std::string, std::string>;

std::string value_in(const Lines& lines, const std::string& key) {
  const auto found = lines.find(key);
  return found == lines.end() ? std::string() : found->second;
}

/// "[1, 2.5]" below a limit.
std::vector<double> numbers_below(const std::string& list, double limit) {
  std::vector<double> numbers;
  for (const char* at = list.c_str(); *at;) {
    char* end = nullptr;
    const double value = std::strtod(at, &end);
    if (end == at)
      ++at;
    else if (at = end; value < limit)
      numbers.push_back(value);
  }
  return numbers;
}

/// Whether a training so long went the same way by both settings; `section` is its own, "gan.".
bool same_beginning(const Lines& before, const Lines& now, const std::string& length,
                    const std::string& section) {
  const double end = std::strtod(value_in(before, length).c_str(), nullptr);
  const std::string milestones = section + "milestones";
  const auto drops = [&](const Lines& lines) {
    return numbers_below(value_in(lines, milestones), end);
  };
  if (drops(before) != drops(now)) return false;
  Lines all = before;
  all.insert(now.begin(), now.end());
  for (const auto& [key, value] : all) {
    const bool of_drops = key == section + "lr_factor" || key == section + "late_drop";
    if (key == length || key == milestones || (of_drops && drops(now).empty())) continue;
    if (value_in(before, key) != value_in(now, key)) return false;
  }
  return true;
}

std::string old_text(const std::string& folder, const char* key) {
  return json_text(folder + "/stage.json", key);
}

std::string checkpoint_in(const std::string& folder) { return folder + "/checkpoint.safetensors"; }

/// Where an extension is prepared.
std::string new_folder(const std::string& directory, const std::string& stage) {
  return stage_folder(directory, stage) + ".extending";
}

}  // namespace

bool is_superseded(const std::string& directory, const PlannedStage& p) {
  const std::string folder = stage_folder(directory, p.stage->name);
  const std::string done = json_text(folder + "/done.json", "fingerprint");
  return p.state == StageState::changed && !done.empty() && done == old_text(folder, "fingerprint");
}

bool grew(const std::string& directory, const PlannedStage& p) {
  const std::string &length = p.stage->length, folder = stage_folder(directory, p.stage->name),
                    settings = old_text(folder, "settings");
  if (length.empty()) return false;
  // The stages that it needs are what they were.
  if (fingerprint_of(*p.stage, settings, p.needs) != old_text(folder, "fingerprint")) return false;
  const Lines before = lines_of(settings), now = lines_of(p.stage->settings);
  const std::string section = length.substr(0, length.rfind('.') + 1);
  return std::strtoll(value_in(now, length).c_str(), nullptr, 10) >
             std::strtoll(value_in(before, length).c_str(), nullptr, 10) &&
         same_beginning(before, now, length, section);
}

std::string why_not_extended(const std::string& directory, const PlannedStage& p) {
  const std::string folder = stage_folder(directory, p.stage->name);
  if (p.stage->length.empty()) return "it cannot be trained on";
  if (!grew(directory, p))
    return cat("expected a greater ", p.stage->length, " and no other change, found ", p.why);
  if (!keeps_state(folder))
    return cat(
        "its last state was not kept (--keep-state), so it cannot be trained on; without "
        "--extend, --replace trains it from the start");
  return {};
}

void keep_finished(const std::string& directory, const std::string& stage) {
  const std::string folder = stage_folder(directory, stage);
  int number = 1;
  while (fs::exists(fs::symlink_status(cat(folder, ".", number)))) ++number;
  fs::rename(folder, cat(folder, ".", number));
}

void begin_extension(const std::string& directory, const PlannedStage& p) {
  const std::string folder = stage_folder(directory, p.stage->name),
                    fresh = new_folder(directory, p.stage->name);
  fs::remove_all(fresh);
  fs::create_directories(fresh);
  for (const char* name : {"metrics.jsonl", "times.json", "images"})
    if (fs::exists(folder + "/" + name))
      fs::copy(folder + "/" + name, fresh + "/" + name, fs::copy_options::recursive);
  write_safetensors(checkpoint_in(fresh),
                    with_fingerprint(read_safetensors(checkpoint_in(folder)), p.fingerprint));
  write_stage_json(fresh, p);  // last: the folder is whole
  keep_finished(directory, p.stage->name);
  fs::rename(fresh, folder);
}

bool recover_extension(const std::string& directory, const PlannedStage& p) {
  const std::string folder = stage_folder(directory, p.stage->name),
                    fresh = new_folder(directory, p.stage->name);
  if (fs::exists(fs::symlink_status(folder)) || old_text(fresh, "fingerprint") != p.fingerprint)
    return false;
  fs::rename(fresh, folder);
  return true;
}

}  // namespace limbeck
