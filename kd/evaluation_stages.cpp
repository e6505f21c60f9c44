// Metrics of the sets of fakes.
#include <algorithm>
#include <cmath>
#include <optional>

#include "gan/metrics.h"
#include "kd/checkpoint.h"
#include "kd/outputs.h"
#include "kd/trial_stages.h"
#include "tensor/rows.h"

namespace limbeck::kd {
namespace {

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

/// Entropy of the predicted classes of one kind of image within the groups. Nothing when there is
/// none of them.
void add_type_entropy(Results& results, const std::string& set, const std::vector<Group>& groups,
                      std::vector<int64_t> Group::*kind, const std::vector<int64_t>& predicted) {
  std::vector<std::vector<int64_t>> classes;
  bool any = false;
  for (const Group& g : groups) {
    classes.emplace_back();
    for (const int64_t row : g.*kind) classes.back().push_back(predicted[static_cast<size_t>(row)]);
    any = any || !classes.back().empty();
  }
  if (any)
    results["type_entropy_" + set] = {gan::mean_entropy(classes), "nats", Better::higher, "fakes"};
}

/// What all sets of a stage are measured with.
class Evaluation {
 public:
  Evaluation(Experiment& experiment, StageContext& context, const StageHandle& judge,
             const StageHandle& features)
      : experiment_(experiment),
        context_(context),
        judge_(
            load_network(context.directory_of(judge) + "/model.safetensors", experiment.device)) {
    judge_.network->eval();
    if (features)
      trained_ = task().load_features(experiment.train(), context.directory_of(features),
                                      experiment.device);
    const std::string& types = experiment.settings.evaluation.types;
    if (types.empty()) return;
    types_ = load_type_classifier(types, experiment.options(), experiment.device);
    types_->network->eval();
  }

  const data::Dataset& reference() const {
    const bool test = experiment_.settings.evaluation.reference == "test";
    return test ? experiment_.data().test : experiment_.train();
  }
  Judge judge() { return task().judge(*judge_.network, experiment_.standardisation(), {}); }
  Tensor features_of(const Tensor& images) {
    const bool own = experiment_.settings.evaluation.network == "features";
    const ImageFunction pooled = own ? trained_->pooled : [this](const Variable& x) {
      return judge_.network->forward_features(x).pooled;
    };
    return outputs_for(pooled, images, experiment_.standardisation(), experiment_.device,
                       context_.monitor);
  }

  /// Of the real images, which all sets are compared with.
  void prepare() {
    moments_ = gan::moments_of(official(features_of(reference().images)));
    // Within windows there are few images: training and test ones together, as the original does.
    all_ = task().intra_fid() && experiment_.data().test.size() > 0
               ? data::concatenate(experiment_.train(), experiment_.data().test)
               : experiment_.train();
    if (task().intra_fid()) all_features_ = features_of(all_.images);
    if (types_)
      add_type_entropy(context_.results, "real", task().groups(all_, all_), &Group::real,
                       types_of(all_.images));
  }

  /// The results of a set of fakes; its Frechet distance.
  double add(const std::string& name, const data::Dataset& fakes) {
    const Tensor features = features_of(fakes.images);
    const double fid = gan::frechet_distance(moments_, gan::moments_of(official(features)));
    const std::vector<Group> groups = task().groups(all_, fakes);
    add_diversity(context_.results, name, groups, all_, fakes);
    if (task().intra_fid()) add_intra_fid(name, groups, features);
    if (types_)
      add_type_entropy(context_.results, name, groups, &Group::fake, types_of(fakes.images));
    context_.results["fid_" + name] = {fid, "", Better::lower, "fakes"};
    const Tensor& labels = fakes.labels.defined() ? fakes.labels : fakes.targets;
    kd::add(context_.results, task().describe(fakes, judge()(fakes.images, labels, Stream()), name,
                                              experiment_.settings.fakes.rho));
    return fid;
  }

 private:
  const Task& task() const { return experiment_.task(); }
  Tensor official(const Tensor& features) const {
    const int64_t batch = task().official_batch();
    return batch > 0 ? gan::without_last_batch(features, batch) : features;
  }
  std::vector<int64_t> types_of(const Tensor& images) {
    const auto logits = [this](const Variable& x) { return (*types_->network)(x); };
    return train::argmax_rows(
        outputs_for(logits, images, types_->standardisation, experiment_.device, context_.monitor));
  }

  /// Frechet distances within the windows that have at least two images of both kinds.
  void add_intra_fid(const std::string& set, const std::vector<Group>& groups,
                     const Tensor& features) {
    Results& results = context_.results;
    std::vector<double> distances;
    for (const Group& g : groups) {
      if (g.real.size() < 2 || g.fake.size() < 2) continue;
      stop_if_asked(context_.monitor);
      const int64_t batch = std::min<int64_t>(
          task().official_batch(), static_cast<int64_t>(std::min(g.real.size(), g.fake.size())));
      const auto within = [&](const Tensor& all, const std::vector<int64_t>& rows) {
        const Tensor some = take_rows(all, rows);
        return batch > 0 ? gan::without_last_batch(some, batch) : some;
      };
      distances.push_back(
          gan::frechet_distance(within(all_features_, g.real), within(features, g.fake)));
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

  Experiment& experiment_;
  StageContext& context_;
  const SavedNetwork judge_;
  std::optional<RatioFeatures> trained_;  // none without the stage "features"
  std::optional<SavedNetwork> types_;
  gan::Moments moments_;
  data::Dataset all_;
  Tensor all_features_;
};

}  // namespace

SavedNetwork load_type_classifier(const std::string& path, const nn::ModelOptions& data,
                                  Device device) {
  SavedNetwork saved = load_network(path, device);
  LIMBECK_CHECK(saved.options.task == nn::Task::classification, path,
                ": evaluation.types: expected a classifier, found a regressor");
  LIMBECK_CHECK(saved.options.channels == data.channels && saved.options.size == data.size, path,
                ": evaluation.types: expected a classifier of ", data.channels, " channels of ",
                data.size, " pixels, found ", saved.options.channels, " of ", saved.options.size);
  return saved;
}

void evaluate_fakes(Experiment& experiment, StageContext& context, const StageHandle& judge,
                    const StageHandle& features, const FakeSets& sets) {
  Evaluation evaluation(experiment, context, judge, features);
  const auto total = static_cast<int64_t>(sets.size());
  if (nn::Trial* const trial = context.monitor.trial())
    return try_evaluation(experiment,
                          {[&](const Tensor& images) { return evaluation.features_of(images); },
                           evaluation.judge(), evaluation.reference().size(), total},
                          *trial);
  evaluation.prepare();
  int64_t done = 0;
  for (const auto& [name, stage] : sets) {
    const data::Dataset fakes = experiment.task().load_fakes(
        context.directory_of(stage) + "/fake_data.safetensors", experiment.train());
    const double fid = evaluation.add(name, fakes);
    context.monitor.progress(++done, total, fakes.size(), {{"fid", fid}});
  }
}

}  // namespace limbeck::kd
