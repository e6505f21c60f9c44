#include "apps/executor.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "apps/monitor.h"
#include "tensor/random.h"

namespace limbeck {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using nlohmann::ordered_json;

/// Goes into every fingerprint; raise it when stages mean something else by the same settings.
constexpr const char* format_version = "limbeck stage 2";
/// Of run.json and result.json.
constexpr int run_format = 2;

std::string stage_folder(const std::string& directory, const std::string& stage) { return directory + "/stages/" + stage; }

/// The file as JSON; null when it is absent or not JSON (what a kill in the middle cannot leave, but a person can).
json read_json(const std::string& path) {
  if (!fs::exists(path)) return {};
  return json::parse(read_file(path), nullptr, false);
}

std::string text_at(const json& object, const char* key) {
  return object.is_object() && object.contains(key) && object[key].is_string() ? object[key].get<std::string>() : std::string();
}

std::string hex(uint64_t v) {
  char text[20];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(v));
  return text;
}

// --- planning -------------------------------------------------------------------------------------------------------------------

const kd::Stage& find_stage(const std::vector<kd::Stage>& stages, const std::string& name, const std::string& who) {
  std::vector<std::string> names;
  for (const auto& s : stages) {
    if (s.name == name) return s;
    names.push_back(s.name);
  }
  fail(who, ": unknown stage '", name, "'", did_you_mean(name, names));
}

/// Depth first: needs before the stage, otherwise in the given order.
class Planner {
 public:
  explicit Planner(const std::vector<kd::Stage>& stages) : stages_(stages) {
    std::set<std::string> names;
    for (const auto& s : stages) LIMBECK_CHECK(names.insert(s.name).second, "workflow: two stages are named '", s.name, "'");
  }
  void add(const kd::Stage& stage) {
    if (done_.count(stage.name)) return;
    LIMBECK_CHECK(open_.insert(stage.name).second, "workflow: stage '", stage.name, "' needs itself");
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

/// The keys of "key = value" lines that differ, at most three.
std::string changed_keys(const std::string& before, const std::string& after) {
  const auto lines = [](const std::string& text) {
    std::map<std::string, std::string> map;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) map[line.substr(0, line.find(" = "))] = line;
    return map;
  };
  auto a = lines(before), b = lines(after);
  for (const auto& [key, line] : b)
    if (a.count(key) && a[key] == line) a.erase(key);
    else a[key] = "";
  std::string keys;
  int count = 0;
  for (const auto& [key, line] : a)
    if (++count <= 3) keys += (count > 1 ? ", " : "") + key;
  return count > 3 ? cat(keys, " and ", count - 3, " more") : keys;
}

void judge(PlannedStage& p, const std::vector<PlannedStage>& before, const std::string& directory) {
  const std::string folder = stage_folder(directory, p.stage->name);
  const json started = read_json(folder + "/stage.json");
  const std::string fingerprint = text_at(started, "fingerprint");
  if (fingerprint == p.fingerprint) {
    p.state = text_at(read_json(folder + "/done.json"), "fingerprint") == p.fingerprint ? StageState::finished : StageState::unfinished;
  } else if (!fingerprint.empty()) {
    p.state = StageState::changed;
    p.why = changed_keys(text_at(started, "settings"), p.stage->settings);
    for (const auto& other : before)
      if (p.why.empty() && other.state == StageState::changed && std::count(p.stage->needs.begin(), p.stage->needs.end(), other.stage->name))
        p.why = other.stage->name;
  }
}

// --- running --------------------------------------------------------------------------------------------------------------------

/// times.json: wall seconds and sessions per stage.
class Times {
 public:
  explicit Times(const std::string& directory) : path_(directory + "/times.json") {
    const json read = read_json(path_);
    if (read.is_object() && read.contains("stages") && read["stages"].is_object()) times_ = ordered_json(read);
  }
  void begin(const std::string& stage, bool afresh) {
    auto& t = times_["stages"][stage];
    const bool usable = t.is_object() && t.contains("seconds") && t["seconds"].is_number() && t.contains("sessions") && t["sessions"].is_number();
    if (afresh || !usable) t = {{"seconds", 0.0}, {"sessions", 0}};
    t["sessions"] = t.value("sessions", 0) + 1;
    before_ = t.value("seconds", 0.0);
    started_ = std::chrono::steady_clock::now();
    stage_ = stage;
  }
  double seconds() const { return before_ + std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count(); }
  void write() {
    times_["stages"][stage_]["seconds"] = std::round(seconds() * 1000) / 1000;
    write_file_atomically(path_, times_.dump(2) + "\n");
  }

 private:
  std::string path_, stage_;
  ordered_json times_ = ordered_json::object();
  double before_ = 0;
  std::chrono::steady_clock::time_point started_;
};

/// What a kill in the middle of an atomic write leaves.
void remove_temporary_files(const std::string& folder) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file() && entry.path().extension() == ".tmp") found.push_back(entry.path());
  for (const auto& path : found) fs::remove(path);
}

