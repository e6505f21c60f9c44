// The stage that measures the terms of Theorem 1 for one student (kd/theorem1.h).
#include <algorithm>
#include <cmath>
#include <string_view>
#include <unordered_set>

#include "kd/checkpoint.h"
#include "kd/outputs.h"
#include "kd/stages.h"
#include "kd/theorem1_results.h"

namespace limbeck::kd {
namespace {

/// Hashes of the bytes of each image.
std::vector<size_t> hashes_of(const Tensor& images) {
  std::vector<size_t> all;
  const auto bytes = static_cast<size_t>(images.numel() / images.size(0));
  for (int64_t i = 0; i < images.size(0); ++i) {
    const auto* begin = reinterpret_cast<const char*>(images.rows(i, i + 1).data<uint8_t>());
    all.push_back(std::hash<std::string_view>()({begin, bytes}));
  }
  return all;
}

/// The images of a set that are not among the drawn ones.
data::Dataset others(const data::Dataset& set, const data::Dataset& drawn) {
  const std::vector<size_t> all = hashes_of(set.images), used = hashes_of(drawn.images);
  const std::unordered_set<size_t> known(used.begin(), used.end());
  std::vector<int64_t> rows;
  for (size_t i = 0; i < all.size(); ++i)
    if (!known.contains(all[i])) rows.push_back(static_cast<int64_t>(i));
  return set.select(rows);
}

class Measurement {
 public:
  Measurement(Experiment& experiment, StageContext& context, const Student& student,
              const Theorem1Inputs& inputs)
      : experiment_(experiment),
        context_(context),
        student_(load(inputs.student)),
        first_(load(inputs.first_phase)),
        inputs_(inputs),
        set_(experiment.task().load_fakes(
            context.directory_of(inputs.fakes) + "/fake_data.safetensors", experiment.train())),
        drawn_(fakes_of_student(experiment, context, student, inputs.fakes)) {
    if (inputs.judge) judge_ = load(inputs.judge);
  }

  void operator()() {
    sizes();
    const double bound = losses();
    teacher();
    gap(bound);
  }
  /// One of the passes over images, for a trial: how many times 200 images go through a network.
  double passes() const {
    const int64_t of_test = judge_.network ? 5 : 4;
    return static_cast<double>(real().size() + of_test * test().size() + 3 * set_.size()) / 200;
  }
  void one_pass() {
    const std::vector<int64_t> rows(200, 0);
    losses_of(student_, real().select(rows));
  }

 private:
  const data::Dataset& real() const { return experiment_.train(); }
  const data::Dataset& test() const { return experiment_.data().test; }
  bool by_class() const { return experiment_.task().kind() == nn::Task::classification; }
  SavedNetwork load(const StageHandle& stage) {
    SavedNetwork saved =
        load_network(context_.directory_of(stage) + "/model.safetensors", experiment_.device);
    saved.network->eval();
    return saved;
  }
  std::vector<double> losses_of(const SavedNetwork& n, const data::Dataset& d) {
    stop_if_asked(context_.monitor);
    return train::image_losses(*n.network, d, n.standardisation, experiment_.task().criterion());
  }
  void put(const std::string& key, double value, Better better = Better::neither) {
    put_theorem1(context_, key, value, better);
  }
  void put(const std::string& key, const Estimate& e, Better better = Better::neither) {
    put_theorem1(context_, key, e, better);
  }

  void sizes() {
    const ExperimentSettings& s = experiment_.settings;
    n_ = real().size() + drawn_.size();
    theta_ = static_cast<double>(real().size()) / static_cast<double>(n_);
    put("real_images", static_cast<double>(real().size()));
    put("fake_images", static_cast<double>(drawn_.size()));
    put("theta", theta_);
    put("theta_of_run", theta_of_run(real().size(), n_, s.student.epochs, s.transfer.epochs));
  }

  /// Of the student; what bounds them.
  double losses() {
    std::vector<double> all = losses_of(student_, real());
    on_test_ = losses_of(student_, test());
    for (const auto& more : {losses_of(student_, drawn_), on_test_})
      all.insert(all.end(), more.begin(), more.end());
    const LossBound found = loss_bound(all);
    const double bound = by_class() ? found.quantile : found.largest;
    put("loss_bound", bound), put("largest_loss", found.largest);
    put("share_above", by_class() ? found.share_above : 0);
    put("student_loss", estimate(on_test_), Better::lower);
    put("first_loss", estimate(losses_of(first_, test())), Better::lower);
    return bound;
  }

