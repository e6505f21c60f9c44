#include <optional>

#include "gan/sampler.h"
#include "gan/trainer.h"
#include "kd/checkpoint.h"
#include "kd/trial_stages.h"

namespace limbeck::kd {
namespace {

gan::TrainedGenerator load_generator_of(const Experiment& experiment, const StageContext& context,
                                        const StageHandle& gan) {
  gan::TrainedGenerator generator =
      gan::load_trained_generator(context.directory_of(gan) + "/generator.safetensors");
  generator.to(experiment.device);
  return generator;
}

RatioFeatures load_features_of(Experiment& experiment, const StageContext& context,
                               const StageHandle& features) {
  return experiment.task().load_features(experiment.train(), context.directory_of(features),
                                         experiment.device);
}

/// The generator's own, or that of the stage.
LabelNet label_net(const gan::TrainedGenerator& generator, const Experiment& experiment,
                   const StageContext& context, const StageHandle& label_embedding) {
  return generator.embedding ? generator.embedding
                             : load_label_embedding(experiment, context, label_embedding);
}

std::unique_ptr<gan::RatioNet> new_ratio_net(Experiment& experiment, const RatioFeatures& features,
                                             const LabelNet& embedding) {
  std::unique_ptr<gan::RatioNet> net = experiment.task().ratio_net(
      experiment.train(), experiment.settings.ratio, features.extractor.size(), embedding);
  net->to(experiment.device);
  return net;
}

data::Dataset saved_fakes(Experiment& experiment) {
  data::Dataset fakes =
      experiment.task().load_fakes(experiment.settings.plan.fake_data, experiment.train());
  data::concatenate(experiment.train().select({0}), fakes);  // refuses images of another shape
  return fakes;
}

}  // namespace

void train_gan(Experiment& experiment, StageContext& context, const StageHandle& label_embedding) {
  const gan::GanSettings& settings = experiment.settings.gan;
  const Task& task = experiment.task();
  const LabelNet embedding = load_label_embedding(experiment, context, label_embedding);
  gan::GanTrainer trainer(task.conditioning(task.for_generation(experiment.train()), settings,
                                            embedding, experiment.device),
                          settings, experiment.stream("gan"), context.monitor, experiment.device);
  trainer.run();
  write_safetensors(context.directory + "/generator.safetensors",
                    gan::trained_generator_checkpoint(trainer.average(), embedding, task.scale()));
  context.results["steps"] = {static_cast<double>(trainer.steps_done()), "steps", Better::neither,
                              "cost"};
  context.results["parameters"] = {static_cast<double>(trainer.average().parameter_count()),
                                   "parameters", Better::neither, "cost"};
}

void train_features(Experiment& experiment, StageContext& context) {
  gan::FeatureNet net(experiment.options(), experiment.settings.features.net);
  net.initialise(experiment.stream("features").fork("init"));
  net.to(experiment.device);
  const train::SupervisedResult r = train::fit({.network = net,
                                                .train = experiment.data().train,
                                                .test = experiment.data().test,
                                                .standardisation = experiment.standardisation(),
                                                .criterion = experiment.task().criterion(),
                                                .stream = experiment.stream("features"),
                                                .monitor = context.monitor},
                                               experiment.settings.features);
  TensorFile file = net.state_dict();
  file.metadata = {{"network", "resnet34_extract"},
                   {"feature", std::to_string(net.feature_size())}};
  write_safetensors(context.directory + "/features.safetensors", file);
  add(context.results, results_of(r, net, experiment.task().criterion()));
}

void train_density_ratio(Experiment& experiment, StageContext& context, const StageHandle& gan,
                         const StageHandle& features_stage, const StageHandle& label_embedding) {
  const gan::RatioSettings& settings = experiment.settings.ratio;
  const RatioFeatures features = load_features_of(experiment, context, features_stage);
  const gan::TrainedGenerator generator = load_generator_of(experiment, context, gan);
  const std::unique_ptr<gan::RatioNet> net = new_ratio_net(
      experiment, features, label_net(generator, experiment, context, label_embedding));
  const gan::ImageSource source = gan::source_of(generator, settings.batch);
  const data::Dataset real = experiment.task().for_generation(experiment.train());
  const nn::Values values = gan::train_ratio(
      {*net, features.extractor, source, real, experiment.stream("ratio"), context.monitor},
      settings);
  TensorFile file = net->state_dict();
  file.metadata = {{"network", settings.net},
                   {"feature", std::to_string(features.extractor.size())}};
  write_safetensors(context.directory + "/ratio.safetensors", file);
  for (const auto& [name, value] : values)
    context.results[name] = {value, "", Better::neither,
                             name.starts_with("ratio_") ? "fakes" : "detail"};
  context.results["parameters"] = {static_cast<double>(net->parameter_count()), "parameters",
                                   Better::neither, "cost"};
}

FakeSettings fakes_of(const Experiment& experiment, const FakeInputs& inputs) {
  FakeSettings s = experiment.settings.fakes;
  s.subsample = s.subsample && inputs.ratio;
  s.filter = s.filter && inputs.judge;
  s.adjust = s.adjust && s.filter && !inputs.assigned;
  if (inputs.rho > 0) s.rho = inputs.rho;
  return in_effect(s, experiment.settings.task == "regression");
}

void make_fakes(Experiment& experiment, StageContext& context, const std::string& name,
                const FakeInputs& inputs) {
  const FakeSettings settings = fakes_of(experiment, inputs);
  const gan::TrainedGenerator generator = load_generator_of(experiment, context, inputs.gan);
  std::optional<RatioFeatures> features;
  std::unique_ptr<gan::RatioNet> ratio;
  SavedNetwork judge;
  FakeTask task{.source = gan::source_of(generator, settings.sampling.batch),
                .conditions = experiment.task().conditions(experiment.train()),
                .directory = context.directory,
                .file = context.directory + "/fake_data.safetensors",
                .metadata = {{"settings", settings_text(settings)}},
                .stream = experiment.stream(name),
                .monitor = context.monitor};
  if (settings.subsample) {
    features = load_features_of(experiment, context, inputs.features);
    ratio = new_ratio_net(experiment, *features,
                          label_net(generator, experiment, context, inputs.label_embedding));
    const std::string path = context.directory_of(inputs.ratio) + "/ratio.safetensors";
    ratio->load_state_dict(read_safetensors(path), path);
    task.ratio = [&](const Tensor& images, const Tensor& y) {
      return gan::ratios_of(*ratio, features->extractor, images, y);
    };
  }
  if (settings.filter) {
    judge =
        load_network(context.directory_of(inputs.judge) + "/model.safetensors", experiment.device);
    const FeatureSettings& f = experiment.settings.features;
    const data::Augmentation augmentation =
        settings.augment_filter ? data::Augmentation{f.crop_padding, f.flip} : data::Augmentation{};
    task.judge =
        experiment.task().judge(*judge.network, experiment.standardisation(), augmentation);
  }
  if (nn::Trial* const trial = context.monitor.trial())
    return try_fakes(experiment, task, settings, *trial);
  add(context.results, experiment.task().make_fakes(task, settings));
  context.monitor.image(
      name, experiment.task().sheet(experiment.task().load_fakes(task.file, experiment.train())));
}

DiskUse check_saved_fakes(Experiment& experiment) {
  return {saved_fakes(experiment).images.bytes(), 0};
}

void import_fakes(Experiment& experiment, StageContext& context) {
  const data::Dataset fakes = saved_fakes(experiment);
  write_safetensors(context.directory + "/fake_data.safetensors",
                    read_safetensors(experiment.settings.plan.fake_data));
  context.results["images"] = {static_cast<double>(fakes.size()), "images", Better::neither,
                               "cost"};
  context.monitor.image("fakes", experiment.task().sheet(fakes));
}

}  // namespace limbeck::kd
