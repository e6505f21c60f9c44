#include "nn/optim.h"

#include <algorithm>

#include "ops/steps.h"
#include "tensor/device.h"

namespace limbeck::nn {

namespace {

/// Slots lie in files as their parameter does (PyTorch's OIHW for convolutions).
Tensor to_disk(const Tensor& t, DiskLayout layout) {
  const Tensor host = t.to(cpu);
  return layout == DiskLayout::conv && t.rank() == 4 ? to_channels_first(host)
         : t.device() == cpu                         ? t.clone()
                                                     : host;
}
Tensor from_disk(const Tensor& t, DiskLayout layout) {
  return layout == DiskLayout::conv && t.rank() == 4 ? to_channels_last(t) : t.clone();
}

}  // namespace

// --- Optimizer -----------------------------------------------------------------------------------

Optimizer::Optimizer(std::vector<Parameter> parameters, std::vector<std::string> slots, double lr)
    : parameters_(std::move(parameters)), slots_(std::move(slots)), state_(slots_.size()), lr_(lr) {
  LIMBECK_CHECK(!parameters_.empty(), "optimiser: no parameters given");
  for (auto& slot : state_) slot.resize(parameters_.size());
}

void Optimizer::zero_grad() const {
  for (const Parameter& p : parameters_) p.value.zero_grad();
}

const Tensor& Optimizer::count_step(std::function<std::vector<double>()> scalars) {
  const Tensor& like = parameters_.front().value.data();
  if (!scalars_.defined() || scalars_.dtype() != like.dtype() || scalars_.device() != like.device())
    scalars_ = Tensor::empty({static_cast<int64_t>(scalars().size())}, like.dtype(), like.device());
  host_effect([this, scalars = std::move(scalars)] {
    ++steps_;
    scalars_.copy_from(Tensor::of(scalars()).to(scalars_.dtype()));
  });
  return scalars_;
}

TensorFile Optimizer::state() const {
  TensorFile file;
  file.add("steps", Tensor::of(std::vector<int64_t>{steps_}, {}));
  file.add("lr", Tensor::scalar(lr_, DType::f64));
  // A slot that was never used is written as zeros, its value before the first step.
  for (size_t s = 0; s < slots_.size(); ++s)
    for (size_t i = 0; i < parameters_.size(); ++i) {
      const Parameter& p = parameters_[i];
      const Tensor t = state_[s][i].defined() ? state_[s][i] : Tensor::zeros_like(p.value.data());
      file.add(p.name + "." + slots_[s], to_disk(t, p.layout));
    }
  return file;
}

void Optimizer::load_state(const TensorFile& file, const std::string& what) {
  const size_t expected = 2 + slots_.size() * parameters_.size();
  LIMBECK_CHECK(file.tensors.size() == expected, what, ": expected ", expected, " tensors, found ",
                file.tensors.size());
  std::vector<std::vector<Tensor>> loaded(slots_.size());
  for (size_t s = 0; s < slots_.size(); ++s)
    for (const Parameter& p : parameters_) {
      const std::string key = p.name + "." + slots_[s];
      const Tensor* found = file.find(key);
      LIMBECK_CHECK(found, what, ": missing ", key);
      LIMBECK_CHECK(is_floating(found->dtype()), what, ": ", key,
                    ": expected floating values, found ", describe(*found));
      const Tensor t = from_disk(*found, p.layout);
      LIMBECK_CHECK(t.shape() == p.value.shape(), what, ": ", key, ": expected ", p.value.shape(),
                    " in memory, found ", t.shape());
      loaded[s].push_back(t.to(p.value.dtype()).to(p.value.data().device()));
    }
  const Tensor& steps = file.get("steps");
  const Tensor& lr = file.get("lr");
  LIMBECK_CHECK(steps.numel() == 1 && lr.numel() == 1, what, ": steps and lr must hold one value");
  // Into the slots that there are: a recorded step writes to their places at every replay.
  for (size_t s = 0; s < slots_.size(); ++s)
    for (size_t i = 0; i < parameters_.size(); ++i) {
      Tensor& slot = state_[s][i];
      const Tensor& t = loaded[s][i];
      if (slot.defined() && slot.dtype() == t.dtype() && slot.device() == t.device())
        slot.copy_from(t);
      else
        slot = t;
    }
  steps_ = steps.to(DType::i64).data<int64_t>()[0];
  lr_ = lr.item();
}

// --- SGD and Adam --------------------------------------------------------------------------------

SGD::SGD(std::vector<Parameter> parameters, const Config& config)
    : Optimizer(std::move(parameters), {"momentum_buffer"}, config.lr), config_(config) {
  LIMBECK_CHECK(config.lr >= 0 && config.momentum >= 0 && config.weight_decay >= 0,
                "SGD: settings must not be negative");
  LIMBECK_CHECK(!config.nesterov || config.momentum > 0, "SGD: Nesterov needs a momentum");
}

void SGD::step() {
  static const Op& op = find_op("sgd_step");
  // v starts at zero, so the first step's v = momentum 0 + g is PyTorch's v = g.
  const auto attrs = [this](double decay) {
    return Attrs{{"momentum", config_.momentum},
                 {"weight_decay", decay},
                 {"nesterov", config_.nesterov},
                 {"first", false}};
  };
  const Tensor& lr = count_step([this] { return std::vector<double>{lr_}; });
  std::vector<Tensors> decaying, others;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Variable& w = parameters_[i].value;
    if (!w.grad().defined()) continue;
    Tensor& v = state_[0][i];
    if (!v.defined()) v = Tensor::zeros_like(w.data());
    (parameters_[i].decays ? decaying : others).push_back({w.data(), w.grad(), v});
  }
  run_steps(op, decaying, lr, attrs(config_.weight_decay));
  if (!others.empty()) run_steps(op, others, lr, attrs(0));
}

