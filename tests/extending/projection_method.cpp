// projection: a linear map of the student's pooled features imitates the teacher's.
//   loss = weight mean((W p_s + b - p_t)^2)
#include "kd/method.h"
#include "nn/layers.h"

namespace limbeck::kd::projection {
namespace {

struct ProjectionSettings : LossWeights {
  double weight = 1;
  void fields(FieldVisitor& v) {
    LossWeights::fields(v);
    v("weight", weight, "of the squared difference");
  }
};

class Projection : public Method {
 public:
  using Settings = ProjectionSettings;
  explicit Projection(const Settings& s) : settings_(s) {}
  LossWeights weights() const override { return settings_; }
  void prepare(const Pair& pair) override {
    linear_ =
        std::make_unique<nn::Linear>(pair.student.pooled.size(1), pair.teacher.pooled.size(1));
    linear_->initialise(pair.init);
  }
  nn::Module* auxiliary() override { return linear_.get(); }
  Variable loss(const DistillationStep& step) override {
    const Variable imitation = (*linear_)(step.student.pooled);
    return mse_loss(imitation, step.teacher.pooled) * settings_.weight;
  }

 private:
  const Settings settings_;
  std::unique_ptr<nn::Linear> linear_;
};

const RegisterMethod<Projection> registered("projection", "Projection", Family::features,
                                            "pooled features through a linear map (example)");

}  // namespace
}  // namespace limbeck::kd::projection
