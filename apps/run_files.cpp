#include "apps/run_files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "apps/monitor.h"
#include "tensor/error.h"
#include "tensor/safetensors.h"

namespace limbeck {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// The file as JSON; null when it is absent, discarded when it is not JSON.
json read_json(const std::string& path) {
  if (!fs::exists(path)) return {};
  return json::parse(read_file(path), nullptr, false);
}

std::string text_at(const json& object, const std::string& key) {
  return object.is_object() && object.contains(key) && object[key].is_string()
             ? object[key].get<std::string>()
             : std::string();
}

std::string stage_lock_path(const std::string& directory, const std::string& stage) {
  return directory + "/.locks/" + stage;
}

std::string this_process() {
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  const char* job = std::getenv("SLURM_JOB_ID");
  return cat("process ", getpid(), " on ", host,
             job ? cat(" (Slurm job ", job, ")") : std::string());
}

}  // namespace

std::string stage_folder(const std::string& directory, const std::string& stage) {
  return directory + "/stages/" + stage;
}

bool is_link(const std::string& folder) { return fs::is_symlink(fs::symlink_status(folder)); }

void expect_no_link(const std::string& folder) {
  LIMBECK_CHECK(
      !is_link(folder), folder,
      ": is a symbolic link; expected a folder (nothing is written or cleared behind a link)");
}

std::string json_text(const std::string& path, const std::string& key) {
  return text_at(read_json(path), key);
}

std::map<std::string, std::string> json_texts(const std::string& path, const std::string& key) {
  std::map<std::string, std::string> texts;
  if (!fs::exists(path)) return texts;
  const json read = read_json(path);
  LIMBECK_CHECK(read.is_object(), path, ": malformed; delete the folder to run the stage again");
  if (!read.contains(key)) return texts;
  LIMBECK_CHECK(read[key].is_object(), path, ": \"", key, "\": expected an object, found ",
                read[key].type_name());
  for (const auto& entry : read[key].items()) texts[entry.key()] = text_at(read[key], entry.key());
  return texts;
}

int check_run_format(const std::string& directory, int oldest) {
  const std::string path = directory + "/run.json";
  LIMBECK_CHECK(fs::exists(path), directory, ": not a run folder (it has no run.json)");
  const json read = read_json(path);
  LIMBECK_CHECK(read.is_object() && read.contains("stages"), path,
                ": malformed; expected an object with \"format\" and \"stages\"");
  const json format =
      read.contains("format") ? read["format"] : json(1);  // the first one did not say its number
  LIMBECK_CHECK(format.is_number_integer() && format >= oldest && format <= run_format, path,
                ": of ", format.is_number() && format < run_format ? "an earlier" : "another",
                " version of limbeck (expected format ", run_format, ", found ", format.dump(),
                "); use that version, or a new folder",
                format == readable_run_format ? "; 'limbeck report' and 'status' read it" : "");
  return format.get<int>();
}

std::string format_note(const std::string& directory) {
  const int format = check_run_format(directory);
  if (format == run_format) return {};
  return cat(directory, "/run.json: of an earlier version (format ", format,
             "): its stages do not say which data they read, and `limbeck run` does not go on "
             "with it");
}

std::map<std::string, std::string> read_identities(const std::string& directory) {
  const json read = read_json(directory + "/identities.json");
  std::map<std::string, std::string> entries;
  if (read.is_object())
    for (const auto& [state, identity] : read.items())
      if (identity.is_string()) entries[state] = identity.get<std::string>();
  return entries;
}

void write_identities(const std::string& directory,
                      const std::map<std::string, std::string>& entries) {
  write_file_atomically(directory + "/identities.json", json(entries).dump(2) + "\n");
}

bool keeps_state(const std::string& stage_directory) {
  return json_text(stage_directory + "/done.json", "state") == "kept" &&
         fs::exists(stage_directory + "/checkpoint.safetensors");
}

