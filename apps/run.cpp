// limbeck run: a configuration's workflow in a run folder. limbeck config: every key with its default and its meaning.
#include <omp.h>

#include <cstdio>
#include <filesystem>
#include <memory>

#include "apps/command.h"
#include "apps/config.h"
#include "apps/device_option.h"
#include "apps/executor.h"
#include "apps/kernels_option.h"
#include "apps/signals.h"
#include "kd/workflow.h"

namespace limbeck::run_app {
namespace {

constexpr int exit_interrupted = 3;

struct RunArguments {
  std::string config, out, stop_after;
  std::shared_ptr<DeviceOptions> device;
  std::shared_ptr<std::string> kernels;
  std::vector<std::string> overrides;
  int threads = 0;
  double checkpoint_seconds = 60;
  bool dry_run = false, quiet = false;
};

/// Defaults, then the file, then --set in order.
kd::ExperimentSettings read_settings(const std::string& config, const std::vector<std::string>& overrides) {
  kd::ExperimentSettings settings;
  const Settings list = list_settings(settings);
  if (!config.empty()) read_toml(list, config);
  for (const auto& o : overrides) set_override(list, o);
  return settings;
}

const char* name_of(StageState state) {
  switch (state) {
    case StageState::finished: return "done";
    case StageState::changed: return "changed";
    case StageState::unfinished: return "unfinished";
    case StageState::missing: return "to do";
  }
  return "";
}

void print_plan(const std::vector<PlannedStage>& plan) {
  std::printf("\n%-24s %-11s %s\n", "stage", "state", "what");
  for (const auto& p : plan) {
    std::printf("%-24s %-11s %s", p.stage->name.c_str(), name_of(p.state), p.stage->title.c_str());
    if (!p.why.empty()) std::printf(" (changed: %s)", p.why.c_str());
    std::printf("\n");
  }
}

int run(const RunArguments& a) {
  kd::ExperimentSettings settings = read_settings(a.config, a.overrides);
  const Device device = chosen_device(*a.device);
  set_kernels(*a.kernels, device);
  const kd::Workflow workflow(settings, device);
  workflow.check_data();
  const auto& stages = workflow.stages();
  const std::string text = to_toml(list_settings(settings));
  if (a.dry_run) {
    std::printf("%s", text.c_str());
    print_plan(plan_stages(stages, a.out, a.stop_after));
    return 0;
  }
  if (a.threads > 0) omp_set_num_threads(a.threads);
  RunFolder folder(a.out);
  write_file_atomically(folder.directory() + "/config.toml", text);
  Console console(stdout, a.quiet ? Console::Mode::quiet : Console::Mode::automatic);
  console.line(cat("run ", a.out, " of ", a.config, ", ", omp_get_max_threads(), device == cpu ? " threads" : cat(" threads, ", device), "; the effective settings are in ", a.out, "/config.toml"));
  StopSignals signals;
  RunOptions options;
  options.stop_after = a.stop_after;
  options.checkpoint_seconds = a.checkpoint_seconds;
  options.stop_requested = StopSignals::requested;
  if (run_stages(stages, folder, options, console) == RunStatus::interrupted) {
    std::fprintf(stderr, "limbeck: interrupted; the same command continues\n");
    return exit_interrupted;
  }
  console.line(a.stop_after.empty() ? cat("all stages done; 'limbeck report ", a.out, "' makes tables and figures")
                                    : cat("stopped after ", a.stop_after));
  return 0;
}

RegisterCommand run_command({"run", "run the workflow of a configuration in a folder, or continue it", [](CommandLine& app) {
  auto a = std::make_shared<RunArguments>();
  app.add_option("config", a->config, "TOML file; 'limbeck config' lists its keys").required();
  app.add_option("--out", a->out, "run folder; created when it does not exist").required();
  app.add_option("--set", a->overrides, "key=value: overrides the file; may be repeated").value_name("KEY=VALUE").one_value_each();
  app.add_option("--threads", a->threads, "threads (default: one per core, or OMP_NUM_THREADS); no influence on the result").positive();
  a->device = add_device_options(app);
  a->kernels = add_kernels_option(app);
  app.add_option("--stop-after", a->stop_after, "run this stage and what it needs, then stop").value_name("STAGE");
  app.add_option("--checkpoint-seconds", a->checkpoint_seconds, "seconds between checkpoints; no influence on the result").non_negative().show_default();
  app.add_flag("--dry-run", a->dry_run, "print the effective settings and what would be run");
  app.add_flag("--quiet", a->quiet, "print warnings and errors only");
  app.footer("SIGINT (Ctrl-C) and SIGTERM write a checkpoint and end with exit code 3; the same command continues from there. "
             "A second signal ends at once; nothing is lost but the work since the last checkpoint.");
  app.callback([a] {
    if (const int code = run(*a)) throw ExitStatus{code};
  });
}});

RegisterCommand config_command({"config", "print every key of a configuration with its value and meaning", [](CommandLine& app) {
  auto file = std::make_shared<std::string>();
  auto overrides = std::make_shared<std::vector<std::string>>();
  auto defaults = std::make_shared<bool>(false);
  app.add_option("config", *file, "TOML file to check and complete (default: the built-in defaults)");
  app.add_option("--set", *overrides, "key=value: overrides the file; may be repeated").value_name("KEY=VALUE").one_value_each();
  app.add_flag("--defaults", *defaults, "the built-in defaults, whatever file is given");
  app.callback([file, overrides, defaults] {
    kd::ExperimentSettings settings = *defaults ? kd::ExperimentSettings{} : read_settings(*file, *overrides);
    std::printf("%s", to_toml(list_settings(settings), true).c_str());
  });
}});

}  // namespace
}  // namespace limbeck::run_app