  void teacher() {
    if (judge_.network) put("teacher_loss", estimate(losses_of(judge_, test())), Better::lower);
  }

  void gap(double bound) {
    const Estimate of_classifier =
        gap_of_classifier(described(test()), described(set_), experiment_.stream("theorem1"));
    const Estimate of_losses = gap_of_losses(bounded(test()), bounded(set_));
    const double tv = std::max({0.0, of_classifier.mean, of_losses.mean});
    const data::Dataset unseen = others(set_, drawn_);
    const std::vector<double> met = losses_of(student_, unseen.size() > 0 ? unseen : drawn_);
    const Estimate on_fakes = estimate(met), on_real = estimate(on_test_);
    put("tv_classifier", of_classifier), put("tv_losses", of_losses);
    put("unseen_fakes", static_cast<double>(unseen.size()));
    put("gap_met", {on_fakes.mean - on_real.mean, std::hypot(on_fakes.error, on_real.error)});
    const double sampling = sample_term(bound, n_, experiment_.settings.theorem1.delta),
                 distance = gap_term(bound, theta_, tv);
    put("sample_term", sampling), put("gap_term", distance);
    put("right_side", complexity(bound) + sampling + distance);
    if (inputs_.ratio) by_ratio(bound);
  }

  /// 0 where no stage has measured it.
  double complexity(double bound) {
    if (!inputs_.rademacher) return 0;
    const Estimate term = complexity_term(bound, found(inputs_.rademacher, "rademacher_root"), n_);
    put("complexity_term", term);
    return term.mean;
  }

  void by_ratio(double bound) {
    const Estimate tv = found(inputs_.ratio, "tv_ratio");
    put("tv_ratio", tv), put("tv_labels", context_.result_of(inputs_.ratio, "tv_labels"));
    put("gap_term_ratio", gap_term(bound, theta_, tv.mean));
  }
  Estimate found(const StageHandle& stage, const std::string& key) const {
    return {context_.result_of(stage, key), context_.result_of(stage, key + "_error")};
  }

  /// A loss in [0, 1] of the student of the first phase, which no fake has taught: whether it errs,
  /// or its squared error, cut at 1.
  std::vector<double> bounded(const data::Dataset& d) {
    if (!by_class()) {
      std::vector<double> losses = losses_of(first_, d);
      for (double& l : losses) l = std::min(l, 1.0);
      return losses;
    }
    std::vector<double> right = train::image_scores(*first_.network, d, first_.standardisation,
                                                    experiment_.task().criterion());
    for (double& r : right) r = 1 - r;
    return right;
  }

  /// Image and label as a row: pooled features of that student, and the class, or the response and
  /// its square.
  Tensor described(const data::Dataset& d) {
    const Tensor features = outputs_for(
        [this](const Variable& x) { return first_.network->forward_features(x).pooled; }, d.images,
        first_.standardisation, experiment_.device, context_.monitor);
    const NoGrad no_grad;
    if (by_class())
      return concat({Variable(features), Variable(one_hot(d.labels, real().classes))}, 1).data();
    const data::ResponseScale scale = experiment_.task().scale();
    const Variable y = affine(reshape(Variable(d.targets), {-1, 1}), 1 / (scale.high - scale.low),
                              -scale.low / (scale.high - scale.low));
    return concat({Variable(features), y, square(y)}, 1).data();
  }

  Experiment& experiment_;
  StageContext& context_;
  const SavedNetwork student_, first_;
  const Theorem1Inputs inputs_;
  SavedNetwork judge_;
  const data::Dataset set_, drawn_;
  int64_t n_ = 0;
  double theta_ = 0;
  std::vector<double> on_test_;
};

}  // namespace

DiskUse check_theorem1(Experiment& experiment) {
  LIMBECK_CHECK(experiment.data().test.size() >= 4,
                "theorem1.measure: expected at least 4 test images, found ",
                experiment.data().test.size());
  return {};
}

void measure_theorem1(Experiment& experiment, StageContext& context, const Student& student,
                      const Theorem1Inputs& inputs) {
  Measurement measurement(experiment, context, student, inputs);
  if (nn::Trial* const trial = context.monitor.trial())
    return trial->measure(measurement.passes(), [&] { measurement.one_pass(); });
  measurement();
}

}  // namespace limbeck::kd
