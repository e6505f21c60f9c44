#include "kd/trainer.h"

#include <cmath>
#include <deque>
#include <memory>
#include <numeric>

#include "nn/images.h"
#include "nn/step_graph.h"
#include "tensor/rows.h"
#include "tensor/transfer.h"

namespace limbeck::kd {
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
  Run(const TrainTask& task, const TrainSettings& settings)
      : task_(task), s_(settings), device_(task.network.device()), standardise_(task.standardisation.mean, task.standardisation.deviation, device_) {
    check_arguments();
    prepare_method();
    std::vector<nn::Parameter> parameters = task.network.parameters();
    if (auxiliary_)
      for (nn::Parameter p : auxiliary_->parameters()) {
        p.name = "auxiliary." + p.name;
        parameters.push_back(std::move(p));
      }
    optimizer_ = std::make_unique<nn::SGD>(
        std::move(parameters), nn::SGD::Config{.lr = s_.lr, .momentum = s_.momentum, .weight_decay = s_.weight_decay, .nesterov = s_.nesterov});
    std::vector<nn::Module*> modules{&task.network};
    for (nn::Module* m : {static_cast<nn::Module*>(task.teacher), auxiliary_})
      if (m) modules.push_back(m);
    graph_ = std::make_unique<nn::StepGraph>(device_, modules, [this](const Tensors& inputs) { return forward_backward_update(inputs); });
    const int64_t own = (task.train.size() + s_.batch - 1) / s_.batch;
    steps_per_epoch_ = task.steps_per_epoch > 0 ? task.steps_per_epoch : own;
  }

  TrainResult operator()() {
    restore();
    data::Loader loader(task_.train,
                        {.batch = s_.batch,
                         .augmentation = {s_.crop_padding, s_.flip},
                         .standardisation = task_.standardisation,
                         .device = device_},
                        task_.stream.fork("shuffle"), step_);
    const int64_t total = s_.epochs * steps_per_epoch_;
    const nn::StepSchedule schedule{s_.lr, s_.milestones, s_.lr_factor, s_.late_drop};
    task_.network.train();
    while (step_ < total) {
      const int64_t epoch = step_ / steps_per_epoch_;
      optimizer_->set_lr(schedule(static_cast<double>(epoch)));
      const data::Batch batch = loader.next();
      one_step(batch);
      ++step_;
      account(unread_steps());
      const nn::Values seen{{"loss", loss_sum_ / count_}, {metric("train"), score_sum_ / count_}};
      task_.monitor.progress(step_, total, batch.images.size(0), count_ > 0 ? seen : nn::Values{});
      if (step_ % steps_per_epoch_ == 0) end_epoch(epoch);
      nn::checkpoint(task_.monitor, [this] { return state(); });
    }
    result_.steps = step_;
    return result_;
  }

 private:
  void check_arguments() const {
    LIMBECK_CHECK(task_.train.size() > 0, "training: the data set has no images");
    LIMBECK_CHECK(s_.epochs > 0 && s_.batch > 0, "training: expected epochs > 0 and batch > 0, found ", s_.epochs, " and ", s_.batch);
    LIMBECK_CHECK(!task_.method || task_.teacher, "training: a distillation method was given without a teacher");
  }

  std::string metric(const char* part) const { return std::string(part) + "_" + task_.criterion.metric(); }

  /// Checks the pair of networks on a two-image probe before any work starts. Eval mode: no running statistics change.
  void prepare_method() {
    NoGrad no_grad;
    const Tensor images = standardise_(task_.train.images.rows(0, std::min<int64_t>(2, task_.train.size())).to(device_));
    task_.network.eval();
    const bool preact = task_.method && task_.method->preact();
    const nn::Features student = task_.network.forward_features(Variable(images), preact);
    task_.criterion.check(task_.train, student.output.size(1));
    if (!task_.method) return;
    task_.teacher->eval();
    const nn::Features teacher = task_.teacher->forward_features(Variable(images), preact);
    task_.method->prepare(student, teacher, task_.stream.fork("auxiliary"));
    auxiliary_ = task_.method->auxiliary();
    if (auxiliary_) auxiliary_->to(device_);
  }

  Variable total_loss(const nn::Features& student, const data::Batch& batch, bool preact) {
    const Variable hard = task_.criterion.loss(student.output, batch);
    if (!task_.method) return hard;
    nn::Features teacher;
    {
      NoGrad no_grad;
      teacher = task_.teacher->forward_features(Variable(batch.images), preact);
    }
    return hard * task_.method->hard_weight() + task_.method->loss({student, teacher, batch});
  }

  /// What the device does in a step: images, labels, targets, draws of bytes -> loss, output.
  Tensors forward_backward_update(const Tensors& inputs) {
    const data::Batch batch{standardise_(inputs[0], inputs[3]), inputs[1], inputs[2], index_, {}};
    const bool preact = task_.method && task_.method->preact();
    const nn::Features features = task_.network.forward_features(Variable(batch.images), preact);
    const Variable loss = total_loss(features, batch, preact);
    optimizer_->zero_grad();
    loss.backward();
    optimizer_->step();
    return {loss.data(), features.output.data()};
  }

