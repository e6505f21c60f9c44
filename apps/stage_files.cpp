#include "apps/stage_files.h"

#include <filesystem>
#include <functional>
#include <set>

#include "apps/run_files.h"
#include "tensor/checksum.h"
#include "tensor/error.h"
#include "tensor/safetensors.h"

namespace limbeck {
namespace {

namespace fs = std::filesystem;

using Checksums = std::map<std::string, std::string>;

bool is_covered(const std::string& name, bool with_state) {
  return (with_state || name != "checkpoint.safetensors") && name != "times.json" &&
         name != "done.json" && name != "failed.json" && !name.starts_with("events.out.tfevents") &&
         !name.ends_with(".tmp");
}

std::string checksum_of(const std::string& path) { return Checksum().add(read_file(path)).text(); }

/// Empty when the stage is not finished, or an earlier version finished it.
Checksums recorded(const std::string& stage_directory) {
  return json_texts(stage_directory + "/done.json", "files");
}

/// Empty when the file is as it was.
std::string damage_of(const std::string& stage_directory, const std::string& name,
                      const std::string& expected) {
  const std::string path = stage_directory + "/" + name;
  const std::string what_to_do =
      cat("; delete ", stage_directory, " and run the same command again");
  if (!fs::exists(path)) return cat(path, ": is missing", what_to_do);
  const std::string found = checksum_of(path);
  return found == expected ? ""
                           : cat(path, ": is not what the stage wrote (checksum ", found,
                                 ", expected ", expected, ")", what_to_do);
}

/// Of the chosen files, a line each.
std::vector<std::string> damage_among(const std::string& stage_directory,
                                      const std::function<bool(const std::string& name)>& chosen) {
  std::vector<std::string> lines;
  for (const auto& [name, checksum] : recorded(stage_directory)) {
    if (!chosen(name)) continue;
    const std::string damage = damage_of(stage_directory, name, checksum);
    if (!damage.empty()) lines.push_back(damage);
  }
  return lines;
}

void expect_none(const std::vector<std::string>& damage) {
  if (!damage.empty()) fail(damage[0]);
}

}  // namespace

Checksums checksums_of(const std::string& stage_directory, bool with_state) {
  Checksums files;
  for (const auto& entry : fs::recursive_directory_iterator(stage_directory)) {
    if (!entry.is_regular_file() || entry.is_symlink()) continue;
    const std::string name = fs::relative(entry.path(), stage_directory).string();
    if (is_covered(name, with_state)) files[name] = checksum_of(entry.path().string());
  }
  return files;
}

std::vector<std::string> damage_in(const std::string& stage_directory) {
  return damage_among(stage_directory, [](const std::string&) { return true; });
}

void expect_undamaged(const std::string& stage_directory) {
  static std::set<std::string> known;
  if (!known.insert(stage_directory).second) return;
  expect_none(damage_in(stage_directory));
}

void expect_readable(const std::string& stage_directory) {
  expect_none(damage_among(stage_directory, [&](const std::string& name) {
    // A picture that was taken away to save space is not damage.
    return name == "result.json" || name == "metrics.jsonl" ||
           (name.starts_with("images/") && fs::exists(stage_directory + "/" + name));
  }));
}

const std::string& expect_undamaged_file(const std::string& path) {
  const fs::path file(path);
  const std::string folder = file.has_parent_path() ? file.parent_path().string() : ".";
  expect_none(damage_among(
      folder, [&](const std::string& name) { return name == file.filename().string(); }));
  return path;
}

}  // namespace limbeck