/// The same beside the stages, in the files that only the holder of the run folder writes.
void remove_temporary_overviews(const std::string& root) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(root))
    for (const char* name : {"config.toml.", "run.json.", "times.json."})
      if (entry.path().extension() == ".tmp" && entry.path().filename().string().starts_with(name)) found.push_back(entry.path());
  for (const auto& path : found) fs::remove(path);
}

/// A stage writes and clears its own folder, never one that a link leads to: that may be another run's, or no stage's at all.
void expect_no_link(const std::string& folder) {
  LIMBECK_CHECK(!fs::is_symlink(fs::symlink_status(folder)), folder, ": is a symbolic link; expected a folder (nothing is written or cleared behind a link)");
}

/// Clears the folder (done.json first: nothing that looks finished may lack its files) and marks it with the stage's fingerprint.
void start_afresh(const PlannedStage& p, const std::string& folder) {
  fs::create_directories(folder);
  fs::remove(folder + "/done.json");
  for (const auto& entry : fs::directory_iterator(folder)) fs::remove_all(entry.path());
  const ordered_json text = {{"stage", p.stage->name}, {"fingerprint", p.fingerprint}, {"settings", p.stage->settings}};
  write_file_atomically(folder + "/stage.json", text.dump(2) + "\n");
}

void write_results(const std::string& folder, const kd::Results& results) {
  std::string text = "{";
  for (const auto& [key, r] : results)
    text += cat(text.size() > 1 ? "," : "", "\n  ", json_string(key), ": {\"value\": ", json_number(r.value), ", \"unit\": ", json_string(r.unit),
                ", \"better\": ", json_string(name_of(r.better)), ", \"kind\": ", json_string(r.kind), "}");
  write_file_atomically(folder + "/result.json", text + "\n}\n");
}

class Runner {
 public:
  Runner(const std::vector<kd::Stage>& stages, const RunFolder& folder, const RunOptions& options, Console& console)
      : stages_(stages), root_(folder.directory()), options_(options), console_(console), times_(root_) {}

  RunStatus run() {
    remove_temporary_overviews(root_);
    write_overview();
    const auto plan = plan_stages(stages_, root_, options_.stop_after);
    for (size_t i = 0; i < plan.size(); ++i) {
      if (options_.stop_requested()) return RunStatus::interrupted;
      const std::string& name = plan[i].stage->name;
      if (plan[i].state == StageState::finished) {
        tidy(stage_folder(root_, name));
        console_.line(cat("[", i + 1, "/", plan.size(), "] ", name, ": done before"));
        continue;
      }
      try {
        run_stage(plan[i], static_cast<int>(i + 1), static_cast<int>(plan.size()));
      } catch (const nn::Interrupted& e) {
        times_.write();
        console_.end(e.what());
        return RunStatus::interrupted;
      } catch (const fs::filesystem_error& e) {
        fail("stage ", name, ": ", e.path1().string(), ": ", e.code().message());
      } catch (const Error& e) {
        fail("stage ", name, ": ", e.what());
      }
    }
    return RunStatus::finished;
  }

 private:
  void write_overview() {
    ordered_json list = ordered_json::array();
    for (const auto& p : plan_stages(stages_, root_))
      list.push_back({{"name", p.stage->name}, {"title", p.stage->title}, {"needs", p.stage->needs}, {"fingerprint", p.fingerprint}, {"labels", p.stage->labels}});
    write_file_atomically(root_ + "/run.json", ordered_json{{"format", run_format}, {"stages", list}}.dump(2) + "\n");
  }

  /// A kill between done.json and here may leave the checkpoint. A finished stage behind a link is read only.
  static void tidy(const std::string& folder) {
    if (fs::is_symlink(fs::symlink_status(folder))) return;
    fs::remove(folder + "/checkpoint.safetensors");
    remove_temporary_files(folder);
  }

  void run_stage(const PlannedStage& p, int index, int count) {
    const std::string folder = stage_folder(root_, p.stage->name);
    expect_no_link(folder);
    // Without a checkpoint nothing in the folder counts.
    const bool afresh = p.state != StageState::unfinished || !fs::exists(folder + "/checkpoint.safetensors");
    if (afresh) start_afresh(p, folder);
    else remove_temporary_files(folder);
    times_.begin(p.stage->name, afresh);
    console_.begin(index, count, p.stage->name, p.stage->title);
    if (p.state == StageState::changed) console_.note(cat("changed since it ran (", p.why, "); running again"));
    if (!afresh) console_.note("resuming from its last checkpoint");
    else if (p.state == StageState::unfinished) console_.note("was interrupted before its first checkpoint; starting again");

    StageMonitor monitor({folder, p.fingerprint, options_.checkpoint_seconds, options_.stop_requested, [this] { times_.write(); }}, console_);
    kd::StageContext context{folder, [&](const kd::StageHandle& s) { return needed_folder(*p.stage, s.name()); },
                             [&](const kd::StageHandle& s, const std::string& key) { return needed_result(*p.stage, s.name(), key); }, monitor, {}};
    p.stage->run(context);
    monitor.finish();
    write_results(folder, context.results);
    write_file_atomically(folder + "/done.json", ordered_json{{"fingerprint", p.fingerprint}}.dump() + "\n");
    tidy(folder);
    times_.write();
    report_end(context.results);
  }