  void one_step(const data::Batch& batch) {
    const Stream noise = task_.stream.fork("noise", static_cast<uint64_t>(step_));
    task_.network.set_streams(noise);
    if (auxiliary_) auxiliary_->set_streams(noise.fork("auxiliary"));
    index_ = batch.index;
    const Tensors results = (*graph_)({batch.images, batch.labels, batch.targets, batch.draws});
    data::Batch labels;  // for the score, on the host
    labels.index = batch.index;
    labels.labels = take_rows(task_.train.labels, batch.index);
    labels.targets = take_rows(task_.train.targets, batch.index);
    pending_.push_back({step_, optimizer_->lr(), std::move(labels), read_later({results[0], results[1]}, device_)});
  }

  /// A device works on one step while the host reads the results of the one before; on the CPU nothing is gained by waiting.
  size_t unread_steps() const { return device_ == cpu ? 0 : 1; }

  /// Counts the results of all steps but the last `unread`.
  void account(size_t unread) {
    for (; pending_.size() > unread; pending_.pop_front()) {
      const Pending& p = pending_.front();
      const std::vector<Tensor> results = p.results->wait();
      const double value = results[0].item();
      LIMBECK_CHECK(std::isfinite(value), "training diverged: the loss is ", value, " at step ", p.step, " with learning rate ", p.lr,
                    "; lower lr or look at the data");
      const double n = static_cast<double>(p.labels.index.size());
      loss_sum_ += value * n;
      score_sum_ += task_.criterion.score(results[1], p.labels);
      count_ += n;
    }
  }

  void end_epoch(int64_t epoch) {
    account(0);
    result_.loss = loss_sum_ / count_;
    result_.train_metric = score_sum_ / count_;
    loss_sum_ = score_sum_ = count_ = 0;
    nn::Values values{{"loss", result_.loss}, {metric("train"), result_.train_metric}, {"lr", optimizer_->lr()}};
    const bool last = epoch + 1 == s_.epochs;
    if (task_.test.size() > 0 && (last || (s_.evaluate_every > 0 && (epoch + 1) % s_.evaluate_every == 0))) {
      result_.test_metric = evaluate(task_.network, task_.test, task_.standardisation, task_.criterion);
      values.emplace_back(metric("test"), result_.test_metric);
    }
    task_.monitor.metrics(epoch + 1, values);
  }

  TensorFile state() {
    account(0);
    TensorFile file;
    file.add_part("network.", task_.network.state_dict());
    if (auxiliary_) file.add_part("auxiliary.", auxiliary_->state_dict());
    file.add_part("optimizer.", optimizer_->state());
    file.add("loop.step", Tensor::of<int64_t>({step_}));
    file.add("loop.sums", Tensor::of<double>({loss_sum_, score_sum_, count_}));
    file.add("loop.result", Tensor::of<double>({result_.loss, result_.train_metric, result_.test_metric}));
    return file;
  }

  void restore() {
    const std::optional<TensorFile> saved = task_.monitor.load();
    if (!saved) return;
    task_.network.load_state_dict(saved->part("network."), "saved training state");
    if (auxiliary_) auxiliary_->load_state_dict(saved->part("auxiliary."), "saved training state");
    optimizer_->load_state(saved->part("optimizer."), "saved training state");
    step_ = saved->get("loop.step").data<int64_t>()[0];
    const double* sums = saved->get("loop.sums").data<double>();
    loss_sum_ = sums[0], score_sum_ = sums[1], count_ = sums[2];
    const double* result = saved->get("loop.result").data<double>();
    result_.loss = result[0], result_.train_metric = result[1], result_.test_metric = result[2];
  }

  /// A step whose results are on their way to the host.
  struct Pending {
    int64_t step;
    double lr;
    data::Batch labels;
    std::unique_ptr<Download> results;
  };

  const TrainTask& task_;
  const TrainSettings& s_;
  const Device device_;
  const nn::ImageStandardiser standardise_;
  std::unique_ptr<nn::StepGraph> graph_;
  std::vector<int64_t> index_;  // of the batch in work
  nn::Module* auxiliary_ = nullptr;
  std::unique_ptr<nn::SGD> optimizer_;
  int64_t steps_per_epoch_ = 0, step_ = 0;
  double loss_sum_ = 0, score_sum_ = 0, count_ = 0;
  std::deque<Pending> pending_;
  TrainResult result_;
};

}  // namespace

TrainResult train(const TrainTask& task, const TrainSettings& settings) { return Run(task, settings)(); }

double evaluate(nn::Network& network, const data::Dataset& dataset, const data::Standardisation& standardisation,
                const Criterion& criterion, int64_t batch) {
  LIMBECK_CHECK(dataset.size() > 0, "evaluate: the data set has no images");
  const NoGrad no_grad;
  const bool was_training = network.training();
  network.eval();
  double score = 0;
  const Device device = network.device();
  const nn::ImageStandardiser standardise(standardisation.mean, standardisation.deviation, device);
  LateReader reader;
  for (int64_t begin = 0; begin < dataset.size(); begin += batch) {
    const data::Batch b = rows_of(dataset, begin, std::min(begin + batch, dataset.size()));
    const Variable output = network(Variable(standardise(b.images.to(device))));
    reader.read({output.data()}, [&score, &criterion, b](const Tensors& on_host) { score += criterion.score(on_host[0], b); });
  }
  reader.finish();
  network.train(was_training);
  return score / static_cast<double>(dataset.size());
}

}  // namespace limbeck::kd
