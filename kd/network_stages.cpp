#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>

#include "kd/distillation.h"
#include "kd/stages.h"

namespace limbeck::kd {
namespace {

std::string model_file(const StageContext& context, const StageHandle& stage) {
  return context.directory_of(stage) + "/model.safetensors";
}

std::string auxiliary_in(const std::string& directory) {
  return directory + "/auxiliary.safetensors";
}

/// Null without a teacher.
std::unique_ptr<Method> method_of(const Experiment& experiment, const Student& student) {
  return student.method == "none" ? nullptr
                                  : create_method(student.method, experiment.settings.methods);
}

/// [student] or [transfer], as the method wants it.
train::Settings training_of(const Experiment& experiment, const Student& student) {
  const bool second_phase = student.fakes != FakesUsed::none;
  train::Settings s = student_settings(experiment.settings, student.pair.student);
  if (second_phase) s = experiment.settings.transfer;
  if (const auto method = method_of(experiment, student)) method->adjust(s, second_phase);
  return s;
}

/// With the first weights that all students of the seed share.
std::unique_ptr<nn::Network> new_student(Experiment& experiment, const Student& student) {
  std::unique_ptr<nn::Network> network =
      nn::create_model(student.pair.student, experiment.options());
  network->initialise(Experiment::stream(student.seed, "student").fork("init"));
  network->to(experiment.device);
  return network;
}

Distillation::DirectoryOf directories_of(const StageContext& context, const Guidance& guidance) {
  return [&context, guidance](const std::string& preparation) {
    return context.directory_of(guidance.preparations.at(preparation));
  };
}

/// Null without a teacher.
std::unique_ptr<Distillation> distillation_of(Experiment& experiment, const StageContext& context,
                                              const Student& student, const Guidance& guidance) {
  if (guidance.logits) {
    const StoredLogits stored =
        stored_logits_of(experiment, context.directory_of(guidance.logits) + "/logits.safetensors",
                         student.pair.teacher);
    return std::make_unique<Distillation>(
        student.method, create_method(student.method, experiment.settings.methods), stored.views);
  }
  if (!guidance.teacher) return nullptr;
  auto distillation = std::make_unique<Distillation>(
      student.method, method_of(experiment, student),
      load_network(model_file(context, guidance.teacher), experiment.device).network,
      experiment.task().kind(), directories_of(context, guidance));
  distillation->fakes_begin_at(experiment.train().size());
  return distillation;
}

struct TrainingImages {
  data::Dataset train;
  data::Standardisation standardisation;
};
/// The real images, with what this student draws from a set of fakes where there is one.
TrainingImages second_phase_images(Experiment& experiment, const StageContext& context,
                                   const Student& student, const StageHandle& fakes) {
  const TransferSettings& settings = experiment.settings.transfer;
  TrainingImages images{experiment.train(), experiment.standardisation()};
  if (!fakes) return images;
  images.train =
      data::concatenate(experiment.train(), fakes_of_student(experiment, context, student, fakes));
  if (settings.recompute_standardisation)
    images.standardisation = experiment.task().standardisation(images.train);
  return images;
}

/// By the criteria, on the test images; NaN where there are none.
void add_test_results(Experiment& experiment, StageContext& context, nn::Network& network,
                      const data::Standardisation& standardisation,
                      std::vector<const train::Criterion*> criteria) {
  const data::Dataset& test = experiment.data().test;
  for (const train::Criterion* c : criteria)
    context.results[std::string("test_") + c->metric()] = {
        test.size() > 0 ? train::evaluate(network, test, standardisation, *c) : std::nan(""),
        c->unit(), c->better(), "test"};
}

/// Trains, saves and reports; `task` lacks nothing but what every stage has.
void finish(Experiment& experiment, StageContext& context, const SavedNetwork& saved,
            const train::SupervisedTask& task, const train::Settings& settings) {
  const train::SupervisedResult r = train::fit(task, settings);
  nn::Network& deployed = task.extra ? task.extra->deployed(task.network) : task.network;
  save_network(context.directory + "/model.safetensors", deployed, saved.name, saved.options,
               task.standardisation, experiment.task().scale(), task.train.class_names);
  add(context.results, results_of(r, deployed, experiment.task().criterion()));
  add_test_results(experiment, context, deployed, task.standardisation,
                   experiment.task().further_criteria());
}

/// What a teacher whose statistics moved says of the test images, before and after; network and
/// loss are the teacher's own.
void add_teacher_results(Experiment& experiment, StageContext& context, Distillation* distillation,
                         const data::Standardisation& standardisation) {
  const data::Dataset& test = experiment.data().test;
  if (!distillation || distillation->teacher_before().tensors.empty() || test.size() == 0 ||
      context.monitor.trial())
    return;
  const train::Criterion& criterion = experiment.task().criterion();
  nn::Network& teacher = distillation->teacher();
  const auto measure = [&](const char* when) {
    const std::vector<double> losses =
        train::image_losses(teacher, test, standardisation, criterion);
    const double sum = std::accumulate(losses.begin(), losses.end(), 0.0);
    context.results[cat("teacher_loss_", when)] = {sum / static_cast<double>(losses.size()), "",
                                                   Better::lower, "detail"};
    context.results[cat("teacher_", criterion.metric(), "_", when)] = {
        train::evaluate(teacher, test, standardisation, criterion), criterion.unit(),
        criterion.better(), "detail"};
  };
  measure("after");
  teacher.load_state_dict(distillation->teacher_before(), "the teacher before");
  measure("before");
}

}  // namespace

data::Dataset fakes_of_student(Experiment& experiment, const StageContext& context,
                               const Student& student, const StageHandle& fakes) {
  const data::Dataset all = experiment.task().load_fakes(
      context.directory_of(fakes) + "/fake_data.safetensors", experiment.train());
  const int64_t count =
      student.point.count > 0 ? student.point.count : experiment.settings.transfer.fakes;
  return draw_fakes(all, count, Experiment::stream(student.seed, "draw"));
}

void train_teacher(Experiment& experiment, StageContext& context, const std::string& model) {
  SavedNetwork saved{model, experiment.options(), experiment.standardisation(),
                     nn::create_model(model, experiment.options())};
  saved.network->initialise(experiment.stream("teacher").fork("init"));
  saved.network->to(experiment.device);
  finish(experiment, context, saved,
         {.network = *saved.network,
          .train = experiment.data().train,
          .test = experiment.data().test,
          .standardisation = saved.standardisation,
          .criterion = experiment.task().criterion(),
          .stream = experiment.stream("teacher"),
          .monitor = context.monitor},
         experiment.settings.teacher);
}

std::string teacher_file(const std::string& teachers, const std::string& model) {
  return std::filesystem::is_directory(teachers) ? cat(teachers, "/", model, ".safetensors")
                                                 : teachers;
}

namespace {

SavedNetwork saved_teacher(Experiment& experiment, const std::string& model, Device device) {
  const std::string path = teacher_file(experiment.settings.plan.teachers, model);
  SavedNetwork saved = load_network(path, device);
  const nn::ModelOptions expected = experiment.options();
  LIMBECK_CHECK(saved.name == model, path, ": expected the network ", model, ", found ",
                saved.name);
  LIMBECK_CHECK(saved.options.outputs == expected.outputs &&
                    saved.options.channels == expected.channels &&
                    saved.options.size == expected.size,
                path, ": expected ", expected.outputs, " outputs of ", expected.channels,
                " channels of ", expected.size, " pixels, found ", saved.options.outputs, ", ",
                saved.options.channels, " and ", saved.options.size);
  if (saved.scale) {
    const data::ResponseScale &found = *saved.scale, wanted = experiment.task().scale();
    LIMBECK_CHECK(found.low == wanted.low && found.high == wanted.high && found.unit == wanted.unit,
                  path, ": predicts responses of [", found.low, ", ", found.high, "] ", found.unit,
                  ", expected those of the data, [", wanted.low, ", ", wanted.high, "] ",
                  wanted.unit);
  }
  return saved;
}

}  // namespace

DiskUse check_saved_teacher(Experiment& experiment, const std::string& model) {
  constexpr int64_t f32_bytes = 4;
  return {f32_bytes * saved_teacher(experiment, model, cpu).network->parameter_count(), 0};
}

void import_teacher(Experiment& experiment, StageContext& context, const std::string& model) {
  const SavedNetwork saved = saved_teacher(experiment, model, experiment.device);
  const Task& task = experiment.task();
  save_network(context.directory + "/model.safetensors", *saved.network, saved.name, saved.options,
               saved.standardisation, task.scale(),
               experiment.train().size() > 0 ? experiment.train().class_names : saved.class_names);
  std::vector<const train::Criterion*> criteria = task.further_criteria();
  criteria.insert(criteria.begin(), &task.criterion());
  add_test_results(experiment, context, *saved.network, saved.standardisation, criteria);
  context.results["parameters"] = {static_cast<double>(saved.network->parameter_count()),
                                   "parameters", Better::neither, "cost"};
}

void train_from_scratch(Experiment& experiment, StageContext& context, const Student& student,
                        const Guidance& guidance) {
  const SavedNetwork saved{student.pair.student, experiment.options(), experiment.standardisation(),
                           new_student(experiment, student)};
  const std::unique_ptr<Distillation> distillation =
      distillation_of(experiment, context, student, guidance);
  finish(experiment, context, saved,
         {.network = *saved.network,
          .train = experiment.data().train,
          .test = experiment.data().test,
          .standardisation = saved.standardisation,
          .criterion = experiment.task().criterion(),
          .stream = Experiment::stream(student.seed, base_name(student)),
          .monitor = context.monitor,
          .extra = distillation.get()},
         training_of(experiment, student));
  add_teacher_results(experiment, context, distillation.get(), saved.standardisation);
  if (const auto method = method_of(experiment, student); method && method->continues_own_student())
    write_safetensors(auxiliary_in(context.directory), distillation->auxiliary()->state_dict());
}

void train_second_phase(Experiment& experiment, StageContext& context, const Student& student,
                        const StageHandle& first_phase, const StageHandle& fakes,
                        const Guidance& guidance) {
  const train::Settings settings = training_of(experiment, student);
  const SavedNetwork saved = load_network(model_file(context, first_phase), experiment.device);
  const TrainingImages images = second_phase_images(experiment, context, student, fakes);
  if (fakes)
    context.results["fakes"] = {
        static_cast<double>(images.train.size() - experiment.train().size()), "images",
        Better::neither, "cost"};
  const std::unique_ptr<Distillation> distillation =
      distillation_of(experiment, context, student, guidance);
  int64_t steps_per_epoch = 0;
  nn::Trial* const trial = context.monitor.trial();
  if (!fakes || trial) {
    const int64_t size = experiment.images_of_transfer(student.point.rho, student.point.count);
    steps_per_epoch =
        data::steps_per_epoch(size, settings.batch, distillation && distillation->drop_last());
    // A trial's sets of fakes are small. The set, what is drawn of it, and real and fake together.
    if (trial && fakes)
      trial->cost.more_bytes += 2 * std::max<int64_t>(0, size - images.train.size()) *
                                (images.train.images.numel() / images.train.size());
  }
  if (const auto method = method_of(experiment, student); method && method->continues_own_student())
    distillation->begin_with(auxiliary_in(context.directory_of(first_phase)));
  finish(experiment, context, saved,
         {.network = *saved.network,
          .train = images.train,
          .test = experiment.data().test,
          .standardisation = images.standardisation,
          .criterion = experiment.task().criterion(),
          .stream = Experiment::stream(student.seed, base_name(student)),
          .monitor = context.monitor,
          .extra = distillation.get(),
          .steps_per_epoch = steps_per_epoch},
         settings);
  add_teacher_results(experiment, context, distillation.get(), images.standardisation);
}

void run_preparation(Experiment& experiment, StageContext& context, const Student& student,
                     const std::string& preparation, const Guidance& guidance,
                     const StageHandle& first_phase, const StageHandle& fakes) {
  const std::unique_ptr<nn::Network> network =
      first_phase ? load_network(model_file(context, first_phase), experiment.device).network
                  : new_student(experiment, student);
  const SavedNetwork teacher =
      load_network(model_file(context, guidance.teacher), experiment.device);
  teacher.network->set_requires_grad(false);
  teacher.network->eval();
  const TrainingImages images = second_phase_images(experiment, context, student, fakes);
  const data::Split split{images.train, experiment.data().test};
  const NetworkSettings training = student_settings(experiment.settings, student.pair.student);
  PreparationContext preparing{*network,
                               *teacher.network,
                               split,
                               images.standardisation,
                               experiment.task().criterion(),
                               Experiment::stream(student.seed, student.method + "/" + preparation),
                               context.monitor,
                               context.directory,
                               student.pair.student,
                               student.pair.teacher,
                               experiment.options(),
                               training,
                               directories_of(context, guidance)};
  for (const Preparation& p :
       create_method(student.method, experiment.settings.methods)->preparations())
    if (p.name == preparation) return p.run(preparing);
  fail("method ", student.method, ": no preparation '", preparation, "'");
}

}  // namespace limbeck::kd