  void report_end(const kd::Results& results) {
    std::string text = cat("done in ", format_duration(times_.seconds()));
    int shown = 0;
    for (const auto& [key, r] : results)
      if (++shown <= 6) text += cat("  ", key, " ", format_number(r.value));
    console_.end(text);
  }

  /// Only declared needs may be read: the fingerprint covers nothing else.
  std::string needed_folder(const kd::Stage& stage, const std::string& name) const {
    LIMBECK_CHECK(std::count(stage.needs.begin(), stage.needs.end(), name), "stage ", stage.name, " reads '", name, "', which is not among its needs");
    return stage_folder(root_, name);
  }
  double needed_result(const kd::Stage& stage, const std::string& name, const std::string& key) const {
    const auto results = read_results(needed_folder(stage, name));
    const auto found = results.find(key);
    if (found != results.end()) return found->second.value;
    std::vector<std::string> keys;
    for (const auto& [k, r] : results) keys.push_back(k);
    fail("result.json of stage ", name, " has no '", key, "'", did_you_mean(key, keys));
  }

  const std::vector<kd::Stage>& stages_;
  std::string root_;
  const RunOptions& options_;
  Console& console_;
  Times times_;
};

}  // namespace

RunFolder::RunFolder(std::string directory) : directory_(std::move(directory)) {
  while (directory_.size() > 1 && directory_.back() == '/') directory_.pop_back();
  std::error_code error;
  if (fs::exists(directory_, error) && !fs::is_directory(directory_, error)) fail(directory_, ": is a file; expected a folder for the run");
  if (fs::is_directory(directory_, error) && !fs::is_empty(directory_, error))
    LIMBECK_CHECK(fs::exists(directory_ + "/.lock"), directory_, ": holds files that are not of a run; give an empty or new folder");
  expect_no_link(directory_ + "/stages");
  fs::create_directories(directory_ + "/stages", error);
  LIMBECK_CHECK(!error, directory_, ": the run folder cannot be created: ", error.message());
  const std::string path = directory_ + "/.lock";
  lock_ = open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
  LIMBECK_CHECK(lock_ >= 0, path, ": cannot be created: ", std::strerror(errno));
  if (flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    const int reason = errno;
    close(lock_);
    if (reason == EWOULDBLOCK) fail(directory_, ": another limbeck run is using this folder");
    fail(path, ": cannot be locked: ", std::strerror(reason));
  }
}

RunFolder::~RunFolder() { close(lock_); }

std::vector<PlannedStage> plan_stages(const std::vector<kd::Stage>& stages, const std::string& directory, const std::string& stop_after) {
  Planner planner(stages);
  if (stop_after.empty())
    for (const auto& s : stages) planner.add(s);
  else planner.add(find_stage(stages, stop_after, "--stop-after"));
  std::vector<PlannedStage> plan;
  for (const kd::Stage* s : planner.order()) {
    std::string text = cat(format_version, "\nname = ", s->name, "\n", s->settings, "\n");
    for (const auto& need : s->needs)
      for (const auto& p : plan)
        if (p.stage->name == need) text += cat("need ", need, " = ", p.fingerprint, "\n");
    PlannedStage p{s, hex(fnv1a(text)), StageState::missing, {}};
    judge(p, plan, directory);
    plan.push_back(p);
  }
  return plan;
}

RunStatus run_stages(const std::vector<kd::Stage>& stages, const RunFolder& folder, const RunOptions& options, Console& console) {
  return Runner(stages, folder, options, console).run();
}

kd::Results read_results(const std::string& stage_directory) {
  const std::string path = stage_directory + "/result.json";
  const json read = read_json(path);
  LIMBECK_CHECK(read.is_object(), path, ": missing or not JSON");
  kd::Results results;
  for (const auto& [key, entry] : read.items()) {
    LIMBECK_CHECK(entry.is_object() && entry.contains("value"), path, ": '", key, "': expected an object with a value, found ", entry.dump());
    const json& value = entry["value"];
    LIMBECK_CHECK(value.is_number() || value.is_null(), path, ": '", key, "': expected a number, found ", value.type_name());
    try {
      results[key] = {value.is_null() ? std::nan("") : value.get<double>(), text_at(entry, "unit"), train::parse_better(text_at(entry, "better")),
                      text_at(entry, "kind")};
    } catch (const Error& e) {
      fail(path, ": '", key, "': better: ", e.what());
    }
  }
  return results;
}

}  // namespace limbeck
