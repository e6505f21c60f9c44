#include "kd/rademacher.h"

#include <algorithm>
#include <cmath>

#include "tensor/ranges.h"

namespace limbeck::kd {
namespace {

/// One of several trainings of a stage: a saved state also holds what those before it found, so a
/// stage goes on with the training that was stopped.
class OneOfSeveral : public nn::Monitor {
 public:
  OneOfSeveral(nn::Monitor& whole, const std::vector<double>& found, int64_t all)
      : whole_(whole), found_(found), all_(all) {}
  static std::vector<double> found_in(nn::Monitor& whole) {
    const std::optional<TensorFile> saved = whole.load();
    return saved ? saved->get("trainings.found").to_vector<double>() : std::vector<double>{};
  }

  void progress(int64_t done, int64_t total, int64_t items, const nn::Values& values) override {
    whole_.progress(part() * total + done, all_ * total, items, values);
  }
  void metrics(int64_t, const nn::Values& values) override { whole_.metrics(part() + 1, values); }
  bool checkpoint_due() override { return whole_.checkpoint_due(); }
  bool stop_requested() override { return whole_.stop_requested(); }
  nn::Trial* trial() override { return whole_.trial(); }
  void save(const TensorFile& state) override {
    TensorFile file;
    file.add_part("training.", state);
    file.add("trainings.found", Tensor::of(found_));
    whole_.save(file);
  }
  std::optional<TensorFile> load() override {
    const std::optional<TensorFile> saved = whole_.load();
    if (!saved || saved->get("trainings.found").numel() != part()) return std::nullopt;
    return saved->part("training.");
  }

 private:
  int64_t part() const { return static_cast<int64_t>(found_.size()); }
  nn::Monitor& whole_;
  const std::vector<double>& found_;
  const int64_t all_;
};

double train_on_signs(const data::Dataset& signs, const SignTraining& training, int64_t steps,
                      const Stream& stream, nn::Monitor& monitor) {
  const SignCriterion criterion;
  const data::Dataset no_test;
  const std::unique_ptr<nn::Network> network = training.network(stream.fork("init"));
  const data::Standardisation standardisation = data::standardisation_of(signs);
  train::fit({.network = *network,
              .train = signs,
              .test = no_test,
              .standardisation = standardisation,
              .criterion = criterion,
              .stream = stream,
              .monitor = monitor,
              .steps_per_epoch = steps},
             training.settings);
  // With h also -h is in the class, so its maximum is not below the absolute value.
  return std::abs(train::evaluate(*network, signs, standardisation, criterion));
}

}  // namespace

void check(const RademacherSettings& s) {
  LIMBECK_CHECK(!s.sizes.empty(),
                "theorem1.rademacher.sizes: expected at least one number of images, found none");
  for (const int64_t n : s.sizes) {
    expect_count("theorem1.rademacher.sizes", 2, n);
    LIMBECK_CHECK(std::count(s.sizes.begin(), s.sizes.end(), n) == 1,
                  "theorem1.rademacher.sizes: ", n, " stands there more than once");
  }
  expect_count("theorem1.rademacher.draws", 1, s.draws);
  expect_count("theorem1.rademacher.steps", 1, s.steps);
}

SignNetwork::SignNetwork(std::unique_ptr<nn::Network> body, int64_t channels, int64_t size)
    : body_(std::move(body)) {
  const NoGrad no_grad;
  body_->eval();
  const nn::Features features =
      body_->forward_features(Variable(Tensor::zeros({2, size, size, channels})));
  body_->train();
  head_ = std::make_unique<nn::Linear>(features.last_input().size(1), 1);
  add("body", *body_);
  add("head", *head_);
}

void SignNetwork::initialise(const Stream& stream) {
  body_->initialise(stream.fork("body"));
  head_->initialise(stream.fork("head"));
}

nn::Features SignNetwork::forward_features(const Variable& x, bool preact) {
  nn::Features features = body_->forward_features(x, preact);
  features.output = (*head_)(features.last_input());
  return features;
}

void SignCriterion::check(const data::Dataset& dataset, int64_t outputs) const {
  LIMBECK_CHECK(dataset.targets.defined() && outputs == 1,
                "signs need targets and a network with one output, found ", outputs);
}

Variable SignCriterion::loss(const Variable& output, const data::Batch& batch) const {
  return mean(softplus(-2 * output * Variable(batch.targets.reshape({-1, 1}))));
}

double SignCriterion::score(const Tensor& output, const data::Batch& batch) const {
  const Tensor o = output.to(cpu), sign = batch.targets.to(cpu);
  double sum = 0;
  for (int64_t i = 0; i < o.numel(); ++i) sum += sign.at(i) * std::tanh(o.at(i));
  return sum;
}

train::Settings sign_settings(train::Settings s) {
  s.epochs = 1, s.schedule = "cosine", s.warmup = 0, s.final_lr = 0, s.milestones = {};
  s.label_smoothing = 0, s.crop_padding = 0, s.flip = false, s.evaluate_every = 1;
  return s;
}

data::Dataset with_signs(const data::Dataset& images, Stream stream) {
  data::Dataset d;
  d.images = images.images;
  d.scale = {-1, 1};
  std::vector<float> signs;
  for (int64_t i = 0; i < images.size(); ++i) signs.push_back(stream.below(2) == 0 ? -1 : 1);
  d.targets = Tensor::of(signs);
  return d;
}

std::vector<SignFit> fit_signs(const data::Dataset& images, const SignTraining& training,
                               const RademacherSettings& settings, const Stream& stream,
                               nn::Monitor& monitor) {
  const bool trial = monitor.trial() != nullptr;  // its sets of fakes are small
  std::vector<SignFit> fits;
  for (const int64_t n : settings.sizes)
    for (int64_t k = 0; k < settings.draws && (trial || n <= images.size()); ++k)
      fits.push_back({n});
  LIMBECK_CHECK(!fits.empty(), "theorem1.rademacher.sizes: expected one of at most ", images.size(),
                ", the real and fake images");
  const auto all = static_cast<int64_t>(fits.size());
  std::vector<double> found = OneOfSeveral::found_in(monitor);
  while (found.size() < (trial ? 1 : fits.size())) {
    const Stream of_fit = stream.fork("training", found.size());
    std::vector<int64_t> rows = of_fit.fork("images").permutation(images.size());
    rows.resize(static_cast<size_t>(std::min(fits[found.size()].images, images.size())));
    OneOfSeveral part(monitor, found, all);
    found.push_back(train_on_signs(with_signs(images.select(rows), of_fit.fork("signs")), training,
                                   trial ? all * settings.steps : settings.steps, of_fit, part));
  }
  for (size_t i = 0; i < found.size(); ++i) fits[i].correlation = found[i];
  return fits;
}

Estimate rademacher_root(const std::vector<SignFit>& fits) {
  LIMBECK_CHECK(!fits.empty(), "rademacher_root: no fits");
  double xy = 0, xx = 0, residual = 0;
  const auto x = [](const SignFit& f) { return 1 / std::sqrt(static_cast<double>(f.images)); };
  for (const SignFit& f : fits) xy += x(f) * f.correlation, xx += x(f) * x(f);
  const double root = xy / xx, free = static_cast<double>(fits.size()) - 1;
  for (const SignFit& f : fits) residual += std::pow(f.correlation - root * x(f), 2);
  return {root, free > 0 ? std::sqrt(residual / free / xx) : 0};
}

}  // namespace limbeck::kd
