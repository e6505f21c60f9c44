#include "train/supervised.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <numeric>

#include "nn/images.h"
#include "tensor/rows.h"
#include "tensor/transfer.h"
#include "train/supervised_step.h"

namespace limbeck::train {
namespace {

/// Consecutive rows, the images as bytes.
data::Batch rows_of(const data::Dataset& d, int64_t begin, int64_t end) {
  data::Batch batch;
  batch.index.resize(static_cast<size_t>(end - begin));
  std::iota(batch.index.begin(), batch.index.end(), begin);
  batch.images = d.images.rows(begin, end);
  if (d.labels.defined()) batch.labels = d.labels.rows(begin, end);
  if (d.targets.defined()) batch.targets = d.targets.rows(begin, end);
  return batch;
}

/// One training run in progress.
class Run {
 public:
  Run(const SupervisedTask& task, const Settings& settings)
      : task_(task), s_(settings), device_(task.network.device()) {
    LIMBECK_CHECK(task_.train.size() > 1,
                  "training: batch norm needs at least two images, the data set has ",
                  task_.train.size());
    check(s_, "training");
    prepare();
    if (s_.label_smoothing > 0) smoothed_ = task.criterion.smoothed(s_.label_smoothing);
    step_ = std::make_unique<SupervisedStep>(task.network, smoothed_ ? *smoothed_ : task.criterion,
                                             task.standardisation, optimizer_of(s_), task.extra);
    own_steps_ = data::steps_per_epoch(task.train.size(), s_.batch, drop_last());
    steps_per_epoch_ = task.steps_per_epoch > 0 ? task.steps_per_epoch : own_steps_;
  }

  SupervisedResult operator()() {
    restore();
    data::Loader loader(task_.train,
                        {.batch = s_.batch,
                         .drop_last = drop_last(),
                         .augmentation = {s_.crop_padding, s_.flip},
                         .views = task_.extra ? task_.extra->views() : data::Views{},
                         .standardisation = task_.standardisation,
                         .device = device_,
                         .replayed = task_.extra ? task_.extra->replayed() : data::ReplayedViews{}},
                        task_.stream.fork("shuffle"), first_step());
    const int64_t total = s_.epochs * steps_per_epoch_;
    task_.network.train();
    while (done_ < total) {
      const int64_t epoch = done_ / steps_per_epoch_;
      step_->optimizer().set_lr(learning_rate(s_, done_, steps_per_epoch_));
      const data::Batch batch = loader.next();
      one_step(batch, epoch);
      ++done_;
      const nn::Values seen{{"loss", loss_sum_ / count_}, {metric("train"), score_sum_ / count_}};
      task_.monitor.progress(done_, total, static_cast<int64_t>(batch.index.size()),
                             count_ > 0 ? seen : nn::Values{});
      if (nn::tried_enough(task_.monitor, total, [this] { reader_.finish(); })) return tried();
      if (done_ % steps_per_epoch_ == 0) end_epoch(epoch);
      nn::checkpoint(task_.monitor, [this] { return state(); });
    }
    result_.steps = done_;
    if (task_.extra) task_.extra->finish(task_.network);
    return result_;
  }

 private:
  /// A trial begins with an epoch's last batch: where it is incomplete, it takes memory of its own.
  int64_t first_step() const { return task_.monitor.trial() ? own_steps_ - 1 : done_; }

  /// What a trial cannot see in its steps: the evaluations.
  SupervisedResult tried() {
    constexpr int64_t most = 200;
    const int64_t n = task_.test.size(), some = std::min(n, most);
    const double every = static_cast<double>(std::max<int64_t>(1, s_.evaluate_every));
    const double times =
        s_.evaluate_every > 0 ? std::ceil(static_cast<double>(s_.epochs) / every) : 1;
    if (n > 0) {
      data::Dataset few = task_.test;
      few.images = few.images.rows(0, some);
      few.labels = few.labels.defined() ? few.labels.rows(0, some) : few.labels;
      few.targets = few.targets.defined() ? few.targets.rows(0, some) : few.targets;
      task_.monitor.trial()->measure(
          times * static_cast<double>(n) / static_cast<double>(some),
          [&] { evaluate(deployed(), few, task_.standardisation, task_.criterion); });
    }
    result_.steps = done_;
    return result_;
  }

