// limbeck distill: one student, one method, one teacher that is there already, or its stored
// logits; the stages of a run without the training of the teacher and without the generation. A
// data-free method needs no data: what the images are like stands in the teacher's file.
#include <algorithm>
#include <memory>

#include "apps/config.h"
#include "apps/kernels_option.h"
#include "apps/one_pair.h"
#include "kd/checkpoint.h"
#include "kd/plan.h"
#include "kd/stored_logits.h"

namespace limbeck::distill_app {
namespace {

struct Arguments : OnePairArguments {
  std::string method = "blkd", student, fakes, logits;
};

/// Whether somebody has said which data; otherwise a data-free method has none.
bool names_data(const Arguments& a) {
  return !a.data.empty() || !a.data_path.empty() || !a.config.empty() ||
         std::any_of(a.overrides.begin(), a.overrides.end(),
                     [](const std::string& o) { return o.starts_with("data."); });
}

/// Images as the teacher knows them, none of which is there.
data::DataSettings no_data(const kd::SavedNetwork& teacher) {
  data::DataSettings data;
  data.kind = "none";
  data.image_size = teacher.options.size;
  const bool regresses = teacher.options.task == nn::Task::regression;
  const Settings none = list_settings(data.sources.at("none"));
  set_override(none, cat("classes=", regresses ? 0 : teacher.options.outputs));
  set_override(none, cat("channels=", teacher.options.channels));
  if (!regresses || !teacher.scale) return data;
  set_override(none, "response_low=" + metadata_text(teacher.scale->low));
  set_override(none, "response_high=" + metadata_text(teacher.scale->high));
  set_override(none, "response_unit=" + teacher.scale->unit);
  return data;
}

int distill(const Arguments& a) {
  LIMBECK_CHECK(a.teacher.empty() != a.logits.empty(),
                "distill: give one of --teacher and --logits");
  LIMBECK_CHECK(a.logits.empty() || a.fakes.empty(),
                "--fake: stored logits are of the real images; give --teacher instead of --logits");
  const bool data_free = kd::is_data_free(a.method);
  LIMBECK_CHECK(!data_free || a.logits.empty(), "--logits: ", a.method,
                " makes its own images; give --teacher instead");
  LIMBECK_CHECK(!data_free || a.fakes.empty(), "--fake: ", a.method,
                " makes its own images and takes no others");
  kd::ExperimentSettings settings = settings_of(a);
  std::string teacher;
  if (a.logits.empty()) {
    const kd::SavedNetwork saved = kd::load_network(a.teacher);
    teacher = saved.name;
    if (data_free && !names_data(a)) {
      settings.data = no_data(saved);
      settings.task = nn::name_of(saved.options.task);
    }
  } else {
    teacher = kd::load_logits(a.logits).network;
  }
  settings.plan.pairs = {teacher + " > " + a.student};
  settings.plan.methods = {a.method};
  settings.plan.fakes = {a.fakes.empty() ? "none" : "m2"};
  settings.plan.fake_data = a.fakes;
  settings.plan.logits = a.logits;
  const Device device = chosen_device(*a.device);
  set_kernels(*a.kernels, device);
  return run_one_pair(a, settings, kd::Workflow(settings, device), "done; the student is in",
                      "model.safetensors");
}

const RegisterCommand command(
    {"distill", "teach a student by a saved network, or by its stored logits",
     [](CommandLine& app) {
       auto a = std::make_shared<Arguments>();
       app.add_option("--method", a->method,
                      "`limbeck methods` lists them; a data-free one needs no data")
           .show_default();
       app.add_option("--teacher", a->teacher,
                      "model.safetensors of a run or of `limbeck convert`");
       app.add_option("--logits", a->logits,
                      "logits.safetensors of `limbeck logits` instead of the teacher, for methods "
                      "that need nothing else");
       app.add_option("--student", a->student, "network, `limbeck models` lists them").required();
       app.add_option("--fake", a->fakes,
                      "fake_data.safetensors: then the student trains on real images alone, and "
                      "from there on real and fake ones with the method");
       add_one_pair_options(app, *a);
       app.callback([a] {
         if (const int code = distill(*a)) throw ExitStatus{code};
       });
     }});

}  // namespace
}  // namespace limbeck::distill_app
