#include "kd/workflow_steps.h"

#include <algorithm>
#include <cmath>

#include "gan/metrics.h"
#include "gan/class_conditioning.h"
#include "gan/sampler.h"
#include "nn/images.h"
#include "tensor/transfer.h"

namespace limbeck::kd {
namespace {

std::string file_of(const StageContext& context, const std::string& stage, const std::string& file) { return context.directory_of(StageHandle(stage)) + "/" + file; }

void fill_results(StageContext& context, const TrainResult& r, const nn::Network& network, const Criterion& criterion) {
  context.results[std::string("test_") + criterion.metric()] = {r.test_metric};
  context.results[std::string("train_") + criterion.metric()] = {r.train_metric};
  context.results["loss"] = {r.loss};
  context.results["steps"] = {static_cast<double>(r.steps)};
  context.results["parameters"] = {static_cast<double>(network.parameter_count())};
}

/// The distillation method with its teacher, or neither.
struct Distillation {
  std::unique_ptr<Method> method;
  SavedNetwork teacher;
};

Distillation distillation_of(const World& world, const StageContext& context, const std::string& teacher_stage) {
  Distillation d;
  if (teacher_stage.empty()) return d;
  d.method = create_method(world.settings.distillation);
  d.teacher = load_network(file_of(context, teacher_stage, "model.safetensors"), world.device);
  d.teacher.network->set_requires_grad(false);
  return d;
}

/// Of the gan stage, on the device of the workflow.
std::shared_ptr<gan::Generator> generator_of(const World& world, const StageContext& context) {
  std::shared_ptr<gan::Generator> generator = gan::load_generator(file_of(context, "gan", "generator.safetensors"));
  generator->to(world.device);
  return generator;
}

std::unique_ptr<gan::FeatureNet> features_of(World& world, const StageContext& context) {
  auto net = std::make_unique<gan::FeatureNet>(world.options(), world.settings.features.net);
  const std::string path = file_of(context, "features", "features.safetensors");
  net->load_state_dict(read_safetensors(path), path);
  net->set_requires_grad(false);
  net->eval();
  net->to(world.device);
  return net;
}

std::unique_ptr<gan::RatioNet> new_ratio_net(World& world, int64_t feature) {
  const gan::RatioSettings& s = world.settings.ratio;
  LIMBECK_CHECK(world.data().train.classes > 0, "ratio: this workflow conditions on classes; the data set has responses");
  return std::make_unique<gan::ClassRatioNet>(world.data().train.classes, s.embedding, feature, gan::ratio_widths(s.net, s.width), s.dropout);
}

/// Last tap (the penultimate features) of every image, without augmentation.
Tensor penultimate(nn::Network& network, const Tensor& images, const data::Standardisation& standardisation) {
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
    const Tensor f = network.forward_features(Variable(x)).taps.back().data().to(DType::f32);  // bf16 where activations are
    if (!all.defined()) all = Tensor::empty({n, f.size(1)});
    reader.read({f}, [&all, begin](const Tensors& on_host) { all.rows(begin, begin + on_host[0].size(0)).copy_from(on_host[0]); });
  }
  reader.finish();
  return all;
}

/// The first images of every class, a class per row.
Tensor sheet(const data::Dataset& fakes, int64_t columns) {
  std::vector<int64_t> index;
  for (int64_t c = 0; c < std::min<int64_t>(fakes.classes, 20); ++c) {
    int64_t found = 0;
    for (int64_t i = 0; i < fakes.size() && found < columns; ++i)
      if (fakes.labels.data<int64_t>()[i] == c) index.push_back(i), ++found;
  }
  return data::grid(fakes.select(index).images, columns);
}

}  // namespace

const data::Split& World::data() {
  if (!data_) {
    data_ = std::make_unique<data::Split>(data::load(settings.data));
    LIMBECK_CHECK(data_->train.height() == data_->train.width(), "data: expected square images, found ", data_->train.height(), " x ", data_->train.width());
  }
  return *data_;
}

const data::Standardisation& World::standardisation() {
  if (!standardisation_) standardisation_ = std::make_unique<data::Standardisation>(data::standardisation_of(data().train));
  return *standardisation_;
}

nn::ModelOptions World::options() {
  const data::Dataset& d = data().train;
  return {.outputs = d.classes > 0 ? d.classes : 1, .channels = d.channels(), .size = d.height()};
}

const Criterion& World::criterion() {
  if (!criterion_) {
    if (data().train.classes > 0)
      criterion_ = std::make_unique<ClassificationCriterion>();
    else
      criterion_ = std::make_unique<RegressionCriterion>();
  }
  return *criterion_;
}

int64_t World::fakes_used() {
  const FakeSettings& f = settings.fakes;
  const int64_t kept = f.filter && f.form == "paper" ? std::llround(f.rho * static_cast<double>(f.per_class)) : f.per_class;
  const int64_t all = kept * data().train.classes;
  return settings.transfer.fakes > 0 ? std::min(settings.transfer.fakes, all) : all;
}