  bool drop_last() const { return task_.extra && task_.extra->drop_last(); }
  nn::Network& deployed() const {
    return task_.extra ? task_.extra->deployed(task_.network) : task_.network;
  }

  std::string metric(const char* part) const {
    return std::string(part) + "_" + task_.criterion.metric();
  }

  /// Checks network, data and extra loss on a probe of two images before any work. Eval mode: no
  /// running statistics change.
  void prepare() {
    NoGrad no_grad;
    const nn::ImageStandardiser standardise(task_.standardisation.mean,
                                            task_.standardisation.deviation, device_);
    const Variable images(standardise(task_.train.images.rows(0, 2).to(device_)));
    task_.network.eval();
    const nn::Features features =
        task_.network.forward_features(images, task_.extra && task_.extra->preact());
    task_.criterion.check(task_.train, features.output.size(1));
    if (!task_.extra) return;
    task_.extra->prepare({task_.network, features, images, task_.train,
                          task_.stream.fork("auxiliary"),
                          data::largest_batch(task_.train.size(), s_.batch, drop_last()), s_.epochs,
                          task_.standardisation, task_.monitor.trial() != nullptr});
    if (nn::Module* auxiliary = task_.extra->auxiliary()) auxiliary->to(device_);
  }

  void one_step(const data::Batch& batch, int64_t epoch) {
    const Tensors results =
        (*step_)(batch, task_.stream.fork("noise", static_cast<uint64_t>(done_)), done_, epoch);
    data::Batch labels;  // for the score, on the host
    labels.index = batch.index;
    labels.labels = take_rows(task_.train.labels, batch.index);
    labels.targets = take_rows(task_.train.targets, batch.index);
    reader_.read(results, [this, labels, step = done_,
                           lr = step_->optimizer().lr()](const Tensors& on_host) {
      account(on_host[0].item(), on_host[1], labels, step, lr);
    });
  }

  void account(double loss, const Tensor& output, const data::Batch& labels, int64_t step,
               double lr) {
    LIMBECK_CHECK(std::isfinite(loss), "training diverged: the loss is ", loss, " at step ", step,
                  " with learning rate ", lr, "; lower lr or look at the data");
    const double n = static_cast<double>(labels.index.size());
    loss_sum_ += loss * n;
    score_sum_ += task_.criterion.score(output, labels);
    count_ += n;
  }

  void end_epoch(int64_t epoch) {
    reader_.finish();
    result_.loss = loss_sum_ / count_;
    result_.train_metric = score_sum_ / count_;
    loss_sum_ = score_sum_ = count_ = 0;
    nn::Values values{{"loss", result_.loss},
                      {metric("train"), result_.train_metric},
                      {"lr", step_->optimizer().lr()}};
    const bool last = epoch + 1 == s_.epochs;
    if (task_.test.size() > 0 &&
        (last || (s_.evaluate_every > 0 && (epoch + 1) % s_.evaluate_every == 0))) {
      result_.test_metric =
          evaluate(deployed(), task_.test, task_.standardisation, task_.criterion);
      values.emplace_back(metric("test"), result_.test_metric);
    }
    task_.monitor.metrics(epoch + 1, values);
  }

  nn::Module* auxiliary() const { return task_.extra ? task_.extra->auxiliary() : nullptr; }
  nn::Module* moving() const { return task_.extra ? task_.extra->moving() : nullptr; }

  TensorFile state() {
    reader_.finish();
    TensorFile file;
    file.add_part("network.", task_.network.state_dict());
    if (auxiliary()) file.add_part("auxiliary.", auxiliary()->state_dict());
    if (moving()) file.add_part("moving.", moving()->state_dict());
    file.add_part("optimizer.", step_->optimizer().state());
    file.add("loop.step", Tensor::of<int64_t>({done_}));
    file.add("loop.sums", Tensor::of<double>({loss_sum_, score_sum_, count_}));
    file.add("loop.result",
             Tensor::of<double>({result_.loss, result_.train_metric, result_.test_metric}));
    return file;
  }