kd::Results read_results(const std::string& stage_directory) {
  const std::string path = stage_directory + "/result.json";
  const json read = read_json(path);
  LIMBECK_CHECK(read.is_object(), path, ": missing or not JSON");
  kd::Results results;
  for (const auto& [key, entry] : read.items()) {
    LIMBECK_CHECK(entry.is_object() && entry.contains("value"), path, ": '", key,
                  "': expected an object with a value, found ", entry.dump());
    const json& value = entry["value"];
    LIMBECK_CHECK(value.is_number() || value.is_null(), path, ": '", key,
                  "': expected a number, found ", value.type_name());
    try {
      results[key] = {value.is_null() ? std::nan("") : value.get<double>(), text_at(entry, "unit"),
                      kd::parse_better(text_at(entry, "better")), text_at(entry, "kind")};
    } catch (const Error& e) {
      fail(path, ": '", key, "': better: ", e.what());
    }
  }
  return results;
}

void write_results(const std::string& stage_directory, const kd::Results& results) {
  std::string text = "{";
  for (const auto& [key, r] : results)
    text += cat(text.size() > 1 ? "," : "", "\n  ", json_string(key),
                ": {\"value\": ", json_number(r.value), ", \"unit\": ", json_string(r.unit),
                ", \"better\": ", json_string(name_of(r.better)),
                ", \"kind\": ", json_string(r.kind), "}");
  write_file_atomically(stage_directory + "/result.json", text + "\n}\n");
}

StageTimes read_times(const std::string& stage_directory) {
  const json read = read_json(stage_directory + "/times.json");
  StageTimes times;
  if (!read.is_object()) return times;
  if (read.contains("seconds") && read["seconds"].is_number())
    times.seconds = read["seconds"].get<double>();
  if (read.contains("sessions") && read["sessions"].is_number())
    times.sessions = read["sessions"].get<int>();
  const auto bytes = [&](const char* key) {
    return read.contains(key) && read[key].is_number() ? read[key].get<double>() : 0;
  };
  times.peak_bytes = bytes("peak_bytes"), times.device_peak_bytes = bytes("device_peak_bytes");
  return times;
}

void write_times(const std::string& stage_directory, const StageTimes& times) {
  write_file_atomically(
      stage_directory + "/times.json",
      cat("{\"seconds\": ", json_number(std::round(times.seconds * 1000) / 1000),
          ", \"sessions\": ", times.sessions, ", \"peak_bytes\": ", json_number(times.peak_bytes),
          ", \"device_peak_bytes\": ", json_number(times.device_peak_bytes), "}\n"));
}

std::optional<FileLock> FileLock::acquire(const std::string& path) {
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
  LIMBECK_CHECK(file >= 0, path, ": cannot be created: ", std::strerror(errno));
  // A few tries: stage_worker() of another process looks at a lock by taking it for a moment.
  for (int tries = 0; flock(file, LOCK_EX | LOCK_NB) != 0; ++tries) {
    const int reason = errno;
    if (reason == EWOULDBLOCK && tries < 3) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      continue;
    }
    close(file);
    if (reason == EWOULDBLOCK) return std::nullopt;
    fail(path, ": cannot be locked: ", std::strerror(reason));
  }
  return FileLock(file);
}

FileLock::FileLock(FileLock&& other) noexcept : file_(std::exchange(other.file_, -1)) {}

FileLock::~FileLock() {
  if (file_ >= 0) close(file_);
}

std::optional<FileLock> lock_stage(const std::string& directory, const std::string& stage) {
  const std::string path = stage_lock_path(directory, stage);
  std::error_code error;
  fs::create_directories(directory + "/.locks", error);
  LIMBECK_CHECK(!error, directory, "/.locks: cannot be created: ", error.message());
  auto lock = FileLock::acquire(path);
  // Who it is serves people only; written in place, as a renamed file would be another lock.
  if (lock)
    if (const int file = open(path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC); file >= 0) {
      const std::string text = this_process();
      [[maybe_unused]] const ssize_t written = write(file, text.data(), text.size());
      close(file);
    }
  return lock;
}

std::string stage_worker(const std::string& directory, const std::string& stage) {
  const std::string path = stage_lock_path(directory, stage);
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return {};
  const bool held = flock(file, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  close(file);
  if (!held) return {};
  const std::string who = read_file(path);
  return who.empty() ? "another process" : who;
}

}  // namespace limbeck
