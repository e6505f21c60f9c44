// Training of the density-ratio net, with the guard against a net that says zero.
#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>

#include "gan/balanced_pick.h"
#include "gan/density_ratio.h"
#include "nn/images.h"
#include "nn/optim.h"
#include "nn/schedule.h"
#include "nn/step_graph.h"
#include "tensor/device.h"
#include "tensor/ranges.h"
#include "tensor/rows.h"
#include "tensor/transfer.h"
#include "train/supervised.h"

namespace limbeck::gan {
namespace {

const char* advice =
    "; the density-ratio net died (its closing ReLU has no gradient there). Try another seed, a "
    "lower ratio.lr, a lower ratio.dropout, "
    "a longer ratio training or better trained gan and features stages";

struct Sums {
  double loss = 0, real = 0, fake = 0, count = 0;
};

class RatioRun {
 public:
  RatioRun(const RatioTask& task, const RatioSettings& s)
      : task_(task),
        s_(s),
        device_(task.net.device()),
        half_(data::halves(task.real)),
        standardise_(half_.mean, half_.deviation, device_) {
    LIMBECK_CHECK(task.real.size() > 0, "ratio: the data set has no images");
    LIMBECK_CHECK(task.features.device() == device_, "ratio: the ratio net is on ", device_,
                  ", the feature net on ", task.features.device());
    check(s);
    steps_per_epoch_ = data::steps_per_epoch(task.real.size(), s.batch);
  }

  nn::Values operator()() {
    const std::optional<TensorFile> saved = task_.monitor.load();
    if (saved) attempt_ = saved->get("loop.attempt").data<int64_t>()[0];
    begin_attempt();
    if (saved) restore(*saved);
    while (true) {
      const std::optional<std::string> dead = attempt();
      if (!dead) break;
      LIMBECK_CHECK(attempt_ < s_.restarts, "ratio: ", *dead, " after ", attempt_ + 1, " attempts",
                    advice);
      task_.monitor.note(cat("ratio: ", *dead, "; starting again with another seed (", attempt_ + 1,
                             " of ", s_.restarts, ")"));
      ++attempt_;
      begin_attempt();
    }
    return {{"loss", last_.loss},
            {"ratio_real", last_.real},
            {"ratio_fake", last_.fake},
            {"restarts", static_cast<double>(attempt_)}};
  }

 private:
  void begin_attempt() {
    stream_ = task_.stream.fork("attempt", static_cast<uint64_t>(attempt_));
    task_.net.initialise(stream_.fork("init"));
    if (attempt_ > 0) task_.net.start_alive();
    optimizer_ = std::make_unique<nn::Adam>(
        task_.net.parameters(),
        nn::Adam::Config{
            .lr = s_.lr, .beta1 = s_.beta1, .beta2 = s_.beta2, .weight_decay = s_.weight_decay});
    graph_ = std::make_unique<nn::StepGraph>(device_, std::vector<nn::Module*>{&task_.net},
                                             [this](const Tensors& in) { return update(in); });
    step_ = 0;
    sums_ = {};
    max_ = 0;
  }

