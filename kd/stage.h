// Stage: one resumable step of a workflow. kd/ defines the stages; apps/ runs the graph, caches and resumes.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "nn/monitor.h"

namespace limbeck::kd {

struct StageContext {
  std::string directory;                                                   ///< of this stage; exists, private to it
  std::function<std::string(const std::string& stage)> directory_of;       ///< of a finished stage named in `needs`
  std::function<double(const std::string& stage, const std::string& key)> result_of;  ///< a result value of such a stage
  nn::Monitor& monitor;
  std::map<std::string, double> results;                                   ///< to fill; becomes result.json when the stage is done
};

struct Stage {
  std::string name;                    ///< "teacher"; also its folder
  std::string title;                   ///< one line for people
  std::vector<std::string> needs;
  /// Canonical text of every setting that influences the result. With the fingerprints of `needs` it keys the cache: a stage whose
  /// settings changed runs again, and so do the stages that need it.
  std::string settings;
  std::function<void(StageContext&)> run;  ///< files are written to context.directory (atomically); may throw nn::Interrupted
};

}  // namespace limbeck::kd