void train_from_scratch(World& world, StageContext& context, const std::string& stage, const ClassifierSettings& settings, const std::string& init,
                        const std::string& teacher_stage) {
  const std::unique_ptr<nn::Network> network = nn::create_model(settings.model, world.options());
  network->initialise(world.stream(init).fork("init"));
  network->to(world.device);
  const Distillation d = distillation_of(world, context, teacher_stage);
  const TrainResult r = train({.network = *network,
                               .train = world.data().train,
                               .test = world.data().test,
                               .standardisation = world.standardisation(),
                               .criterion = world.criterion(),
                               .stream = world.stream(stage),
                               .monitor = context.monitor,
                               .method = d.method.get(),
                               .teacher = d.teacher.network.get()},
                              settings);
  save_network(context.directory + "/model.safetensors", *network, settings.model, world.options(), world.standardisation());
  fill_results(context, r, *network, world.criterion());
}

void train_second_phase(World& world, StageContext& context, const std::string& stage, const std::string& fakes_stage, const std::string& teacher_stage) {
  const TransferSettings& settings = world.settings.transfer;
  SavedNetwork student = load_network(file_of(context, "nokd", "model.safetensors"), world.device);
  const data::Dataset& real = world.data().train;
  data::Dataset train_set = real;
  int64_t steps_per_epoch = 0;
  if (!fakes_stage.empty()) {
    const data::Dataset fakes = load_fake_data(file_of(context, fakes_stage, "fake_data.safetensors"), real.classes);
    const data::Dataset drawn = draw_fakes(fakes, settings.fakes, world.stream("draw"));
    train_set = data::concatenate(real, drawn);
    context.results["fakes"] = {static_cast<double>(drawn.size())};
  } else {
    steps_per_epoch = (real.size() + world.fakes_used() + settings.batch - 1) / settings.batch;
  }
  const data::Standardisation standardisation =
      settings.recompute_standardisation && !fakes_stage.empty() ? data::standardisation_of(train_set) : world.standardisation();
  const Distillation d = distillation_of(world, context, teacher_stage);
  const TrainResult r = train({.network = *student.network,
                               .train = train_set,
                               .test = world.data().test,
                               .standardisation = standardisation,
                               .criterion = world.criterion(),
                               .stream = world.stream(stage),
                               .monitor = context.monitor,
                               .method = d.method.get(),
                               .teacher = d.teacher.network.get(),
                               .steps_per_epoch = steps_per_epoch},
                              settings);
  save_network(context.directory + "/model.safetensors", *student.network, student.name, student.options, standardisation);
  fill_results(context, r, *student.network, world.criterion());
}

void train_gan(World& world, StageContext& context) {
  const gan::GanSettings& settings = world.settings.gan;
  gan::GanTrainer trainer(gan::condition_on_classes(world.data().train, settings, world.device), settings, world.stream("gan"), context.monitor, world.device);
  trainer.run();
  write_safetensors(context.directory + "/generator.safetensors", gan::generator_checkpoint(trainer.average()));
  context.results["steps"] = {static_cast<double>(trainer.steps_done())};
  context.results["parameters"] = {static_cast<double>(trainer.average().parameter_count())};
}

void train_features(World& world, StageContext& context) {
  gan::FeatureNet net(world.options(), world.settings.features.net);
  net.initialise(world.stream("features").fork("init"));
  net.to(world.device);
  const TrainResult r = train({.network = net,
                               .train = world.data().train,
                               .test = world.data().test,
                               .standardisation = world.standardisation(),
                               .criterion = world.criterion(),
                               .stream = world.stream("features"),
                               .monitor = context.monitor},
                              world.settings.features);
  TensorFile file = net.state_dict();
  file.metadata = {{"network", "resnet34_extract"}, {"feature", std::to_string(net.feature_size())}};
  write_safetensors(context.directory + "/features.safetensors", file);
  fill_results(context, r, net, world.criterion());
}

void train_density_ratio(World& world, StageContext& context) {
  const std::unique_ptr<gan::FeatureNet> features = features_of(world, context);
  const std::unique_ptr<gan::RatioNet> net = new_ratio_net(world, features->feature_size());
  net->to(world.device);
  const gan::ImageSource source = gan::source_of(generator_of(world, context), world.settings.ratio.batch);
  const nn::Values values =
      gan::train_ratio({*net, *features, source, world.data().train, world.stream("ratio"), context.monitor}, world.settings.ratio);
  TensorFile file = net->state_dict();
  file.metadata = {{"network", world.settings.ratio.net}, {"feature", std::to_string(features->feature_size())}};
  write_safetensors(context.directory + "/ratio.safetensors", file);
  for (const auto& [name, value] : values) context.results[name] = {value};
  context.results["parameters"] = {static_cast<double>(net->parameter_count())};
}

