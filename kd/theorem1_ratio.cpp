// The stage that estimates the distance of a set of fakes by a density ratio trained again on it.
#include <algorithm>

#include "kd/outputs.h"
#include "kd/stages.h"
#include "kd/stored_fakes.h"
#include "kd/theorem1_results.h"
#include "tensor/rows.h"

namespace limbeck::kd {
namespace {

/// How often each class occurs, or each tenth of the scale (responses in [0, 1], or a little out).
std::vector<int64_t> label_counts(const data::Dataset& d) {
  if (d.classes > 0) return d.histogram();
  std::vector<int64_t> counts(10, 0);
  for (const float y : d.targets.span<float>())
    ++counts[static_cast<size_t>(std::clamp(10 * y, 0.0f, 9.0f))];
  return counts;
}

/// Of the images under their own labels.
std::vector<double> ratios_on(gan::RatioNet& net, const RatioFeatures& features,
                              const data::Dataset& fakes, nn::Monitor& monitor) {
  constexpr int64_t batch = 200;
  std::vector<double> ratios;
  for (int64_t begin = 0; begin < fakes.size(); begin += batch) {
    stop_if_asked(monitor);
    std::vector<int64_t> rows;
    for (int64_t i = begin; i < std::min(begin + batch, fakes.size()); ++i) rows.push_back(i);
    const Tensor images = data::make_batch(fakes.images, rows, {}, data::halves(fakes), Stream());
    const Tensor found =
        gan::ratios_of(net, features.extractor, images, take_rows(labels_of(fakes), rows)).to(cpu);
    for (const float r : found.span<float>()) ratios.push_back(r);
  }
  return ratios;
}

}  // namespace

void measure_ratio(Experiment& experiment, StageContext& context, const RatioInputs& inputs) {
  const Task& task = experiment.task();
  const gan::RatioSettings& settings = experiment.settings.ratio;
  const data::Dataset real = task.for_generation(experiment.train());
  const data::Dataset fakes = task.for_generation(task.load_fakes(
      context.directory_of(inputs.fakes) + "/fake_data.safetensors", experiment.train()));
  const RatioFeatures features = task.load_features(
      experiment.train(), context.directory_of(inputs.features), experiment.device);
  const auto net =
      task.ratio_net(experiment.train(), settings, features.extractor.size(),
                     load_label_embedding(experiment, context, inputs.label_embedding));
  net->to(experiment.device);
  const Stream stream = experiment.stream("theorem1/ratio");
  // The ratio of images that it has seen is not what it would say of others.
  const auto halves = halves_by_label(fakes, stream.fork("halves"));
  const data::Dataset& unseen = halves.second;
  const gan::ImageSource source{StoredFakes(halves.first, settings.flip)};
  gan::train_ratio({*net, features.extractor, source, real, stream, context.monitor}, settings);
  if (nn::Trial* const trial = context.monitor.trial())
    return trial->measure(1, [&] { ratios_on(*net, features, unseen, context.monitor); });
  const std::vector<double> ratios = ratios_on(*net, features, unseen, context.monitor);
  const Estimate of_images = gap_of_ratio(ratios);
  const double of_labels = gap_of_labels(label_counts(real), label_counts(fakes));
  put_theorem1(context, "tv_ratio", {std::min(1.0, of_images.mean + of_labels), of_images.error});
  put_theorem1(context, "mean_ratio", estimate(ratios));
  put_theorem1(context, "tv_labels", of_labels);
}

}  // namespace limbeck::kd