  void restore() {
    const std::optional<TensorFile> saved = task_.monitor.load();
    if (!saved) return;
    task_.network.load_state_dict(saved->part("network."), "saved training state");
    if (auxiliary())
      auxiliary()->load_state_dict(saved->part("auxiliary."), "saved training state");
    if (moving()) moving()->load_state_dict(saved->part("moving."), "saved training state");
    step_->optimizer().load_state(saved->part("optimizer."), "saved training state");
    done_ = saved->get("loop.step").data<int64_t>()[0];
    const double* sums = saved->get("loop.sums").data<double>();
    loss_sum_ = sums[0], score_sum_ = sums[1], count_ = sums[2];
    const double* result = saved->get("loop.result").data<double>();
    result_.loss = result[0], result_.train_metric = result[1], result_.test_metric = result[2];
  }

  const SupervisedTask& task_;
  const Settings& s_;
  const Device device_;
  std::unique_ptr<Criterion> smoothed_;  // for the loss; scores are the criterion's
  std::unique_ptr<SupervisedStep> step_;
  LateReader reader_;
  int64_t own_steps_ = 0;  // of one pass over the images
  int64_t steps_per_epoch_ = 0, done_ = 0;
  double loss_sum_ = 0, score_sum_ = 0, count_ = 0;
  SupervisedResult result_;
};

}  // namespace

SupervisedResult fit(const SupervisedTask& task, const Settings& settings) {
  return Run(task, settings)();
}

namespace {

/// Calls `see` with the output of every batch, on the host, in order: eval mode, no gradient, no
/// augmentation.
void for_each_output(nn::Network& network, const data::Dataset& dataset,
                     const data::Standardisation& standardisation, int64_t batch,
                     const std::function<void(const Tensor&, const data::Batch&)>& see) {
  LIMBECK_CHECK(dataset.size() > 0, "evaluate: the data set has no images");
  const NoGrad no_grad;
  const bool was_training = network.training();
  network.eval();
  const Device device = network.device();
  const nn::ImageStandardiser standardise(standardisation.mean, standardisation.deviation, device);
  LateReader reader;
  for (int64_t begin = 0; begin < dataset.size(); begin += batch) {
    const data::Batch b = rows_of(dataset, begin, std::min(begin + batch, dataset.size()));
    const Variable output = network(Variable(standardise(b.images.to(device))));
    reader.read({output.data()}, [&see, b](const Tensors& on_host) { see(on_host[0], b); });
  }
  reader.finish();
  network.train(was_training);
}

}  // namespace

double evaluate(nn::Network& network, const data::Dataset& dataset,
                const data::Standardisation& standardisation, const Criterion& criterion,
                int64_t batch) {
  double score = 0;
  for_each_output(
      network, dataset, standardisation, batch,
      [&](const Tensor& output, const data::Batch& b) { score += criterion.score(output, b); });
  return score / static_cast<double>(dataset.size());
}

namespace {

using ImageValue = std::function<double(const Tensor& output, const data::Batch& image)>;

std::vector<double> image_values(nn::Network& network, const data::Dataset& dataset,
                                 const data::Standardisation& standardisation, int64_t batch,
                                 const ImageValue& value) {
  std::vector<double> values;
  const auto row = [](const Tensor& t, int64_t i) { return t.defined() ? t.rows(i, i + 1) : t; };
  for_each_output(network, dataset, standardisation, batch,
                  [&](const Tensor& output, const data::Batch& b) {
                    for (int64_t i = 0; i < output.size(0); ++i) {
                      data::Batch one;
                      one.labels = row(b.labels, i), one.targets = row(b.targets, i);
                      values.push_back(value(row(output, i), one));
                    }
                  });
  return values;
}

}  // namespace

std::vector<double> image_losses(nn::Network& network, const data::Dataset& dataset,
                                 const data::Standardisation& standardisation,
                                 const Criterion& criterion, int64_t batch) {
  return image_values(network, dataset, standardisation, batch,
                      [&](const Tensor& output, const data::Batch& image) {
                        return criterion.loss(Variable(output), image).item();
                      });
}

std::vector<double> image_scores(nn::Network& network, const data::Dataset& dataset,
                                 const data::Standardisation& standardisation,
                                 const Criterion& criterion, int64_t batch) {
  return image_values(network, dataset, standardisation, batch,
                      [&](const Tensor& output, const data::Batch& image) {
                        return criterion.score(output, image);
                      });
}

}  // namespace limbeck::train