  /// Why the net is dead, or nothing when it lives to the end.
  std::optional<std::string> attempt() {
    data::Loader::Config loading{.batch = s_.batch,
                                 .augmentation = {0, s_.flip},
                                 .standardisation = half_,
                                 .device = device_};
    if (task_.real.targets.defined())
      loading.pick = BalancedPick(task_.real.targets.span<float>(), s_.batch, stream_.fork("pick"));
    data::Loader loader(task_.real, loading, stream_.fork("shuffle"), step_);
    const int64_t total = s_.epochs * steps_per_epoch_;
    const nn::StepSchedule schedule{s_.lr, s_.milestones, s_.lr_factor, false};
    while (step_ < total) {
      const int64_t epoch = step_ / steps_per_epoch_;
      optimizer_->set_lr(schedule(static_cast<double>(epoch)));
      one_step(loader.next());
      ++step_;
      const nn::Values seen{{"loss", sums_.loss / sums_.count},
                            {"real", sums_.real / sums_.count},
                            {"fake", sums_.fake / sums_.count}};
      task_.monitor.progress(step_, total, static_cast<int64_t>(s_.batch),
                             sums_.count > 0 ? seen : nn::Values{});
      if (nn::tried_enough(task_.monitor, total, [this] { reader_.finish(); })) {
        const auto classes = static_cast<double>(std::max<int64_t>(1, task_.real.classes));
        task_.monitor.trial()->measure(classes, [this] { probe_once(); });
        return std::nullopt;
      }
      if (step_ % steps_per_epoch_ == 0) {
        reader_.finish();
        if (max_ <= 0) return cat("every ratio of epoch ", epoch + 1, " is zero");
        end_epoch(epoch);
      }
      nn::checkpoint(task_.monitor, [this] { return state(); });
    }
    return silent_condition();
  }

  Variable feature_of(const Tensor& images) {
    const NoGrad no_grad;
    return task_.features(Variable(images));
  }

  Stream stream_of_step(const char* purpose) const {
    return stream_.fork(purpose, static_cast<uint64_t>(step_));
  }

  /// What the device does in a step: real images, their draws, conditions, and fakes or the places
  /// they are drawn from -> loss, ratios of both.
  Tensors update(const Tensors& in) {
    const DrawnSource* drawn = task_.source.drawn();
    const Variable real_features = feature_of(standardise_(in[0], in[1]));
    const Variable fake_features = feature_of(drawn ? drawn->images(in[2], in[3]) : in[3]);
    const Variable real = task_.net.ratio(real_features, in[2]);
    host_effect([this] { task_.net.switch_streams(stream_of_step("dropout/fake")); });
    const Variable fake = task_.net.ratio(fake_features, in[2]);
    const Variable loss = ratio_loss(real, fake, s_.lambda);
    optimizer_->zero_grad();
    loss.backward();
    optimizer_->step();
    return {loss.data(), real.data(), fake.data()};
  }

  void one_step(const data::Batch& batch) {
    const bool by_class = batch.labels.defined();
    const Stream fake = stream_of_step("fake");
    Tensor source;
    if (const DrawnSource* drawn = task_.source.drawn())
      source = drawn->places(fake);
    else
      source = task_.source(
          take_rows(by_class ? task_.real.labels : task_.real.targets, batch.index), fake);
    task_.features.eval();
    task_.net.train();
    task_.net.set_streams(stream_of_step("dropout/real"));
    const Tensors results =
        (*graph_)({batch.images, batch.draws, by_class ? batch.labels : batch.targets, source});
    reader_.read(results, [this, step = step_](const Tensors& on_host) {
      account(step, on_host[0].item(), on_host[1], on_host[2]);
    });
  }

  void account(int64_t step, double loss, const Tensor& real, const Tensor& fake) {
    LIMBECK_CHECK(std::isfinite(loss), "ratio: the loss is ", loss, " at step ", step,
                  "; lower ratio.lr");
    const double n = static_cast<double>(real.numel());
    sums_.loss += loss * n;
    sums_.count += n;
    for (float r : real.span<float>()) sums_.real += r, max_ = std::max<double>(max_, r);
    for (float r : fake.span<float>()) sums_.fake += r, max_ = std::max<double>(max_, r);
  }

  void end_epoch(int64_t epoch) {
    last_ = {sums_.loss / sums_.count, sums_.real / sums_.count, sums_.fake / sums_.count, 1};
    task_.monitor.metrics(epoch + 1, {{"loss", last_.loss},
                                      {"ratio_real", last_.real},
                                      {"ratio_fake", last_.fake},
                                      {"lr", optimizer_->lr()}});
    sums_ = {};
    max_ = 0;
  }

