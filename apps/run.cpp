// limbeck run: a configuration's workflow in a run folder. limbeck config: every key with its
// default and its meaning.
#include <omp.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "apps/before_work.h"
#include "apps/command.h"
#include "apps/config.h"
#include "apps/data_summary.h"
#include "apps/device_option.h"
#include "apps/dry_run.h"
#include "apps/executor.h"
#include "apps/kernels_option.h"
#include "apps/monitor.h"
#include "apps/process.h"
#include "apps/run_settings.h"
#include "apps/signals.h"
#include "apps/slurm.h"
#include "apps/workers.h"
#include "kd/workflow.h"
#include "tensor/device.h"

namespace limbeck::run_app {
namespace {

struct RunArguments {
  std::string config, out;
  Selection selection;
  std::shared_ptr<DeviceOptions> device;
  std::shared_ptr<std::string> kernels;
  std::vector<std::string> overrides;
  int threads = 0, jobs = 1;
  double checkpoint_seconds = 60;
  bool dry_run = false, no_measure = false, quiet = false, keep_going = false, worker = false,
       slurm = false, tensorboard = false;
  SlurmOptions slurm_options;
  Permissions permissions;
};

/// The command line of a process that works on this run beside others, with the settings that
/// `config` holds.
std::vector<std::string> joining_arguments(const RunArguments& a, const std::string& config,
                                           const std::string& out) {
  std::vector<std::string> list{"run",
                                config,
                                "--out",
                                out,
                                "--device",
                                a.device->device,
                                "--precision",
                                a.device->precision,
                                "--checkpoint-seconds",
                                format_number(a.checkpoint_seconds),
                                "--keep-going"};
  if (!a.kernels->empty()) list.insert(list.end(), {"--kernels", *a.kernels});
  if (a.quiet) list.push_back("--quiet");
  if (a.tensorboard) list.push_back("--tensorboard");
  if (a.permissions.replace) list.push_back("--replace");
  if (a.permissions.extend) list.push_back("--extend");
  if (a.permissions.keep_state) list.push_back("--keep-state");
  return list;
}

RunStatus run_jobs(const RunArguments& a, const std::vector<kd::Stage>& stages,
                   const RunFolder& folder) {
  const std::string& root = folder.directory();
  const auto plan = [&] { return plan_stages(stages, root, a.selection); };
  forget_failures(root, plan());
  auto arguments = joining_arguments(a, root + "/config.toml", root);
  arguments.push_back("--worker");
  for (const auto& only : a.selection.only) arguments.insert(arguments.end(), {"--only", only});
  if (!a.selection.stop_after.empty())
    arguments.insert(arguments.end(), {"--stop-after", a.selection.stop_after});
  std::vector<std::vector<std::string>> lists;
  for (const int threads : divide_threads(omp_get_max_threads(), a.jobs)) {
    lists.push_back(arguments);
    lists.back().insert(lists.back().end(), {"--threads", cat(threads)});
  }
  const auto ends = run_workers(lists, StopSignals::requested);
  for (const auto& end : ends) std::fprintf(stderr, "limbeck: %s\n", end.c_str());
  if (StopSignals::requested()) return RunStatus::interrupted;
  const auto result = plan();
  const std::string failures = failure_summary(result);
  if (!failures.empty()) fail(failures);
  for (const auto& p : result)
    LIMBECK_CHECK(p.state == StageState::finished, "stage ", p.stage->name,
                  " was not finished by any of ", a.jobs, " processes; the same command continues");
  return RunStatus::finished;
}

RunStatus run_here(const RunArguments& a, const std::vector<kd::Stage>& stages,
                   const RunFolder& folder, Console& console) {
  RunOptions options;
  options.selection = a.selection;
  options.checkpoint_seconds = a.checkpoint_seconds;
  options.tensorboard = a.tensorboard;
  options.stop_requested = StopSignals::requested;
  options.keep_going = a.keep_going;
  options.worker = a.worker;
  options.device = parse_device(a.device->device);
  options.extend = a.permissions.extend, options.keep_state = a.permissions.keep_state;
  return run_stages(stages, folder, options, console);
}

void submit(const RunArguments& a, const std::vector<kd::Stage>& stages, const RunFolder& folder,
            Console& console) {
  const std::string root =
      std::filesystem::absolute(folder.directory()).lexically_normal().string();
  std::vector<std::string> command{this_program()};
  const auto arguments = joining_arguments(a, root + "/slurm/config.toml", root);
  command.insert(command.end(), arguments.begin(), arguments.end());
  if (a.threads > 0) command.insert(command.end(), {"--threads", cat(a.threads)});
  submit_to_slurm(stages, plan_stages(stages, root, a.selection), root, command, a.slurm_options,
                  console);
}

/// Where one submits there need be no such device, but the program must be able to use it.
Device submitted_device(const DeviceOptions& o) {
  const Device device = parse_device(o.device);
  parse_precision(o.precision);
  if (device != cpu) backend(device);
  return device;
}

std::string last_line(const RunArguments& a) {
  if (!a.selection.stop_after.empty()) return cat("stopped after ", a.selection.stop_after);
  if (!a.selection.only.empty()) return "the chosen stages are done";
  return cat("all stages done; 'limbeck report ", a.out, "' makes tables and figures");
}

/// Stops before work when finished stages would be replaced and nobody said so.
void ask_for_permission(const RunArguments& a, const std::vector<PlannedStage>& plan) {
  try {
    expect_permission(plan, a.out, a.permissions);
  } catch (const Error&) {
    print_changed(plan, a.out, a.permissions);
    throw;
  }
}

int run(const RunArguments& a) {
  LIMBECK_CHECK(!a.slurm || a.jobs == 1,
                "--slurm and --jobs: give one of them; Slurm starts the processes itself");
  kd::ExperimentSettings settings = read_run_settings(a.config, a.overrides);
  const Device device = a.slurm ? submitted_device(*a.device) : chosen_device(*a.device);
  if (!a.slurm) set_kernels(*a.kernels, device);
  if (a.threads > 0) omp_set_num_threads(a.threads);
  kd::Workflow workflow(settings, device);
  const auto& stages = workflow.stages();
  expect_continuable(a.out);
  plan_stages(stages, a.out, a.selection);  // a wrong --only is told before data are read
  const kd::KnownIdentities inputs = read_inputs(workflow, a.out);
  const auto plan = plan_stages(stages, a.out, a.selection);
  Console console(stdout, a.quiet    ? Console::Mode::quiet
                          : a.worker ? Console::Mode::plain
                                     : Console::Mode::automatic);
  if (!a.worker) check_before_work(workflow, plan, a.out);
  if (a.dry_run)
    return show_dry_run({.workflow = workflow,
                         .settings = settings,
                         .plan = plan,
                         .out = a.out,
                         .permissions = a.permissions,
                         .measure = !a.no_measure && !a.slurm},
                        console);
  if (!a.worker) ask_for_permission(a, plan);
  RunFolder folder(a.out, stages, to_toml(list_settings(settings)));
  remember(inputs, a.out);
  if (a.slurm) return submit(a, stages, folder, console), 0;
  if (!a.worker)
    console.line(cat("run ", a.out, " of ", a.config, ", ",
                     a.jobs > 1 ? cat(a.jobs, " processes with together ") : "",
                     omp_get_max_threads(), device == cpu ? " threads" : cat(" threads, ", device),
                     "; the effective settings are in ", a.out, "/config.toml"));
  if (!a.worker) {
    if (!all_finished(plan)) print_data_summary(settings.data, workflow.data(), console);
    for (const std::string& remark : workflow.remarks()) console.note(remark);
  }
  StopSignals signals;
  const RunStatus status =
      a.jobs > 1 ? run_jobs(a, stages, folder) : run_here(a, stages, folder, console);
  if (status == RunStatus::failed) return 1;
  if (status == RunStatus::interrupted) {
    if (!a.worker) std::fprintf(stderr, "limbeck: interrupted; the same command continues\n");
    return exit_interrupted;
  }
  if (!a.worker) console.line(last_line(a));
  return 0;
}

RegisterCommand run_command(
    {"run", "run the workflow of a configuration in a folder, or continue it",
     [](CommandLine& app) {
       auto a = std::make_shared<RunArguments>();
       app.add_option("config", a->config, "TOML file; 'limbeck config' lists its keys").required();
       app.add_option("--out", a->out, "run folder; created when it does not exist").required();
       app.add_option("--set", a->overrides, "key=value: overrides the file; may be repeated")
           .value_name("KEY=VALUE")
           .one_value_each();
       app.add_threads_option(
           a->threads,
           "threads (default: one per core, or OMP_NUM_THREADS); no influence on the result");
       a->device = add_device_options(app);
       a->kernels = add_kernels_option(app);
       app.add_option("--stop-after", a->selection.stop_after,
                      "run this stage and what it needs, then stop")
           .value_name("STAGE");
       app.add_option("--only", a->selection.only,
                      "run the stages with these labels (role, pair, method, fakes, seed, ...; "
                      "stage: the name) and what they need; "
                      "may be repeated")
           .value_name("KEY=VALUE,...")
           .one_value_each();
       app.add_flag("--keep-going", a->keep_going,
                    "after a failed stage go on with those that do not need it");
       app.add_option("--jobs", a->jobs,
                      "processes that work on the run at the same time and share the threads; "
                      "implies --keep-going")
           .positive()
           .show_default();
       app.add_flag(
           "--worker", a->worker,
           "as one of the processes of --jobs: plain lines, no word about the stages of others");
       app.add_flag(
           "--slurm", a->slurm,
           "submit the stages to Slurm as jobs; 'limbeck status' and 'limbeck cancel' follow them");
       app.add_option("--slurm-options", a->slurm_options.options,
                      "further options of sbatch: \"--time=60 --gres=gpu:1\"")
           .value_name("OPTIONS");
       app.add_option("--slurm-group", a->slurm_options.groups,
                      "the stages with these labels are one job; may be repeated")
           .value_name("KEY=VALUE,...")
           .one_value_each();
       app.add_option("--checkpoint-seconds", a->checkpoint_seconds,
                      "seconds between checkpoints; no influence on the result")
           .non_negative()
           .show_default();
       app.add_flag("--tensorboard", a->tensorboard, tensorboard_help);
       add_permission_options(app, a->permissions);
       app.add_flag("--dry-run", a->dry_run,
                    "print the effective settings, what would be run, and what it will cost: time, "
                    "memory and disk by a few steps of each stage");
       app.add_flag("--no-measure", a->no_measure, "with --dry-run: without the cost");
       app.add_flag("--quiet", a->quiet, "print warnings and errors only");
       app.footer(std::string(stop_signals_help) +
                  " A second signal ends at once; nothing is lost but the work since the last "
                  "checkpoint.");
       app.callback([a] {
         if (const int code = run(*a)) throw ExitStatus{code};
       });
     }});

RegisterCommand config_command(
    {"config", "print every key of a configuration with its value and meaning",
     [](CommandLine& app) {
       auto file = std::make_shared<std::string>();
       auto overrides = std::make_shared<std::vector<std::string>>();
       auto defaults = std::make_shared<bool>(false);
       app.add_option("config", *file,
                      "TOML file to check and complete (default: the built-in defaults)");
       app.add_option("--set", *overrides, "key=value: overrides the file; may be repeated")
           .value_name("KEY=VALUE")
           .one_value_each();
       app.add_flag("--defaults", *defaults, "the built-in defaults, whatever file is given");
       app.callback([file, overrides, defaults] {
         kd::ExperimentSettings settings =
             *defaults ? kd::ExperimentSettings{} : read_run_settings(*file, *overrides);
         std::printf("%s", to_toml(list_settings(settings), true).c_str());
       });
     }});

}  // namespace
}  // namespace limbeck::run_app