void make_fakes(World& world, StageContext& context, const std::string& stage, bool subsample, bool filter) {
  FakeSettings settings = world.settings.fakes;
  settings.subsample = settings.subsample && subsample;
  settings.filter = settings.filter && filter;
  settings.adjust = settings.adjust && settings.filter;
  std::unique_ptr<gan::FeatureNet> features;
  std::unique_ptr<gan::RatioNet> ratio;
  SavedNetwork teacher;
  FakeTask task{.source = gan::source_of(generator_of(world, context), settings.sampling.batch),
                .directory = context.directory,
                .file = context.directory + "/fake_data.safetensors",
                .metadata = {{"settings", settings_text(settings)}},
                .stream = world.stream(stage),
                .monitor = context.monitor};
  for (int64_t c = 0; c < world.data().train.classes; ++c) task.conditions.push_back(Tensor::of<int64_t>({c}));
  if (settings.subsample) {
    features = features_of(world, context);
    ratio = new_ratio_net(world, features->feature_size());
    const std::string path = file_of(context, "ratio", "ratio.safetensors");
    ratio->load_state_dict(read_safetensors(path), path);
    ratio->to(world.device);
    task.ratio = [&](const Tensor& images, const Tensor& y) { return gan::ratios_of(*ratio, *features, images, y); };
  }
  if (settings.filter) {
    teacher = load_network(file_of(context, "teacher", "model.safetensors"), world.device);
    const FeatureSettings& f = world.settings.features;
    const data::Augmentation augmentation = settings.augment_filter ? data::Augmentation{f.crop_padding, f.flip} : data::Augmentation{};
    task.judge = classifier_judge(*teacher.network, world.standardisation(), augmentation);
  }
  FakeStatistics sum;
  for (const FakeStatistics& s : make_fake_data(task, settings)) {
    sum.proposed += s.proposed, sum.accepted += s.accepted, sum.kept += s.kept;
    sum.candidates += s.candidates, sum.candidates_consistent += s.candidates_consistent, sum.kept_consistent += s.kept_consistent;
  }
  context.results["images"] = {sum.kept};
  context.results["acceptance"] = {sum.accepted / sum.proposed};
  if (sum.candidates > 0) {
    context.results["consistency_before"] = {sum.candidates_consistent / sum.candidates};
    context.results["consistency_after"] = {sum.kept_consistent / sum.kept};
  }
  context.monitor.image(stage, sheet(load_fake_data(task.file, world.data().train.classes), 10));
}

void evaluate_fakes(World& world, StageContext& context, const std::vector<std::string>& classifiers) {
  const EvaluationSettings& s = world.settings.evaluation;
  const std::string metric = std::string("test_") + world.criterion().metric();
  for (const std::string& stage : classifiers)
    context.results[std::string(world.criterion().metric()) + "_" + stage] = {context.result_of(StageHandle(stage), metric)};

  const SavedNetwork teacher = load_network(file_of(context, "teacher", "model.safetensors"), world.device);
  std::unique_ptr<gan::FeatureNet> features;
  if (s.network == "features") features = features_of(world, context);
  nn::Network& network = features ? static_cast<nn::Network&>(*features) : *teacher.network;
  const data::Dataset& reference = s.reference == "test" ? world.data().test : world.data().train;
  const gan::Moments real = gan::moments_of(penultimate(network, reference.images, world.standardisation()));
  const Judge judge = classifier_judge(*teacher.network, world.standardisation(), {});

  const std::vector<std::pair<std::string, std::string>> sets = {{"raw", "fakes_raw"}, {"m1", "fakes_m1"}, {"m2", "fakes"}};
  int64_t done = 0;
  for (const auto& [name, stage] : sets) {
    const data::Dataset fakes = load_fake_data(file_of(context, stage, "fake_data.safetensors"), reference.classes);
    context.results["fid_" + name] = {gan::frechet_distance(real, gan::moments_of(penultimate(network, fakes.images, world.standardisation())))};
    const Judgement j = judge(fakes.images, fakes.labels, Stream());
    context.results["consistency_" + name] = {gan::label_consistency(j.predicted, fakes.labels.to_vector<int64_t>())};
    if (name == "m1") {  // Table 6: the accepted images of each class, before and after dropping those above the rho-quantile
      std::vector<int64_t> predicted, assigned;
      const auto labels = fakes.labels.span<int64_t>();
      for (int64_t c = 0; c < fakes.classes; ++c) {
        std::vector<double> loss;
        std::vector<int64_t> rows;
        for (size_t i = 0; i < labels.size(); ++i)
          if (labels[i] == c) loss.push_back(j.loss[i]), rows.push_back(static_cast<int64_t>(i));
        for (int64_t k : keep_best(loss, world.settings.fakes.rho)) {
          predicted.push_back(j.predicted[static_cast<size_t>(rows[static_cast<size_t>(k)])]);
          assigned.push_back(c);
        }
      }
      context.results["table6_before"] = {context.results["consistency_m1"].value};
      context.results["table6_after"] = {gan::label_consistency(predicted, assigned)};
    }
    context.monitor.progress(++done, static_cast<int64_t>(sets.size()), fakes.size(), {{"fid", context.results["fid_" + name].value}});
  }
}

}  // namespace limbeck::kd
