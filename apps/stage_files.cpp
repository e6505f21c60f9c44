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

bool is_covered(const std::string& name) {
  return name != "times.json" && name != "done.json" && name != "failed.json" &&
         !name.starts_with("events.out.tfevents") && !name.ends_with(".tmp");
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

void expect(const std::string& stage_directory,
            const std::function<bool(const std::string& name)>& chosen) {
  for (const auto& [name, checksum] : recorded(stage_directory)) {
    if (!chosen(name)) continue;
    const std::string damage = damage_of(stage_directory, name, checksum);
    LIMBECK_CHECK(damage.empty(), damage);
  }
}

}  // namespace

Checksums checksums_of(const std::string& stage_directory) {
  Checksums files;
  for (const auto& entry : fs::recursive_directory_iterator(stage_directory)) {
    if (!entry.is_regular_file() || entry.is_symlink()) continue;
    const std::string name = fs::relative(entry.path(), stage_directory).string();
    if (is_covered(name)) files[name] = checksum_of(entry.path().string());
  }
  return files;
}

std::vector<std::string> damage_in(const std::string& stage_directory) {
  std::vector<std::string> all;
  for (const auto& [name, checksum] : recorded(stage_directory))
    if (const std::string damage = damage_of(stage_directory, name, checksum); !damage.empty())
      all.push_back(damage);
  return all;
}

void expect_undamaged(const std::string& stage_directory) {
  static std::set<std::string> known;
  if (!known.insert(stage_directory).second) return;
  expect(stage_directory, [](const std::string&) { return true; });
}

void expect_readable(const std::string& stage_directory) {
  expect(stage_directory, [&](const std::string& name) {
    // A picture that was taken away to save space is not damage.
    return name == "result.json" || name == "metrics.jsonl" ||
           (name.starts_with("images/") && fs::exists(stage_directory + "/" + name));
  });
}

const std::string& expect_undamaged_file(const std::string& path) {
  const fs::path file(path);
  const std::string folder = file.has_parent_path() ? file.parent_path().string() : ".";
  expect(folder, [&](const std::string& name) { return name == file.filename().string(); });
  return path;
}

}  // namespace limbeck
