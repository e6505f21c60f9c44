#include <algorithm>

#include "gan/metrics.h"
#include "gan/sampler.h"
#include "gan/trainer.h"
#include "kd/checkpoint.h"
#include "kd/stages.h"
#include "nn/images.h"
#include "tensor/transfer.h"

namespace limbeck::kd {
namespace {

std::shared_ptr<gan::Generator> load_generator_of(const Experiment& experiment,
                                                  const StageContext& context,
                                                  const StageHandle& gan) {
  std::shared_ptr<gan::Generator> generator =
      gan::load_generator(context.directory_of(gan) + "/generator.safetensors");
  generator->to(experiment.device);
  return generator;
}

std::unique_ptr<gan::FeatureNet> load_features_of(Experiment& experiment,
                                                  const StageContext& context,
                                                  const StageHandle& features) {
  auto net =
      std::make_unique<gan::FeatureNet>(experiment.options(), experiment.settings.features.net);
  const std::string path = context.directory_of(features) + "/features.safetensors";
  net->load_state_dict(read_safetensors(path), path);
  net->set_requires_grad(false);
  net->eval();
  net->to(experiment.device);
  return net;
}

std::unique_ptr<gan::RatioNet> new_ratio_net(Experiment& experiment,
                                             const gan::FeatureNet& features) {
  std::unique_ptr<gan::RatioNet> net = experiment.task().ratio_net(
      experiment.train(), experiment.settings.ratio, features.feature_size());
  net->to(experiment.device);
  return net;
}

/// Pooled features of every image, without augmentation.
Tensor features_of_images(nn::Network& network, const Tensor& images,
                          const data::Standardisation& standardisation) {
  const NoGrad no_grad;
  network.eval();
  constexpr int64_t batch = 200;
  const int64_t n = images.size(0);
  const Device device = network.device();
  const nn::ImageStandardiser standardise(standardisation.mean, standardisation.deviation, device);
  Tensor all;
  LateReader reader;
  for (int64_t begin = 0; begin < n; begin += batch) {
    const Tensor x = standardise(images.rows(begin, std::min(begin + batch, n)).to(device));
    const Tensor f = network.forward_features(Variable(x))
                         .pooled.data()
                         .to(DType::f32);  // bf16 where activations are
    if (!all.defined()) all = Tensor::empty({n, f.size(1)});
    reader.read({f}, [&all, begin](const Tensors& on_host) {
      all.rows(begin, begin + on_host[0].size(0)).copy_from(on_host[0]);
    });
  }
  reader.finish();
  return all;
}

}  // namespace

void train_gan(Experiment& experiment, StageContext& context) {
  const gan::GanSettings& settings = experiment.settings.gan;
  gan::GanTrainer trainer(
      experiment.task().conditioning(experiment.train(), settings, experiment.device), settings,
      experiment.stream("gan"), context.monitor, experiment.device);
  trainer.run();
  write_safetensors(context.directory + "/generator.safetensors",
                    gan::generator_checkpoint(trainer.average()));
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
                         const StageHandle& features_stage) {
  const gan::RatioSettings& settings = experiment.settings.ratio;
  const std::unique_ptr<gan::FeatureNet> features =
      load_features_of(experiment, context, features_stage);
  const std::unique_ptr<gan::RatioNet> net = new_ratio_net(experiment, *features);
  const gan::ImageSource source =
      gan::source_of(load_generator_of(experiment, context, gan), settings.batch);
  const nn::Values values = gan::train_ratio(
      {*net, *features, source, experiment.train(), experiment.stream("ratio"), context.monitor},
      settings);
  TensorFile file = net->state_dict();
  file.metadata = {{"network", settings.net},
                   {"feature", std::to_string(features->feature_size())}};
  write_safetensors(context.directory + "/ratio.safetensors", file);
  for (const auto& [name, value] : values)
    context.results[name] = {value, "", Better::neither,
                             name.starts_with("ratio_") ? "fakes" : "detail"};
  context.results["parameters"] = {static_cast<double>(net->parameter_count()), "parameters",
                                   Better::neither, "cost"};
}

void make_fakes(Experiment& experiment, StageContext& context, const std::string& name,
                const FakeInputs& inputs) {
  FakeSettings settings = experiment.settings.fakes;
  settings.subsample = settings.subsample && inputs.ratio;
  settings.filter = settings.filter && inputs.judge;
  settings.adjust = settings.adjust && settings.filter;
  std::unique_ptr<gan::FeatureNet> features;
  std::unique_ptr<gan::RatioNet> ratio;
  SavedNetwork judge;
  FakeTask task{.source = gan::source_of(load_generator_of(experiment, context, inputs.gan),
                                         settings.sampling.batch),
                .conditions = experiment.task().conditions(experiment.train()),
                .directory = context.directory,
                .file = context.directory + "/fake_data.safetensors",
                .metadata = {{"settings", settings_text(settings)}},
                .stream = experiment.stream(name),
                .monitor = context.monitor};
  if (settings.subsample) {
    features = load_features_of(experiment, context, inputs.features);
    ratio = new_ratio_net(experiment, *features);
    const std::string path = context.directory_of(inputs.ratio) + "/ratio.safetensors";
    ratio->load_state_dict(read_safetensors(path), path);
    task.ratio = [&](const Tensor& images, const Tensor& y) {
      return gan::ratios_of(*ratio, *features, images, y);
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
  add(context.results, experiment.task().describe(make_fake_data(task, settings)));
  context.monitor.image(
      name, experiment.task().sheet(experiment.task().load_fakes(task.file, experiment.train())));
}

void import_fakes(Experiment& experiment, StageContext& context) {
  const std::string& path = experiment.settings.plan.fake_data;
  const data::Dataset fakes = experiment.task().load_fakes(path, experiment.train());
  data::concatenate(experiment.train(), fakes);  // refuses images of another shape
  write_safetensors(context.directory + "/fake_data.safetensors", read_safetensors(path));
  context.results["images"] = {static_cast<double>(fakes.size()), "images", Better::neither,
                               "cost"};
  context.monitor.image("fakes", experiment.task().sheet(fakes));
}

void evaluate_fakes(Experiment& experiment, StageContext& context, const StageHandle& judge_stage,
                    const StageHandle& features_stage, const FakeSets& sets) {
  const EvaluationSettings& s = experiment.settings.evaluation;
  const Task& task = experiment.task();
  const SavedNetwork judge_network =
      load_network(context.directory_of(judge_stage) + "/model.safetensors", experiment.device);
  std::unique_ptr<gan::FeatureNet> features;
  if (s.network == "features") features = load_features_of(experiment, context, features_stage);
  nn::Network& network = features ? static_cast<nn::Network&>(*features) : *judge_network.network;
  const data::Dataset& reference =
      s.reference == "test" ? experiment.data().test : experiment.train();
  const gan::Moments real =
      gan::moments_of(features_of_images(network, reference.images, experiment.standardisation()));
  const Judge judge = task.judge(*judge_network.network, experiment.standardisation(), {});
  int64_t done = 0;
  for (const auto& [name, stage] : sets) {
    const data::Dataset fakes =
        task.load_fakes(context.directory_of(stage) + "/fake_data.safetensors", experiment.train());
    const double fid = gan::frechet_distance(
        real,
        gan::moments_of(features_of_images(network, fakes.images, experiment.standardisation())));
    context.results["fid_" + name] = {fid, "", Better::lower, "fakes"};
    add(context.results, task.describe(fakes, judge(fakes.images, fakes.labels, Stream()), name,
                                       experiment.settings.fakes.rho));
    context.monitor.progress(++done, static_cast<int64_t>(sets.size()), fakes.size(),
                             {{"fid", fid}});
  }
}

}  // namespace limbeck::kd
