#include "kd/data_free/contrast.h"

#include <algorithm>

#include "autograd/autocast.h"
#include "tensor/rows.h"

namespace limbeck::kd::data_free {

Variable pooled_inputs(const NormInputs& inputs) {
  Variables means;
  for (const auto& in : inputs) means.push_back(mean(from_activation(in.x), {1, 2}));
  return concat(means, 1);
}

ContrastiveMemory::Head::Head(int64_t features) : first(features, features), second(features, 256) {
  add("0", first), add("2", second);
}

Variable ContrastiveMemory::Head::forward(const Variable& x) { return second(relu(first(x))); }

ContrastiveMemory::ContrastiveMemory(const ContrastSettings& settings, int64_t features,
                                     const Stream& init, Device device)
    : s_(settings),
      device_(device),
      head_(features),
      optimizer_(head_.parameters(), {.lr = settings.lr, .beta1 = 0.9}),
      local_(Tensor::zeros({settings.bank, features})),
      global_(Tensor::zeros({settings.bank, features})) {
  head_.initialise(init);
  head_.to(device);
}

ContrastiveMemory::Rows ContrastiveMemory::draw(const Stream& stream) const {
  const int64_t n = std::min(count_, s_.drawn);
  if (n == 0) return {};
  Stream order = stream.fork("memory");
  std::vector<int64_t> index = order.permutation(count_);
  index.resize(static_cast<size_t>(n));
  return {take_rows(local_, index), take_rows(global_, index)};
}

Variable ContrastiveMemory::loss(const Variable& local, const Variable& global,
                                 const Rows& remembered) {
  Variable l = local, g = global.detach();
  if (remembered.local.defined()) {
    l = concat({l, Variable(remembered.local.to(device_))}, 0);
    g = concat({g, Variable(remembered.global.to(device_))}, 0);
  }
  return contrast(head_(l), head_(g), local.size(0), s_.temperature) * s_.weight;
}

void ContrastiveMemory::add(const Tensor& local, const Tensor& global) {
  const Tensor l = local.to(cpu), g = global.to(cpu);
  for (int64_t i = 0; i < l.size(0); ++i) {
    local_.rows(next_, next_ + 1).copy_from(l.rows(i, i + 1));
    global_.rows(next_, next_ + 1).copy_from(g.rows(i, i + 1));
    next_ = (next_ + 1) % s_.bank;
    count_ = std::min(count_ + 1, s_.bank);
  }
}

TensorFile ContrastiveMemory::head_state() const {
  TensorFile file;
  file.add_part("head.", head_.state_dict());
  file.add_part("optimizer.", optimizer_.state());
  return file;
}

void ContrastiveMemory::begin_synthesis() { held_ = head_state(); }

TensorFile ContrastiveMemory::state() const {
  TensorFile file = held_ ? *held_ : head_state();
  file.add("local", local_.rows(0, count_).clone());
  file.add("global", global_.rows(0, count_).clone());
  file.add("next", Tensor::of<int64_t>({next_}));
  return file;
}

void ContrastiveMemory::load(const TensorFile& file) {
  head_.load_state_dict(file.part("head."), "saved training state");
  optimizer_.load_state(file.part("optimizer."), "saved training state");
  const Tensor& local = file.get("local");
  count_ = local.size(0);
  LIMBECK_CHECK(count_ <= s_.bank, "contrastive memory: expected at most ", s_.bank,
                " rows, found ", count_);
  local_.rows(0, count_).copy_from(local);
  global_.rows(0, count_).copy_from(file.get("global"));
  next_ = file.get("next").to_vector<int64_t>().at(0);
}

}  // namespace limbeck::kd::data_free
