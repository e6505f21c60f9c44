// Metrics of the sets of fakes.
#include <algorithm>
#include <cmath>

#include "gan/metrics.h"
#include "kd/checkpoint.h"
#include "kd/trial_stages.h"
#include "nn/images.h"
#include "tensor/rows.h"
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

gan::Moments moments_of(const Tensor& features, int64_t official_batch) {
  return gan::moments_of(official_batch > 0 ? gan::without_last_batch(features, official_batch)
                                            : features);
}

/// Mean pixel distance within the groups over that of real images. Near 0: the generator makes one
/// image per condition. Nothing without a group of two.
void add_diversity(Results& results, const std::string& set, const std::vector<Group>& groups,
                   const data::Dataset& real, const data::Dataset& fakes) {
  double of_real = 0, of_fakes = 0;
  for (const Group& g : groups) {
    if (g.real.size() < 2 || g.fake.size() < 2) continue;
    of_real += gan::mean_pixel_distance(take_rows(real.images, g.real));
    of_fakes += gan::mean_pixel_distance(take_rows(fakes.images, g.fake));
  }
  if (of_real > 0) results["diversity_" + set] = {of_fakes / of_real, "", Better::higher, "fakes"};
}

/// Frechet distances within the windows that have at least two images of both kinds.
void add_intra_fid(Results& results, const std::string& set, const std::vector<Group>& groups,
                   const Tensor& real, const Tensor& fakes, int64_t official_batch) {
  std::vector<double> distances;
  for (const Group& g : groups) {
    if (g.real.size() < 2 || g.fake.size() < 2) continue;
    const int64_t batch = std::min<int64_t>(
        official_batch, static_cast<int64_t>(std::min(g.real.size(), g.fake.size())));
    distances.push_back(gan::frechet_distance(moments_of(take_rows(real, g.real), batch),
                                              moments_of(take_rows(fakes, g.fake), batch)));
  }
  const double n = static_cast<double>(distances.size());
  results["intra_fid_windows_" + set] = {n, "windows", Better::neither, "detail"};
  if (distances.empty()) return;
  double mean = 0, square = 0;
  for (const double d : distances) mean += d / n;
  for (const double d : distances) square += (d - mean) * (d - mean) / n;
  results["intra_fid_" + set] = {mean, "", Better::lower, "fakes"};
  results["intra_fid_deviation_" + set] = {std::sqrt(square), "", Better::neither, "detail"};
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
  const Judge judge = task.judge(network, standardisation, {});
  const auto moments_of_images = [&](const Tensor& images) {
    return moments_of(features_of(images), task.official_batch());
  };
  if (nn::Trial* const trial = context.monitor.trial())
    return try_evaluation(
        experiment, {moments_of_images, judge, real.size(), static_cast<int64_t>(sets.size())},
        *trial);
  const gan::Moments moments = moments_of_images(real.images);
  // Within windows there are few images: training and test ones together, as the original does.
  const data::Dataset all = task.intra_fid() && experiment.data().test.size() > 0
                                ? data::concatenate(experiment.train(), experiment.data().test)
                                : experiment.train();
  const Tensor all_features = task.intra_fid() ? features_of(all.images) : Tensor();
  int64_t done = 0;
  for (const auto& [name, stage] : sets) {
    const data::Dataset fakes =
        task.load_fakes(context.directory_of(stage) + "/fake_data.safetensors", experiment.train());
    const Tensor features = features_of(fakes.images);
    const double fid = gan::frechet_distance(moments, moments_of(features, task.official_batch()));
    const std::vector<Group> groups = task.groups(all, fakes);
    add_diversity(context.results, name, groups, all, fakes);
    if (task.intra_fid())
      add_intra_fid(context.results, name, groups, all_features, features, task.official_batch());
    context.results["fid_" + name] = {fid, "", Better::lower, "fakes"};
    const Tensor& labels = fakes.labels.defined() ? fakes.labels : fakes.targets;
    add(context.results, task.describe(fakes, judge(fakes.images, labels, Stream()), name,
                                       experiment.settings.fakes.rho));
    context.monitor.progress(++done, static_cast<int64_t>(sets.size()), fakes.size(),
                             {{"fid", fid}});
  }
}

}  // namespace limbeck::kd
