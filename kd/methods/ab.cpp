// AB: activation boundaries, neurons are on where the teacher's are (Heo et al., "Knowledge
// transfer via distillation of activation boundaries formed by hidden neurons", AAAI 2019, Eqs. 4
// and 6; RepDistiller distiller_zoo/AB.py and helper/pretrain.py).
//   stage before, on the student's body and the connectors r, 30 epochs:
//     sum over levels i < n of f[1..-2] before their activation of
//       2^(i - n + 1) 3/1000 / N sum l(r_i(s_i), t_i)
//     l(a, b) = max(0, a + m)^2 where b <= 0, max(0, m - a)^2 where b > 0,  m = 1
//   student's training, from the body so made: no term but the soft targets
// r: identity for equal channels and sides, else convolution and batch norm (kd/regressor.h). The
// body is what the maps depend on (kd/pretraining.h); the rest, a WRN's last batch norm included,
// stays as it is and in eval mode. Official and paper: same loss; the paper averages, the code's
// 3/1000 / N is a scale for its learning rate, 0.05 (0.01 for MobileNetV2 and ShuffleNets). The
// code keeps asking for pre-activation maps in the student's training, which moves a WRN's running
// statistics twice a step and does nothing else; here it does not.
#include <cmath>

#include "autograd/autocast.h"
#include "kd/levels.h"
#include "kd/parity_kd.h"
#include "kd/pretraining.h"
#include "kd/regressor.h"

namespace limbeck::kd::ab {
namespace {

struct AbSettings : LossWeights {
  double margin = 1;
  PretrainingSettings init{0.05};
  void fields(FieldVisitor& v) {
    LossWeights::fields(v);
    v("margin", margin, "m: distance from the boundary that is wanted");
    v("init", init, "how the student's body trains before");
  }
};

/// One for each level; null: identity.
class Connectors : public nn::Module {
 public:
  explicit Connectors(const std::vector<Level>& levels) {
    for (const auto& [s, t] : levels) {
      const bool equal = s.size(1) == t.size(1) && s.size(3) == t.size(3);
      connectors_.push_back(
          equal ? nullptr
                : &own(std::to_string(connectors_.size()),
                       std::make_unique<Regressor>("ab", s.shape(), t.shape(), false)));
    }
  }
  Variable operator()(size_t level, const Variable& x) {
    return connectors_[level] ? (*connectors_[level])(x) : x;
  }

 private:
  std::vector<Regressor*> connectors_;
};

/// Of each sample, [N]. Levels have equal shapes.
Variable boundary_losses(const std::vector<Level>& levels, double margin) {
  Variable total;
  for (size_t i = 0; i < levels.size(); ++i) {
    const auto& [s, t] = levels[i];
    const Tensor on = greater(t.data(), Tensor::zeros({}, t.dtype(), t.data().device()));
    const Variable each = where(on, square(relu(affine(s, -1, margin))), square(relu(s + margin)));
    const double weight =
        std::exp2(static_cast<double>(i + 1) - static_cast<double>(levels.size()));
    const Variable own = sum(each, {1, 2, 3}) * (weight * 3 / 1000);
    total = total ? total + own : own;
  }
  return total;
}

class Boundaries : public BodyLoss {
 public:
  Boundaries(const PreparationContext& context, std::unique_ptr<Connectors> connectors,
             double margin)
      : BodyLoss(context, true), connectors_(std::move(connectors)), margin_(margin) {
    add("connectors", *connectors_);
  }

 protected:
  Variable losses(const nn::Features& student, const nn::Features& teacher) override {
    std::vector<Level> levels = equal_levels_of("ab", student, teacher);
    for (size_t i = 0; i < levels.size(); ++i)
      levels[i].student = from_activation((*connectors_)(i, levels[i].student));
    return boundary_losses(levels, margin_);
  }

 private:
  const std::unique_ptr<Connectors> connectors_;
  const double margin_;
};

std::unique_ptr<Connectors> new_connectors(const PreparationContext& context) {
  const NoGrad no_grad;
  const data::Dataset& d = context.data.train;
  const Variable images(Tensor::zeros({2, d.height(), d.width(), d.channels()}, DType::f32,
                                      context.teacher.device()));
  context.student.eval();
  auto connectors = std::make_unique<Connectors>(
      equal_levels_of("ab", context.student.forward_features(images, true),
                      context.teacher.forward_features(images, true)));
  connectors->initialise(context.stream.fork("init"));
  connectors->to(context.teacher.device());
  return connectors;
}

class Ab : public Method {
 public:
  using Settings = AbSettings;
  explicit Ab(const Settings& s) : settings_(s) {
    LIMBECK_CHECK(std::isfinite(s.margin) && s.margin > 0,
                  "methods.ab.margin: expected a positive number, found ", s.margin);
    train::check(s.init, "methods.ab.init", false);
  }
  LossWeights weights() const override { return settings_; }
  std::vector<Preparation> preparations() const override {
    const auto run = [s = settings_](PreparationContext& context) {
      {
        Boundaries loss(context, new_connectors(context), s.margin);
        pretrain(loss, context, s.init);
      }
      save_student(context);
    };
    return {{"init", "AB: activation boundaries of the student's body", run, true}};
  }
  void prepare(const Pair& pair) override {
    const Connectors possible(equal_levels_of("ab", pair.student, pair.teacher));
    if (pair.directory_of) load_student(pair, "init");
  }

 private:
  const Settings settings_;
};

const RegisterMethod<Ab> registered("ab", "AB", Family::features,
                                    "activation boundaries before the training (Heo et al. 2019)");
const RegisterParityCase parity("AB", [](const ParityCase& c) {
  return ParityOutcome{mean(boundary_losses(
      equal_levels_of("ab", features_with_maps(c.student.all), features_with_maps(c.teacher.all)),
      1))};
});

}  // namespace
}  // namespace limbeck::kd::ab
