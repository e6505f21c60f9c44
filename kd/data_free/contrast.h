// CMI's contrast (Fang et al., "Contrastive model inversion for data-free knowledge distillation",
// IJCAI 2021): a local view of an image shall be told from all other images, those of earlier
// syntheses too, by what enters the teacher's batch norms. So syntheses differ from each other.
#pragma once
#include <optional>

#include "kd/data_free/settings.h"
#include "kd/data_free/terms.h"
#include "nn/layers.h"
#include "nn/optim.h"

namespace limbeck::kd::data_free {

/// Mean over the pixels of each layer's input, one after the other, [N, d].
Variable pooled_inputs(const NormInputs& inputs);

/// The remembered features and the head that compares: Linear(d, d), ReLU, Linear(d, 256).
class ContrastiveMemory {
 public:
  ContrastiveMemory(const ContrastSettings& settings, int64_t features, const Stream& init,
                    Device device);

  /// Around a synthesis, in which the head learns: until its end state() is that of its beginning.
  void begin_synthesis();
  void end_synthesis() { held_.reset(); }

  /// Rows of the memory for one step, [n, d] local and global on the host; undefined: none yet.
  struct Rows {
    Tensor local, global;
  };
  Rows draw(const Stream& stream) const;
  /// The weighted contrast of features [B, d]; gradient to `local` and the head.
  Variable loss(const Variable& local, const Variable& global, const Rows& remembered);
  nn::Optimizer& optimizer() { return optimizer_; }
  /// The oldest make room.
  void add(const Tensor& local, const Tensor& global);

  TensorFile state() const;
  /// Throws for more rows than the bank has.
  void load(const TensorFile& state);

 private:
  struct Head : nn::Module {
    explicit Head(int64_t features);
    Variable forward(const Variable& x) override;
    nn::Linear first, second;
  };
  TensorFile head_state() const;

  const ContrastSettings s_;
  const Device device_;
  Head head_;
  nn::Adam optimizer_;
  Tensor local_, global_;  // [bank, d] on the host
  int64_t count_ = 0, next_ = 0;
  std::optional<TensorFile> held_;  // of the head, at the beginning of a synthesis
};

}  // namespace limbeck::kd::data_free
