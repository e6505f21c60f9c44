// Stages of stored logits (kd/stored_logits.h).
#include "kd/stages.h"
#include "kd/stored_logits.h"

namespace limbeck::kd {
namespace {

std::string file_in(const StageContext& context) {
  return context.directory + "/logits.safetensors";
}

void report(StageContext& context, const StoredLogits& l) {
  const auto count = [&](const char* key, int64_t n) {
    context.results[key] = {static_cast<double>(n), key, Better::neither, "cost"};
  };
  count("images", l.images.size(0)), count("views", l.views.count);
}

}  // namespace

void make_logits(Experiment& experiment, StageContext& context, const StageHandle& teacher) {
  const ExperimentSettings& s = experiment.settings;
  const std::string path = context.directory_of(teacher) + "/model.safetensors";
  const SavedNetwork saved = load_network(path, experiment.device);
  StoredLogits l{saved.name,
                 saved.options,
                 s.data.text(),
                 experiment.standardisation(),
                 {s.student.crop_padding, s.student.flip},
                 {s.logits.views, s.logits.seed},
                 experiment.train().images,
                 experiment.train().labels};
  l.views.outputs = logits_of_views(*saved.network, experiment.train(), l.standardisation,
                                    l.augmentation, l.views, s.student.batch, context.monitor);
  save_logits(file_in(context), l, experiment.data());
  report(context, l);
}

StoredLogits stored_logits_of(Experiment& experiment, const std::string& path,
                              const std::string& model) {
  StoredLogits l = load_logits(path);
  LIMBECK_CHECK(l.network == model, path, ": expected logits of ", model, ", found those of ",
                l.network);
  LIMBECK_CHECK(l.options.outputs == experiment.options().outputs, path, ": expected logits of ",
                experiment.options().outputs, " classes, found ", l.options.outputs);
  const NetworkSettings& s = experiment.settings.student;
  check_fits(l, path, experiment.train(), experiment.standardisation(), {s.crop_padding, s.flip});
  return l;
}

void import_logits(Experiment& experiment, StageContext& context, const std::string& model) {
  const std::string& path = experiment.settings.plan.logits;
  report(context, stored_logits_of(experiment, path, model));
  write_safetensors(file_in(context), read_safetensors(path));
}

}  // namespace limbeck::kd
