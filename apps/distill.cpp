// limbeck distill: one student, one method, one teacher that is there already; the stages of a run
// without the training of the teacher and without the generation.
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
#include "kd/checkpoint.h"
#include "kd/workflow.h"

namespace limbeck::distill_app {
namespace {

constexpr int exit_interrupted = 3;

struct Arguments {
  std::string method = "blkd", teacher, student, fakes, out, config, data, data_path;
  std::vector<std::string> overrides;
  std::shared_ptr<DeviceOptions> device;
  std::shared_ptr<std::string> kernels;
  int threads = 0;
  double checkpoint_seconds = 60;
  bool dry_run = false, quiet = false;
};

/// The file, then --set, then what the options say.
kd::ExperimentSettings settings_of(const Arguments& a) {
  kd::ExperimentSettings settings;
  const Settings list = list_settings(settings);
  if (!a.config.empty()) read_toml(list, a.config);
  for (const auto& o : a.overrides) set_override(list, o);
  if (!a.data.empty()) settings.data.kind = a.data;
  if (!a.data_path.empty()) settings.data.path = a.data_path;
  const std::string teacher = kd::load_network(a.teacher).name;
  settings.plan.pairs = {teacher + " > " + a.student};
  settings.plan.methods = {a.method};
  settings.plan.fakes = {a.fakes.empty() ? "none" : "m2"};
  settings.plan.judge.clear();
  settings.plan.teachers = a.teacher;
  settings.plan.fake_data = a.fakes;
  return settings;
}

int distill(const Arguments& a) {
  kd::ExperimentSettings settings = settings_of(a);
  const Device device = chosen_device(*a.device);
  set_kernels(*a.kernels, device);
  const kd::Workflow workflow(settings, device);
  if (std::filesystem::exists(a.out + "/run.json")) read_recorded_run(a.out);
  workflow.check_data();
  const std::string text = to_toml(list_settings(settings));
  if (a.dry_run) {
    std::printf("%s", text.c_str());
    for (const kd::Stage& s : workflow.stages())
      std::printf("%-32s %s\n", s.name.c_str(), s.title.c_str());
    return 0;
  }
  if (a.threads > 0) omp_set_num_threads(a.threads);
  RunFolder folder(a.out, workflow.stages(), text);
  Console console(stdout, a.quiet ? Console::Mode::quiet : Console::Mode::automatic);
  StopSignals signals;
  RunOptions options;
  options.checkpoint_seconds = a.checkpoint_seconds;
  options.stop_requested = StopSignals::requested;
  if (run_stages(workflow.stages(), folder, options, console) == RunStatus::interrupted) {
    std::fprintf(stderr, "limbeck: interrupted; the same command continues\n");
    return exit_interrupted;
  }
  console.line(cat("done; the student is in ", a.out, "/stages/", workflow.stages().back().name,
                   "/model.safetensors"));
  return 0;
}

const RegisterCommand command(
    {"distill", "teach a student by a saved network", [](CommandLine& app) {
       auto a = std::make_shared<Arguments>();
       app.add_option("--method", a->method, "`limbeck methods` lists them").show_default();
       app.add_option("--teacher", a->teacher, "model.safetensors of a run or of `limbeck convert`")
           .required();
       app.add_option("--student", a->student, "network, `limbeck models` lists them").required();
       app.add_option("--fake", a->fakes,
                      "fake_data.safetensors: then the student trains on real images alone, and "
                      "from there on real and fake ones with the method");
       app.add_option("--out", a->out, "run folder; created when it does not exist").required();
       app.add_option("--data", a->data, "kind of the data set, as data.kind of a configuration");
       app.add_option("--data-path", a->data_path, "folder of its files");
       app.add_option("--config", a->config,
                      "TOML file with [data], [student], [transfer], [methods]");
       app.add_option("--set", a->overrides, "key=value: overrides the file; may be repeated")
           .value_name("KEY=VALUE")
           .one_value_each();
       app.add_threads_option(a->threads, "threads; no influence on the result");
       a->device = add_device_options(app);
       a->kernels = add_kernels_option(app);
       app.add_option("--checkpoint-seconds", a->checkpoint_seconds,
                      "seconds between checkpoints; no influence on the result")
           .non_negative()
           .show_default();
       app.add_flag("--dry-run", a->dry_run, "print the effective settings and the stages");
       app.add_flag("--quiet", a->quiet, "print warnings and errors only");
       app.footer(
           "SIGINT (Ctrl-C), SIGTERM, SIGHUP, SIGUSR1 and SIGUSR2 write a checkpoint and end with "
           "exit code 3; the "
           "same command continues from there.");
       app.callback([a] {
         if (const int code = distill(*a)) throw ExitStatus{code};
       });
     }});

}  // namespace
}  // namespace limbeck::distill_app