Adam::Adam(std::vector<Parameter> parameters, const Config& config)
    : Optimizer(std::move(parameters), {"exp_avg", "exp_avg_sq"}, config.lr), config_(config) {
  LIMBECK_CHECK(config.lr >= 0 && config.eps >= 0 && config.weight_decay >= 0,
                "Adam: settings must not be negative");
  LIMBECK_CHECK(config.beta1 >= 0 && config.beta1 < 1 && config.beta2 >= 0 && config.beta2 < 1,
                "Adam: betas must lie in [0, 1), found ", config.beta1, " and ", config.beta2);
}

void Adam::step() {
  static const Op& op = find_op("adam_step");
  const auto attrs = [this](double decay) {
    return Attrs{{"beta1", config_.beta1},
                 {"beta2", config_.beta2},
                 {"eps", config_.eps},
                 {"weight_decay", decay},
                 {"decoupled", config_.decoupled}};
  };
  const Tensor& hyper = count_step([this] {
    return std::vector<double>{lr_, static_cast<double>(steps_)};
  });
  std::vector<Tensors> decaying, others;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Variable& w = parameters_[i].value;
    if (!w.grad().defined()) continue;
    Tensor &m = state_[0][i], &v = state_[1][i];
    if (!m.defined()) m = Tensor::zeros_like(w.data());
    if (!v.defined()) v = Tensor::zeros_like(w.data());
    (parameters_[i].decays ? decaying : others).push_back({w.data(), w.grad(), m, v});
  }
  run_steps(op, decaying, hyper, attrs(config_.weight_decay));
  if (!others.empty()) run_steps(op, others, hyper, attrs(0));
}

std::unique_ptr<Optimizer> create_optimizer(std::vector<Parameter> parameters,
                                            const OptimizerConfig& config) {
  if (const auto* adam = std::get_if<Adam::Config>(&config))
    return std::make_unique<Adam>(std::move(parameters), *adam);
  return std::make_unique<SGD>(std::move(parameters), std::get<SGD::Config>(config));
}

// --- EMA -----------------------------------------------------------------------------------------

EMA::EMA(Module& target, const Module& source, double decay, int64_t start)
    : target_(target), source_(source), decay_(decay), start_(start) {
  LIMBECK_CHECK(decay >= 0 && decay <= 1, "EMA: the decay must lie in [0, 1], found ", decay);
  const auto a = target.parameters(), b = source.parameters();
  const auto c = target.buffers(), d = source.buffers();
  LIMBECK_CHECK(a.size() == b.size() && c.size() == d.size(),
                "EMA: the two modules differ: ", a.size(), " and ", b.size(), " parameters, ",
                c.size(), " and ", d.size(), " buffers");
  LIMBECK_CHECK(!a.empty(), "EMA: the modules have no parameters");
  for (size_t i = 0; i < a.size(); ++i)
    LIMBECK_CHECK(a[i].name == b[i].name && a[i].value.shape() == b[i].value.shape(),
                  "EMA: parameter ", i, " is ", a[i].name, " ", a[i].value.shape(),
                  " in the target and ", b[i].name, " ", b[i].value.shape(), " in the source");
  for (size_t i = 0; i < c.size(); ++i)
    LIMBECK_CHECK(c[i].name == d[i].name && c[i].value.shape() == d[i].value.shape(),
                  "EMA: buffer ", i, " is ", c[i].name, " ", c[i].value.shape(),
                  " in the target and ", d[i].name, " ", d[i].value.shape(), " in the source");
}

/// A recorded step reads the decay that is written before its replay; 0 makes the blend a copy.
void EMA::write_decay(std::function<int64_t()> step) {
  const Tensor& like = target_.parameters().front().value.data();
  Tensor& decay = decay_scalar_;
  if (!decay.defined() || decay.dtype() != like.dtype() || decay.device() != like.device())
    decay = Tensor::empty({1}, like.dtype(), like.device());
  host_effect([this, step = std::move(step)] {
    decay_scalar_.copy_from(Tensor::full({1}, step() < start_ ? 0 : decay_, decay_scalar_.dtype()));
  });
}

void EMA::update(std::function<int64_t()> step) {
  static const Op& op = find_op("ema_step");
  const bool copy = !recording() && step() < start_;  // a recorded step serves both phases
  write_decay(std::move(step));
  std::vector<Tensors> each;
  const auto blend = [&](const Tensor& target, const Tensor& source) {
    if (target.device() == cpu && !is_floating(target.dtype()))
      host_effect([target, source] { target.copy_from(source); });  // counters (Module::to)
    else if (copy || !is_floating(target.dtype()))
      target.copy_from(source);
    else
      each.push_back({target, source});
  };
  const auto to = target_.parameters(), from = source_.parameters();
  for (size_t i = 0; i < to.size(); ++i) blend(to[i].value.data(), from[i].value.data());
  const auto to_buffers = target_.buffers(), from_buffers = source_.buffers();
  for (size_t i = 0; i < to_buffers.size(); ++i) blend(to_buffers[i].value, from_buffers[i].value);
  run_steps(op, each, decay_scalar_, {});
}

}  // namespace limbeck::nn
