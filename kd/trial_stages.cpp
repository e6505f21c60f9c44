#include "kd/trial_stages.h"

#include <algorithm>
#include <cmath>

#include "tensor/rows.h"

namespace limbeck::kd {
namespace {

/// Images of one condition.
struct Counts {
  double generated = 0, judged = 0;
};

Counts counts_of(const FakeSettings& s, bool by_class) {
  double calls = 1, accepted = static_cast<double>(s.per_class);
  if (by_class && s.filter &&
      s.form == "official") {  // a cut-off, then halves until there are enough
    const auto half = static_cast<double>(std::max<int64_t>(1, s.per_class / 2));
    const double rounds = std::ceil(static_cast<double>(s.per_class) / (half * s.rho));
    calls = 1 + rounds;
    accepted = static_cast<double>(s.filter_burn_in) + rounds * half;
  }
  const double judged = s.filter ? accepted : 0;
  if (!s.subsample) return {accepted, judged};
  return {calls * static_cast<double>(s.sampling.burn_in) + accepted / assumed_acceptance, judged};
}

/// Twice the first image for each condition.
int64_t write_small_set(Experiment& e, const FakeTask& task, const Tensor& images) {
  std::vector<Tensor> labels;
  for (const Tensor& condition : task.conditions) labels.push_back(gan::repeat(condition, 2));
  Tensor all = join_rows(labels);
  if (e.task().kind() == nn::Task::regression) all = e.task().scale().from_unit(all);
  const int64_t n = all.size(0);
  TensorFile file;
  file.add("fake_images",
           to_channels_first(take_rows(images, std::vector<int64_t>(static_cast<size_t>(n), 0))));
  file.add("fake_labels", all);
  write_safetensors(task.file, file);
  return n;
}

}  // namespace

void try_fakes(Experiment& e, const FakeTask& task, const FakeSettings& s, nn::Trial& trial) {
  const bool by_class = e.task().kind() == nn::Task::classification;
  const int64_t n = std::min<int64_t>(s.sampling.batch, 32);
  const Tensor y = gan::repeat(task.conditions.at(0), n);
  Tensor images;
  const auto generate = [&] {
    images = task.source(y, task.stream);
    if (s.subsample) task.ratio(images, y).to(cpu);
    images = images.to(cpu);
  };
  const Counts counts = counts_of(s, by_class);
  const double batches = static_cast<double>(task.conditions.size()) / static_cast<double>(n);
  generate();  // memory is taken and kernels are chosen
  trial.measure(batches * counts.generated, generate);
  const Tensor bytes = data::to_bytes(images);
  const auto judge = [&] { task.judge(bytes, y, task.stream); };
  if (s.filter) judge(), trial.measure(batches * counts.judged, judge);
  const int64_t missing = e.task().fakes_used(e.train(), s, 0) - write_small_set(e, task, bytes);
  const int64_t size = bytes.numel() / n;
  trial.cost.more_disk += missing * size;
  trial.cost.more_bytes += 2 * missing * size;  // the parts and the whole
}

void try_evaluation(Experiment& e, const EvaluationTrial& evaluation, nn::Trial& trial) {
  const data::Dataset& real = e.train();
  const int64_t n = std::min<int64_t>(real.size(), 100);
  const Tensor images = real.images.rows(0, n);
  const Tensor labels = (real.labels.defined() ? real.labels : real.targets).rows(0, n);
  const double sets = static_cast<double>(evaluation.sets);
  const double fakes = sets * static_cast<double>(e.settings.fakes.per_class) *
                       static_cast<double>(e.task().conditions(real).size());
  const double of_all = 1 / static_cast<double>(n);
  Tensor features = evaluation.features(images);  // memory is taken and kernels are chosen
  trial.measure((static_cast<double>(evaluation.reference) + fakes) * of_all,
                [&] { features = evaluation.features(images); });
  trial.measure(fakes * of_all, [&] { evaluation.judge(images, labels, Stream()); });
  // The features of all real images and of a set.
  trial.cost.more_bytes +=
      (evaluation.reference + std::llround(fakes / sets)) * features.size(1) * 4;
  const gan::Moments moments = gan::moments_of(features);
  trial.measure(sets, [&] { gan::frechet_distance(moments, moments); });
  if (!e.task().intra_fid()) return;
  const auto windows = static_cast<double>(e.task().groups(real, real).size());
  trial.measure(sets * windows, [&] { gan::frechet_distance(features, features); });
}

}  // namespace limbeck::kd
