// Stage: one resumable step of a workflow. kd/ defines the stages; apps/ runs the graph, caches and
// resumes.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "nn/monitor.h"
#include "train/result.h"

namespace limbeck::kd {

using train::Better;
using train::parse_better;
using train::Result;
using train::Results;

/// What a stage is, by key; a key that says nothing about it is absent.
///   role     teacher | logits | student | preparation | gan | features | ratio | fakes |
///            evaluation | theorem1 | rademacher | theorem1_ratio
///   task     classification | regression
///   pair     "wrn_40_2 > wrn_40_1" (students with a method; without one no teacher has a say);
///            model: the network (teachers, students)
///   method   none | blkd | ... (students); method_name: as tables print it ("BLKD")
///   fakes    none | raw | m1 | m2, of students and sets of fakes; equal: the control on real
///            images with as many steps as with m2
///   seed     of the stage's random streams
using Labels = std::map<std::string, std::string>;

/// A stage that was added to a graph: what others read its files and results by. Only a graph makes
/// one.
class StageHandle {
 public:
  StageHandle() = default;
  explicit StageHandle(std::string name) : name_(std::move(name)) {}
  const std::string& name() const { return name_; }
  explicit operator bool() const { return !name_.empty(); }

 private:
  std::string name_;
};

struct StageContext {
  std::string directory;  ///< of this stage; exists, private to it
  std::function<std::string(const StageHandle& stage)>
      directory_of;  ///< of a finished stage among `needs`
  std::function<double(const StageHandle& stage, const std::string& key)>
      result_of;  ///< a result value of such a stage
  nn::Monitor& monitor;
  Results results;  ///< to fill; becomes result.json when the stage is done
};

/// Bytes of disk: what stays in a stage's folder, and what it holds besides while it runs.
struct DiskUse {
  int64_t kept = 0, passing = 0;
};

struct Stage {
  std::string name;   ///< "teacher"; also its folder: letters, digits and . _ - +
  std::string title;  ///< one line for people
  std::vector<std::string> needs;
  /// Canonical text of every setting that influences the result. With the fingerprints of `needs`
  /// it keys the cache: a stage whose settings changed runs again, and so do the stages that need
  /// it.
  std::string settings;
  std::function<void(StageContext&)>
      run;  ///< files are written to context.directory (atomically); may throw nn::Interrupted
  Labels labels = {};
  /// Before any work: throws for what would keep the stage from finishing on these data, and says
  /// about how much disk it takes. May be null.
  std::function<DiskUse()> check = {};
  /// Files that it reads besides those of its needs, by the setting that names them. What they hold
  /// belongs to the fingerprint, their names do not.
  std::map<std::string, std::string> files = {};
  /// The setting that says how long it trains, "gan.steps"; empty where it cannot train on from its
  /// last state.
  std::string length = {};
};

}  // namespace limbeck::kd
