// Run folders written by hand, as the executor leaves them.
#pragma once
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "apps/monitor.h"
#include "apps/report_data.h"
#include "tensor/error.h"
#include "tensor/safetensors.h"

namespace limbeck {

/// A stage to write.
struct FolderStage {
  std::string name;
  kd::Labels labels = {};
  kd::Results results = {};
  std::string title = "a title";
  bool finished = true;
};

/// {"key": "value", ...} of texts.
inline std::string json_of(const kd::Labels& labels) {
  std::string text;
  for (const auto& [key, value] : labels)
    text += cat(text.empty() ? "" : ", ", json_string(key), ": ", json_string(value));
  return "{" + text + "}";
}

inline std::string json_of(const kd::Results& results) {
  std::string text;
  for (const auto& [key, r] : results)
    text += cat(text.empty() ? "" : ", ", json_string(key), ": {\"value\": ", json_number(r.value),
                ", \"unit\": ", json_string(r.unit), ", \"better\": \"", name_of(r.better),
                "\", \"kind\": ", json_string(r.kind), "}");
  return "{" + text + "}";
}

inline void write_run(const std::string& directory, const std::string& config,
                      const std::vector<FolderStage>& stages) {
  std::string list;
  for (const auto& s : stages) {
    const std::string folder = directory + "/stages/" + s.name;
    std::filesystem::create_directories(folder);
    list += cat(list.empty() ? "" : ",\n", "{\"name\": ", json_string(s.name),
                ", \"title\": ", json_string(s.title),
                ", \"needs\": [], \"fingerprint\": \"f\", \"labels\": ", json_of(s.labels), "}");
    if (!s.finished) continue;
    write_file_atomically(folder + "/result.json", json_of(s.results));
    write_file_atomically(folder + "/done.json", "{\"fingerprint\": \"f\"}");
    write_file_atomically(folder + "/times.json", "{\"seconds\": 2.5, \"sessions\": 1}");
  }
  write_file_atomically(directory + "/run.json",
                        cat("{\"format\": 3, \"stages\": [\n", list, "]}\n"));
  write_file_atomically(directory + "/config.toml", config);
}

/// A test with a folder of its own.
class RunFolderTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::string place = access("/dev/shm", W_OK) == 0 ? "/dev/shm/" : testing::TempDir();
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    root_ = cat(place, "limbeck_", info->test_suite_name(), "_", getuid(), "_", info->name());
    std::filesystem::remove_all(root_);
    std::filesystem::create_directories(root_);
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  /// Writes and reads a run.
  report::RunRecord run(const std::string& name, const std::string& config,
                        const std::vector<FolderStage>& stages) const {
    write_run(root_ + "/" + name, config, stages);
    return report::read_run(root_ + "/" + name);
  }

  std::string root_;
};

/// What an action throws; "" when nothing.
template <class Action>
std::string error_of(Action action) {
  try {
    action();
  } catch (const Error& e) {
    return e.what();
  }
  return {};
}

}  // namespace limbeck
