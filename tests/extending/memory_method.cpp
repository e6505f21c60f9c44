// drift: the student's pooled features stay near what they were when the image was last seen.
//   loss = weight mean((p - memory[row])^2), memory[row] := p after the update
#include "kd/method.h"
#include "tensor/rows.h"

namespace limbeck::kd::drift {
namespace {

struct DriftSettings : LossWeights {
  double weight = 0.1;
  void fields(FieldVisitor& v) {
    LossWeights::fields(v);
    v("weight", weight, "of the squared difference");
  }
};

/// A row for each training image. A buffer of a module: it is in the checkpoint.
class Memory : public nn::Module {
 public:
  Memory(int64_t images, int64_t features)
      : bank_(add_buffer("bank", Tensor::zeros({images, features}))) {}
  Tensor& bank() { return buffer(bank_); }

 private:
  const size_t bank_;
};

class Drift : public Method {
 public:
  using Settings = DriftSettings;
  explicit Drift(const Settings& s) : settings_(s) {}
  LossWeights weights() const override { return settings_; }
  void prepare(const Pair& pair) override {
    memory_ = std::make_unique<Memory>(pair.train.size(), pair.student.pooled.size(1));
  }
  nn::Module* auxiliary() override { return memory_.get(); }
  Variable loss(const DistillationStep& step) override {
    const Variable before = embedding(Variable(memory_->bank()), step.step.rows);
    return mse_loss(step.student.pooled, before.detach()) * settings_.weight;
  }
  void after_step(const DistillationStep& step) override {
    scatter_rows(memory_->bank(), step.step.rows, step.student.pooled.data());
  }

 private:
  const Settings settings_;
  std::unique_ptr<Memory> memory_;
};

const RegisterMethod<Drift> registered("drift", "Drift", Family::features,
                                       "a memory of features (example)");

}  // namespace
}  // namespace limbeck::kd::drift