  /// A condition for which every fake of a sample has ratio zero: rejection sampling would have
  /// nothing to accept there.
  std::optional<std::string> silent_condition() {
    if (!task_.real.labels.defined()) {
      Tensor y = Tensor::empty({probes});
      Stream draw = stream_.fork("probe/y");
      for (float& v : y.span<float>())
        v = static_cast<float>(task_.real.targets.at(draw.below(task_.real.size())));
      return silent(y, 0) ? std::optional<std::string>("the ratio of every probed fake is zero")
                          : std::nullopt;
    }
    for (int64_t c = 0; c < task_.real.classes; ++c)
      if (silent(Tensor::full({probes}, static_cast<double>(c), DType::i64), c))
        return cat("the ratio of every probed fake of class ", c, " is zero");
    return std::nullopt;
  }

  /// As silent_condition() does for each class.
  void probe_once() {
    const bool by_class = task_.real.labels.defined();
    silent(Tensor::zeros({probes}, by_class ? DType::i64 : DType::f32), 0);
  }

  bool silent(const Tensor& y, int64_t index) {
    const Tensor ratios =
        ratios_of(task_.net, task_.features,
                  task_.source(y, stream_.fork("probe", static_cast<uint64_t>(index))), y);
    for (float r : ratios.to_vector<float>())
      if (r > 0) return false;
    return true;
  }

  TensorFile state() {
    reader_.finish();
    TensorFile file;
    file.add_part("net.", task_.net.state_dict());
    file.add_part("optimizer.", optimizer_->state());
    file.add("loop.attempt", Tensor::of<int64_t>({attempt_}));
    file.add("loop.step", Tensor::of<int64_t>({step_}));
    file.add("loop.sums", Tensor::of<double>({sums_.loss, sums_.real, sums_.fake, sums_.count, max_,
                                              last_.loss, last_.real, last_.fake}));
    return file;
  }

  void restore(const TensorFile& saved) {
    task_.net.load_state_dict(saved.part("net."), "saved ratio state");
    optimizer_->load_state(saved.part("optimizer."), "saved ratio state");
    step_ = saved.get("loop.step").data<int64_t>()[0];
    const double* v = saved.get("loop.sums").data<double>();
    sums_ = {v[0], v[1], v[2], v[3]};
    max_ = v[4];
    last_ = {v[5], v[6], v[7], 1};
  }

  static constexpr int64_t probes = 64;  // fakes of a condition

  const RatioTask& task_;
  const RatioSettings& s_;
  const Device device_;
  const data::Standardisation half_;
  const nn::ImageStandardiser standardise_;
  Stream stream_;
  std::unique_ptr<nn::Adam> optimizer_;
  std::unique_ptr<nn::StepGraph> graph_;
  LateReader reader_;
  int64_t steps_per_epoch_ = 0, step_ = 0, attempt_ = 0;
  Sums sums_, last_;
  double max_ = 0;  // largest ratio of the epoch so far
};

}  // namespace

void check(const RatioSettings& s) {
  expect_count("ratio.embedding", 0, s.embedding);
  expect_share("ratio.dropout", s.dropout);
  expect_count("ratio.epochs", 1, s.epochs);
  expect_count("ratio.batch", 1, s.batch);
  expect_positive("ratio.lr", s.lr);
  train::check_milestones(s.milestones, "ratio.milestones");
  expect_positive("ratio.lr_factor", s.lr_factor);
  expect_share("ratio.beta1", s.beta1);
  expect_share("ratio.beta2", s.beta2);
  expect_not_negative("ratio.weight_decay", s.weight_decay);
  expect_not_negative("ratio.lambda", s.lambda);
  expect_count("ratio.restarts", 0, s.restarts);
}

nn::Values train_ratio(const RatioTask& task, const RatioSettings& settings) {
  return RatioRun(task, settings)();
}

}  // namespace limbeck::gan
