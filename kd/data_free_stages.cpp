// The stage of a student that learns without data.
#include <algorithm>
#include <cmath>

#include "gan/sampler.h"
#include "kd/checks.h"
#include "kd/data_free/registry.h"
#include "kd/data_free/responses.h"
#include "kd/data_free/trainer.h"
#include "kd/stages.h"
#include "nn/mode.h"

namespace limbeck::kd {
namespace {

using data_free::Settings;

bool has_batch_norms(nn::Network& teacher, const nn::ModelOptions& options) {
  const NoGrad no_grad;
  const nn::ModeOf eval(teacher, false);
  const nn::BatchNormTap tap;
  const Shape image{1, options.size, options.size, options.channels};
  teacher.forward_features(Variable(Tensor::zeros(image, DType::f32, teacher.device())));
  return !tap.inputs().empty();
}

/// As this teacher takes them, whose weights do not matter.
Settings data_free_settings(const Experiment& experiment, const Student& student,
                            nn::Network& teacher, const nn::ModelOptions& options) {
  const Settings s = data_free::settings_of(student.method, experiment.settings.methods);
  if (options.task == nn::Task::classification) return s;
  return data_free::for_responses(s, data_free::find_entry(student.method)->defaults,
                                  !has_batch_norms(teacher, options), "methods." + student.method);
}

/// Between which responses are mixtures: a tenth of their range apart.
constexpr int64_t response_nodes = 11;

std::unique_ptr<gan::DataFreeGenerator> new_generator(const data_free::GeneratorSettings& s,
                                                      const nn::ModelOptions& options) {
  const bool of_responses = options.task == nn::Task::regression;
  return gan::create_data_free_generator(
      {.arch = of_responses ? gan::response_form(s.arch, "generator.arch") : s.arch,
       .ch = s.ch,
       .dim_z = s.dim_z,
       .classes = of_responses ? response_nodes : options.outputs,
       .resolution = options.size,
       .channels = options.channels,
       .shared_dim = s.embedding});
}

/// One batch of two through all losses, without training: throws for what does not fit. The
/// channels of the teacher's batch norms, by which images are contrasted.
int64_t probe(const Settings& s, const std::string& section, nn::Network& teacher,
              nn::Network& student, gan::DataFreeGenerator& generator) {
  const bool asks = s.loss.labelled > 0 && s.loss.cls > 0 && !s.synthesis.used();
  LIMBECK_CHECK(!asks || generator.conditional(), section, ".loss.cls: the generator ",
                s.generator.arch, " is not asked for classes; expected 0 or another ", section,
                ".generator.arch");
  if (s.loss.targets == "dirichlet") data_free::last_weight(teacher, generator.config().classes);
  const NoGrad no_grad;
  for (nn::Module* m : std::initializer_list<nn::Module*>{&teacher, &student, &generator})
    m->eval();
  const bool of_responses =
      gan::condition_kind(generator.config().arch) == gan::ConditionKind::response;
  const Tensor labels = of_responses ? Tensor::zeros({2, 1}) : Tensor::zeros({2}, DType::i64);
  const data_free::MadeImages made{
      generator.standardised(Variable(Tensor::zeros({2, s.generator.dim_z})),
                             data_free::condition_of(labels, {})),
      labels};
  const data_free::GeneratorLoss judged =
      data_free::generator_loss(s.loss, teacher, &student, made);
  data_free::student_loss(s.distillation, student.forward_features(made.images), judged.teacher,
                          labels);
  int64_t channels = 0;
  for (const auto& in : judged.norms) channels += in.running_mean.numel();
  return channels;
}

/// Of what a contrast leaves to the next synthesis: remembered features, its head, and Adam's
/// moments of that.
int64_t contrast_bytes(const Settings& s, int64_t channels) {
  if (s.synthesis.contrast.weight == 0 || !s.synthesis.used()) return 0;
  constexpr int64_t f32_bytes = 4, compared = 256;
  const int64_t rows = std::min(s.synthesis.contrast.bank, s.epochs * s.rounds * s.batch),
                head = (channels + 1) * (channels + compared);
  return f32_bytes * (2 * rows * channels + 3 * head);
}

/// A teacher without batch norms is no error for responses; that the term is missing is said.
void note_statistics(const Experiment& experiment, const Student& student, nn::Monitor& monitor) {
  const Settings s = data_free::settings_of(student.method, experiment.settings.methods);
  if (s.loss.statistics > 0)
    monitor.note(cat("the teacher ", student.pair.teacher,
                     " has no BatchNorm2d; the generator learns without the term statistics"));
}

void add_test_results(StageContext& context, const StageHandle& teacher,
                      const train::Criterion& criterion, double value) {
  const std::string metric = std::string("test_") + criterion.metric();
  context.results[metric] = {value, criterion.unit(), criterion.better(), "test"};
  if (std::isnan(value) || context.monitor.trial()) return;
  const double of_teacher = context.result_of(teacher, metric),
               behind =
                   criterion.better() == Better::lower ? value - of_teacher : of_teacher - value;
  context.results["gap_to_teacher"] = {behind, criterion.unit(), Better::lower, "detail"};
  context.results["relative_to_teacher"] = {value / of_teacher, "share", criterion.better(),
                                            "detail"};
}

void add_health(Results& results, const data_free::Health& h, const data::ResponseScale& scale,
                bool of_responses) {
  results["loss"] = {h.loss, "", Better::lower, "train"};
  if (of_responses) {
    const double range = scale.high - scale.low;
    results["label_error"] = {range * h.label_error, scale.unit, Better::lower, "fakes"};
    results["disagreement"] = {range * h.disagreement, scale.unit, Better::lower, "train"};
    return;
  }
  results["hit_rate"] = {h.hit_rate, "share", Better::higher, "fakes"};
  results["class_entropy"] = {h.class_entropy, "share", Better::higher, "fakes"};
  results["agreement"] = {h.agreement, "share", Better::higher, "train"};
}

}  // namespace

DiskUse check_data_free(Experiment& experiment, const Student& student) {
  const nn::ModelOptions options = experiment.options();
  const auto teacher = nn::create_model(student.pair.teacher, options),
             pupil = nn::create_model(student.pair.student, options);
  const Settings s = data_free_settings(experiment, student, *teacher, options);
  const auto generator = new_generator(s.generator, options);
  const int64_t channels = probe(s, "methods." + student.method, *teacher, *pupil, *generator);
  constexpr int64_t f32_bytes = 4;
  const int64_t g = generator->parameter_count(), p = pupil->parameter_count();
  // Adam keeps two moments, SGD one; while a checkpoint is written the one before it is there too.
  const int64_t pixels = options.size * options.size * options.channels;
  return {f32_bytes * (g + p), 2 * (f32_bytes * (3 * g + 3 * p) + s.images_kept() * pixels +
                                    contrast_bytes(s, channels))};
}

void train_data_free(Experiment& experiment, StageContext& context, const Student& student,
                     const StageHandle& teacher_stage) {
  const SavedNetwork teacher =
      load_network(context.directory_of(teacher_stage) + "/model.safetensors", experiment.device);
  const Settings s = data_free_settings(experiment, student, *teacher.network, teacher.options);
  const bool of_responses = teacher.options.task == nn::Task::regression;
  if (of_responses && s.loss.statistics == 0) note_statistics(experiment, student, context.monitor);
  teacher.network->set_requires_grad(false);
  teacher.network->eval();
  const Stream stream = Experiment::stream(student.seed, base_name(student));
  const auto network = nn::create_model(student.pair.student, teacher.options);
  network->initialise(Experiment::stream(student.seed, "student").fork("init"));
  network->to(experiment.device);
  const auto generator = new_generator(s.generator, teacher.options);
  generator->initialise(stream.fork("generator"));
  generator->set_standardisation(teacher.standardisation);
  generator->to(experiment.device);

  const train::Criterion& criterion = experiment.task().criterion();
  const data_free::DataFreeResult r =
      data_free::fit({.networks = {*teacher.network, *network, *generator},
                      .classes = of_responses ? 0 : teacher.options.outputs,
                      .scale = experiment.task().scale(),
                      .test = experiment.data().test,
                      .criterion = criterion,
                      .stream = stream,
                      .monitor = context.monitor},
                     s);
  save_network(context.directory + "/model.safetensors", *network, student.pair.student,
               teacher.options, teacher.standardisation, experiment.task().scale(),
               teacher.class_names);
  if (s.synthesis.leaves_generator())
    write_safetensors(
        context.directory + "/generator.safetensors",
        gan::trained_generator_checkpoint(*generator, nullptr, experiment.task().scale()));

  add_test_results(context, teacher_stage, criterion, r.test_metric);
  add_health(context.results, r.last, experiment.task().scale(), of_responses);
  const auto cost = [&](const char* key, int64_t value, const char* unit) {
    context.results[key] = {static_cast<double>(value), unit, Better::neither, "cost"};
  };
  cost("steps", r.student_steps, "steps");
  cost("generator_steps", r.generator_steps, "steps");
  cost("parameters", network->parameter_count(), "parameters");
}

}  // namespace limbeck::kd
