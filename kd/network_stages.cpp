#include "kd/distillation.h"
#include "kd/stages.h"

namespace limbeck::kd {
namespace {

std::string model_file(const StageContext& context, const StageHandle& stage) {
  return context.directory_of(stage) + "/model.safetensors";
}

NetworkSettings settings_of(const Experiment& experiment, const Student& student) {
  NetworkSettings s = experiment.settings.student;
  s.model = student.pair.student;
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

/// Null without a teacher.
std::unique_ptr<Distillation> distillation_of(Experiment& experiment, const StageContext& context,
                                              const Student& student, const Guidance& guidance) {
  if (!guidance.teacher) return nullptr;
  const auto directory_of = [&context, guidance](const std::string& preparation) {
    return context.directory_of(guidance.preparations.at(preparation));
  };
  return std::make_unique<Distillation>(
      student.method, create_method(student.method, experiment.settings.methods),
      load_network(model_file(context, guidance.teacher), experiment.device).network,
      experiment.task().kind(), directory_of);
}

/// Trains, saves and reports; `task` lacks nothing but what every stage has.
void finish(Experiment& experiment, StageContext& context, const SavedNetwork& saved,
            const train::SupervisedTask& task, const train::Settings& settings) {
  const train::SupervisedResult r = train::fit(task, settings);
  save_network(context.directory + "/model.safetensors", *saved.network, saved.name, saved.options,
               task.standardisation, experiment.task().scale());
  add(context.results, results_of(r, *saved.network, experiment.task().criterion()));
}

}  // namespace

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
         settings_of(experiment, student));
}

void train_second_phase(Experiment& experiment, StageContext& context, const Student& student,
                        const StageHandle& first_phase, const StageHandle& fakes,
                        const Guidance& guidance) {
  const TransferSettings& settings = experiment.settings.transfer;
  const SavedNetwork saved = load_network(model_file(context, first_phase), experiment.device);
  data::Dataset train_set = experiment.train();
  data::Standardisation standardisation = experiment.standardisation();
  int64_t steps_per_epoch = 0;
  if (fakes) {
    const data::Dataset all = experiment.task().load_fakes(
        context.directory_of(fakes) + "/fake_data.safetensors", experiment.train());
    const data::Dataset drawn =
        draw_fakes(all, settings.fakes, Experiment::stream(student.seed, "draw"));
    train_set = data::concatenate(experiment.train(), drawn);
    context.results["fakes"] = {static_cast<double>(drawn.size()), "images", Better::neither,
                                "cost"};
    if (settings.recompute_standardisation)
      standardisation = experiment.task().standardisation(train_set);
  } else {
    steps_per_epoch = (experiment.images_of_transfer() + settings.batch - 1) / settings.batch;
  }
  const std::unique_ptr<Distillation> distillation =
      distillation_of(experiment, context, student, guidance);
  finish(experiment, context, saved,
         {.network = *saved.network,
          .train = train_set,
          .test = experiment.data().test,
          .standardisation = standardisation,
          .criterion = experiment.task().criterion(),
          .stream = Experiment::stream(student.seed, base_name(student)),
          .monitor = context.monitor,
          .extra = distillation.get(),
          .steps_per_epoch = steps_per_epoch},
         settings);
}

void run_preparation(Experiment& experiment, StageContext& context, const Student& student,
                     const std::string& preparation, const Guidance& guidance) {
  const std::unique_ptr<nn::Network> network = new_student(experiment, student);
  const SavedNetwork teacher =
      load_network(model_file(context, guidance.teacher), experiment.device);
  teacher.network->set_requires_grad(false);
  teacher.network->eval();
  PreparationContext preparing{*network,
                               *teacher.network,
                               experiment.data(),
                               experiment.standardisation(),
                               experiment.task().criterion(),
                               Experiment::stream(student.seed, student.method + "/" + preparation),
                               context.monitor,
                               context.directory};
  for (const Preparation& p :
       create_method(student.method, experiment.settings.methods)->preparations())
    if (p.name == preparation) return p.run(preparing);
  fail("method ", student.method, ": no preparation '", preparation, "'");
}

}  // namespace limbeck::kd
