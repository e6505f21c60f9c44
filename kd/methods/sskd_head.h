// The head that SSKD's stage before trains on a frozen teacher: which of the batch's images is a
// turned one? Formula and source in sskd.cpp.
#pragma once
#include "kd/method.h"
#include "kd/methods/sskd.h"
#include "nn/layers.h"

namespace limbeck::kd::sskd {

/// Linear ReLU Linear, all of one width: [N, d] -> [N, d]. Keys 0 and 2.
struct Head : nn::Module {
  nn::Linear linear0, linear2;
  explicit Head(int64_t d) : linear0(d, d), linear2(d, d) { add("0", linear0), add("2", linear2); }
  Variable forward(const Variable& x) override { return linear2(relu(linear0(x))); }
};

/// A frozen teacher with its head, which is all that trains: pooled is the head's output. `width`
/// is that of what the teacher's last linear layer sees. The teacher outlives it.
class TeacherWithHead : public nn::Network {
 public:
  TeacherWithHead(nn::Network& teacher, int64_t width) : head(width), teacher_(teacher) {
    add("head", head);
  }
  nn::Features forward_features(const Variable& x, bool preact) override;
  Head head;

 private:
  nn::Network& teacher_;
};

/// CE of the similarities of turned views and images against the image itself; no hard loss.
class HeadLoss : public train::ExtraLoss {
 public:
  explicit HeadLoss(bool flip_each) : flip_each_(flip_each) {}
  data::Views views() const override { return {true, flip_each_}; }
  void prepare(const Probe& probe) override;
  double hard_weight() const override { return 0; }
  Variable loss(const train::Step& step) override;

 private:
  const bool flip_each_;
  Tensor unit_;
};

/// The stage: writes head.safetensors.
void train_head(PreparationContext& context, const SskdSettings& settings);

}  // namespace limbeck::kd::sskd
