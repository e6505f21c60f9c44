// limbeck verify: whether the files of a run's finished stages are what the stages wrote.
#include <cstdio>
#include <filesystem>
#include <memory>

#include "apps/command.h"
#include "apps/report_text.h"
#include "apps/run_plan.h"
#include "apps/stage_files.h"
#include "tensor/error.h"

namespace limbeck::verify_app {
namespace {

struct Options {
  std::vector<std::string> directories;
};

/// Prints a line for each finished stage; counts what is damaged.
int64_t verify(const std::string& directory) {
  int64_t damaged = 0;
  const RecordedRun recorded = read_recorded_run(directory, run_format);
  for (const PlannedStage& p : recorded.plan) {
    if (p.state != StageState::finished) continue;
    const std::vector<std::string> damage = damage_in(stage_folder(directory, p.stage->name));
    damaged += static_cast<int64_t>(damage.size());
    std::printf("%-32s %s\n", p.stage->name.c_str(), damage.empty() ? "ok" : "DAMAGED");
    for (const std::string& line : damage) std::printf("  %s\n", report::printable(line).c_str());
  }
  return damaged;
}

void run(const Options& o) {
  int64_t damaged = 0;
  for (const std::string& directory : o.directories) damaged += verify(directory);
  LIMBECK_CHECK(damaged == 0, "verify: ", damaged, damaged == 1 ? " file is" : " files are",
                " not as written");
}

RegisterCommand command(
    {"verify", "whether the files of finished stages are what the stages wrote",
     [](CommandLine& app) {
       auto o = std::make_shared<Options>();
       app.add_option("runs", o->directories, "run folders").required().value_name("DIR");
       app.callback([o] { run(*o); });
     }});

}  // namespace
}  // namespace limbeck::verify_app
