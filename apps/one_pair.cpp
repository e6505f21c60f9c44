#include "apps/one_pair.h"

#include <omp.h>

#include <cstdio>

#include "apps/config.h"
#include "apps/data_summary.h"
#include "apps/dry_run.h"
#include "apps/executor.h"
#include "apps/kernels_option.h"
#include "apps/monitor.h"
#include "apps/run_settings.h"
#include "apps/signals.h"

namespace limbeck {
void add_one_pair_options(CommandLine& app, OnePairArguments& a) {
  app.add_option("--out", a.out, "run folder; created when it does not exist").required();
  app.add_option("--data", a.data, "kind of the data set, as data.kind of a configuration");
  app.add_option("--data-path", a.data_path, "folder of its files, or its one file");
  app.add_option(
      "--config", a.config,
      "TOML file with [data], [student], [transfer], [methods], [logits]; a [plan] is left out");
  app.add_option("--set", a.overrides, "key=value: overrides the file; may be repeated")
      .value_name("KEY=VALUE")
      .one_value_each();
  app.add_threads_option(a.threads, "threads; no influence on the result");
  a.device = add_device_options(app);
  a.kernels = add_kernels_option(app);
  app.add_option("--checkpoint-seconds", a.checkpoint_seconds,
                 "seconds between checkpoints; no influence on the result")
      .non_negative()
      .show_default();
  app.add_flag("--tensorboard", a.tensorboard, tensorboard_help);
  add_permission_options(app, a.permissions);
  app.add_flag("--dry-run", a.dry_run,
               "print the effective settings, what would be run, and what it will cost: time, "
               "memory and disk, by a few steps of each stage that is left");
  app.add_flag("--no-measure", a.no_measure, "with --dry-run: without the cost");
  app.add_flag("--quiet", a.quiet, "print warnings and errors only");
  app.footer(stop_signals_help);
}

kd::ExperimentSettings settings_of(const OnePairArguments& a) {
  kd::ExperimentSettings settings = read_run_settings(a.config, a.overrides);
  if (!a.data.empty()) settings.data.kind = a.data;
  if (!a.data_path.empty()) settings.data.path = a.data_path;
  settings.plan = {};  // a file with a table of students says how they train, not which
  settings.plan.teachers = a.teacher;
  make_paths_absolute(settings, "");
  return settings;
}

int run_one_pair(const OnePairArguments& a, kd::ExperimentSettings& settings, kd::Workflow workflow,
                 const std::string& done, const std::string& file) {
  if (a.threads > 0) omp_set_num_threads(a.threads);
  expect_continuable(a.out);
  const kd::KnownIdentities inputs = read_inputs(workflow, a.out);
  const auto plan = plan_stages(workflow.stages(), a.out);
  Console console(stdout, a.quiet ? Console::Mode::quiet : Console::Mode::automatic);
  check_before_work(workflow, plan, a.out);
  if (a.dry_run)
    return show_dry_run({.workflow = workflow,
                         .settings = settings,
                         .plan = plan,
                         .out = a.out,
                         .permissions = a.permissions,
                         .measure = !a.no_measure},
                        console);
  expect_permission(plan, a.out, a.permissions);
  RunFolder folder(a.out, workflow.stages(), to_toml(list_settings(settings)));
  remember(inputs, a.out);
  if (!all_finished(plan)) print_data_summary(settings.data, workflow.data(), console);
  for (const std::string& remark : workflow.remarks()) console.note(remark);
  StopSignals signals;
  RunOptions options;
  options.checkpoint_seconds = a.checkpoint_seconds;
  options.tensorboard = a.tensorboard;
  options.stop_requested = StopSignals::requested;
  options.extend = a.permissions.extend, options.keep_state = a.permissions.keep_state;
  if (run_stages(workflow.stages(), folder, options, console) == RunStatus::interrupted) {
    std::fprintf(stderr, "limbeck: interrupted; the same command continues\n");
    return exit_interrupted;
  }
  console.line(cat(done, " ", a.out, "/stages/", workflow.stages().back().name, "/", file));
  return 0;
}

}  // namespace limbeck
