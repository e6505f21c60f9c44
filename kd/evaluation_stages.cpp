// Metrics of the sets of fakes.
#include <algorithm>

#include "gan/metrics.h"
#include "kd/checkpoint.h"
#include "kd/stages.h"
#include "nn/images.h"
#include "tensor/transfer.h"

namespace limbeck::kd {
namespace {

using Features = std::function<Variable(const Variable&)>;

/// Features of every image on the host, without augmentation.
Tensor features_of_images(const Features& features, const Tensor& images,
                          const data::Standardisation& standardisation, Device device) {
  const NoGrad no_grad;
  constexpr int64_t batch = 200;
  const int64_t n = images.size(0);
  const nn::ImageStandardiser standardise(standardisation.mean, standardisation.deviation, device);
  Tensor all;
  LateReader reader;
  for (int64_t begin = 0; begin < n; begin += batch) {
    const Tensor x = standardise(images.rows(begin, std::min(begin + batch, n)).to(device));
    const Tensor f = features(Variable(x)).data().to(DType::f32);  // bf16 where activations are
    if (!all.defined()) all = Tensor::empty({n, f.size(1)});
    reader.read({f}, [&all, begin](const Tensors& on_host) {
      all.rows(begin, begin + on_host[0].size(0)).copy_from(on_host[0]);
    });
  }
  reader.finish();
  return all;
}

}  // namespace

void evaluate_fakes(Experiment& experiment, StageContext& context, const StageHandle& judge_stage,
                    const StageHandle& features_stage, const FakeSets& sets) {
  const EvaluationSettings& s = experiment.settings.evaluation;
  const Task& task = experiment.task();
  const data::Standardisation& standardisation = experiment.standardisation();
  const SavedNetwork judge_network =
      load_network(context.directory_of(judge_stage) + "/model.safetensors", experiment.device);
  nn::Network& network = *judge_network.network;
  network.eval();
  const RatioFeatures trained = task.load_features(
      experiment.train(), context.directory_of(features_stage), experiment.device);
  const Features pooled = s.network == "features" ? trained.pooled : [&network](const Variable& x) {
    return network.forward_features(x).pooled;
  };
  const auto features_of = [&](const Tensor& images) {
    return features_of_images(pooled, images, standardisation, experiment.device);
  };
  const data::Dataset& real = s.reference == "test" ? experiment.data().test : experiment.train();
  const gan::Moments moments = gan::moments_of(features_of(real.images));
  const Judge judge = task.judge(network, standardisation, {});
  int64_t done = 0;
  for (const auto& [name, stage] : sets) {
    const data::Dataset fakes =
        task.load_fakes(context.directory_of(stage) + "/fake_data.safetensors", experiment.train());
    const double fid = gan::frechet_distance(moments, gan::moments_of(features_of(fakes.images)));
    context.results["fid_" + name] = {fid, "", Better::lower, "fakes"};
    const Tensor& labels = fakes.labels.defined() ? fakes.labels : fakes.targets;
    add(context.results, task.describe(fakes, judge(fakes.images, labels, Stream()), name,
                                       experiment.settings.fakes.rho));
    context.monitor.progress(++done, static_cast<int64_t>(sets.size()), fakes.size(),
                             {{"fid", fid}});
  }
}

}  // namespace limbeck::kd
