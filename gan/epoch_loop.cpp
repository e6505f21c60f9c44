#include "gan/epoch_loop.h"

#include <cmath>

#include "nn/schedule.h"
#include "train/settings.h"

namespace limbeck::gan {
namespace {

std::vector<nn::Module*> with(nn::Module& net, std::vector<nn::Module*> others) {
  others.push_back(&net);
  return others;
}

}  // namespace

void check(const EpochSettings& s, const std::string& section) {
  LIMBECK_CHECK(s.batch > 1, section, ".batch: expected at least 2, found ", s.batch);
  train::check({.epochs = s.epochs,
                .batch = s.batch,
                .lr = s.lr,
                .milestones = s.milestones,
                .lr_factor = s.lr_factor,
                .momentum = s.momentum,
                .weight_decay = s.weight_decay},
               section);
}

EpochLoop::EpochLoop(Config config, const EpochSettings& settings, Losses losses)
    : c_(std::move(config)),
      s_(settings),
      losses_(std::move(losses)),
      optimizer_(
          c_.net.parameters(),
          nn::SGD::Config{.lr = s_.lr, .momentum = s_.momentum, .weight_decay = s_.weight_decay}),
      graph_(c_.net.device(), with(c_.net, c_.others),
             [this](const Tensors& in) { return update(in); }),
      sums_(c_.values.size()),
      last_(c_.values.size()) {
  if (const auto saved = c_.monitor.load()) restore(*saved);
}

Tensors EpochLoop::update(const Tensors& inputs) {
  const std::vector<Variable> losses = losses_(inputs);
  optimizer_.zero_grad();
  Variable(losses.at(0)).backward();
  optimizer_.step();
  Tensors values;
  for (const Variable& v : losses) values.push_back(v.data());
  return values;
}

void EpochLoop::account(int64_t step, const Tensors& values) {
  LIMBECK_CHECK(std::isfinite(values[0].item()), c_.name, ": the loss is ", values[0].item(),
                " at step ", step, "; lower ", c_.name, ".lr");
  for (size_t i = 0; i < sums_.size(); ++i) sums_[i] += values[i].item();
  ++count_;
}

nn::Values EpochLoop::means(const std::vector<double>& sums, double count) const {
  nn::Values values;
  for (size_t i = 0; i < sums.size(); ++i) values.emplace_back(c_.values[i], sums[i] / count);
  return values;
}

nn::Values EpochLoop::run(const Inputs& inputs) {
  const int64_t total = s_.epochs * c_.steps_per_epoch;
  const nn::StepSchedule schedule{s_.lr, s_.milestones, s_.lr_factor, false};
  c_.net.train();
  while (step_ < total) {
    const int64_t epoch = step_ / c_.steps_per_epoch;
    optimizer_.set_lr(schedule(static_cast<double>(epoch)));
    c_.net.set_streams(c_.stream.fork("noise", static_cast<uint64_t>(step_)));
    reader_.read(graph_(inputs(step_)),
                 [this, step = step_](const Tensors& values) { account(step, values); });
    ++step_;
    c_.monitor.progress(step_, total, s_.batch, count_ > 0 ? means(sums_, count_) : nn::Values{});
    if (nn::tried_enough(c_.monitor, total, [this] { reader_.finish(); }))
      return means(sums_, count_);
    if (step_ % c_.steps_per_epoch == 0) {
      reader_.finish();
      nn::Values values = means(sums_, count_);
      for (size_t i = 0; i < sums_.size(); ++i) last_[i] = sums_[i] / count_;
      values.emplace_back("lr", optimizer_.lr());
      c_.monitor.metrics(epoch + 1, values);
      std::fill(sums_.begin(), sums_.end(), 0);
      count_ = 0;
    }
    nn::checkpoint(c_.monitor, [this] { return state(); });
  }
  return means(last_, 1);
}

TensorFile EpochLoop::state() {
  reader_.finish();
  TensorFile file;
  file.add_part("net.", c_.net.state_dict());
  file.add_part("optimizer.", optimizer_.state());
  file.add("loop.step", Tensor::of<int64_t>({step_}));
  file.add("loop.count", Tensor::of<double>({count_}));
  file.add("loop.sums", Tensor::of(sums_));
  file.add("loop.last", Tensor::of(last_));
  return file;
}

void EpochLoop::restore(const TensorFile& saved) {
  const std::string what = "saved state of " + c_.name;
  c_.net.load_state_dict(saved.part("net."), what);
  optimizer_.load_state(saved.part("optimizer."), what);
  step_ = saved.get("loop.step").data<int64_t>()[0];
  count_ = saved.get("loop.count").data<double>()[0];
  sums_ = saved.get("loop.sums").to_vector<double>();
  last_ = saved.get("loop.last").to_vector<double>();
}

}  // namespace limbeck::gan
