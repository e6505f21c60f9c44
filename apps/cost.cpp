#include "apps/cost.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>

#include "apps/peak_memory.h"
#include "apps/run_files.h"
#include "tensor/error.h"

namespace limbeck {
namespace {

namespace fs = std::filesystem;

class TrialMonitor : public nn::Monitor {
 public:
  nn::Trial* trial() override { return &trial_; }

 private:
  nn::Trial trial_;
};

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "limbeck-cost-XXXXXX").string();
    LIMBECK_CHECK(mkdtemp(name.data()), name, ": cannot be created");
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// The stage's name without the seed of a plan's student.
std::string seedless(const kd::Stage& stage) {
  const auto seed = stage.labels.find("seed");
  const std::string end = seed == stage.labels.end() ? "" : ".s" + seed->second;
  return !end.empty() && stage.name.ends_with(end)
             ? stage.name.substr(0, stage.name.size() - end.size())
             : stage.name;
}

int64_t bytes_in(const std::string& folder) {
  int64_t bytes = 0;
  for (const auto& file : fs::recursive_directory_iterator(folder))
    if (file.is_regular_file()) bytes += static_cast<int64_t>(file.file_size());
  return bytes;
}

class Trials {
 public:
  Trials(const std::vector<PlannedStage>& plan, const std::string& directory, Device device)
      : plan_(plan), directory_(directory), device_(device) {
    for (const PlannedStage& p : plan_) {
      finished_[p.stage->name] = p.state == StageState::finished;
      names_[p.stage->name] = seedless(*p.stage);
    }
  }

  std::vector<StageCost> run(const std::function<bool(const StageCost&)>& tell) {
    std::vector<std::pair<std::string, StageCost>> costs;  // in order, by name without seed
    for (const PlannedStage& p : plan_) {
      if (finished_.at(p.stage->name)) continue;
      const std::string name = seedless(*p.stage);
      auto place =
          std::find_if(costs.begin(), costs.end(), [&](const auto& c) { return c.first == name; });
      if (place == costs.end()) place = costs.insert(place, {name, StageCost{}});
      place->second.stages.push_back(p.stage);
    }
    for (const auto& [name, cost] : costs)
      for (const std::string& need : cost.stages[0]->needs) last_reader_[names_.at(need)] = name;
    std::vector<StageCost> found;
    for (auto& [name, cost] : costs) {
      try_stage(*cost.stages[0], cost);
      found.push_back(cost);
      if (!tell(cost)) break;
    }
    return found;
  }

 private:
  /// Of a finished stage its own; else that of the trial.
  std::string folder_of(const std::string& stage) const {
    return finished_.at(stage) ? stage_folder(directory_, stage)
                               : trials_.path() + "/" + names_.at(stage);
  }

  void try_stage(const kd::Stage& stage, StageCost& cost) {
    for (const std::string& need : stage.needs)
      if (failed_.count(names_.at(need))) return give_up(stage, cost, cat("it needs ", need));
    const std::string folder = folder_of(stage.name);
    fs::create_directories(folder);
    TrialMonitor monitor;
    kd::StageContext context{folder,
                             [this](const kd::StageHandle& s) { return folder_of(s.name()); },
                             [this](const kd::StageHandle& s, const std::string& key) {
                               const auto results = read_results(folder_of(s.name()));
                               return results.at(key).value;
                             },
                             monitor,
                             {}};
    const PeakMemory memory(device_);
    const auto begun = std::chrono::steady_clock::now();
    try {
      stage.run(context);
    } catch (const std::exception& e) {
      return give_up(stage, cost, e.what());
    }
    write_results(folder, context.results);
    const nn::TrialCost& tried = monitor.trial()->cost;
    const double whole =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    cost.steps = tried.steps, cost.seconds_per_step = tried.seconds_per_step;
    cost.seconds = tried.seconds > 0 ? tried.seconds : whole;  // what has no loop ran to its end
    cost.memory = memory.resident() + (device_ == cpu ? tried.more_bytes : 0);
    cost.device_memory = memory.on_device();
    cost.disk = bytes_in(folder) + tried.more_disk;
    clear_unread(stage);
  }

  void give_up(const kd::Stage& stage, StageCost& cost, const std::string& why) {
    failed_.insert(names_.at(stage.name));
    cost.unknown = why;
  }

  /// Networks of many students fill a disk for temporary files.
  void clear_unread(const kd::Stage& stage) {
    const std::string& name = names_.at(stage.name);
    for (const std::string& need : stage.needs)
      if (last_reader_.at(names_.at(need)) == name && !finished_.at(need))
        fs::remove_all(folder_of(need));
    if (!last_reader_.count(name)) fs::remove_all(folder_of(stage.name));
  }

  const std::vector<PlannedStage>& plan_;
  const std::string directory_;
  const Device device_;
  const TemporaryFolder trials_;
  std::map<std::string, bool> finished_;
  std::map<std::string, std::string> names_;        // of stages, without the seed
  std::map<std::string, std::string> last_reader_;  // so named, both
  std::set<std::string> failed_;                    // so named
};

}  // namespace

std::vector<StageCost> measure_costs(const std::vector<PlannedStage>& plan,
                                     const std::string& directory, Device device,
                                     const std::function<bool(const StageCost&)>& tell) {
  return Trials(plan, directory, device).run(tell);
}

std::string name_of(const StageCost& cost) { return seedless(*cost.stages.at(0)); }

}  // namespace limbeck
