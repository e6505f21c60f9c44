// FitNet: the student's middle map, carried to the teacher's size by a regressor R, imitates the
// teacher's (Romero et al., "FitNets: hints for thin deep nets", ICLR 2015; RepDistiller's
// one-stage form, in which R trains along).
//   loss = beta mean((R(f_s) - f_t)^2),  beta = 100, f the tap `tap` of both networks (2 counted
//                                        from 0)
//   R = ReLU(BN(conv(f_s))), kd/regressor.h
// Official and paper: the paper trains the student up to its hint first (stage 1) and then the
// whole by distillation; the code does both at once. A WRN's maps are sums without ReLU, whose
// negative part R cannot reach. The gradient goes through R into the student up to the tap.
#include "autograd/autocast.h"
#include "kd/method.h"
#include "kd/parity_kd.h"
#include "kd/regressor.h"

namespace limbeck::kd::fitnet {
namespace {

struct FitNetSettings : LossWeights {
  double weight = 100;
  int64_t tap = 2;
  void fields(FieldVisitor& v) {
    LossWeights::fields(v);
    v("weight", weight, "beta: weight of the squared difference");
    v("tap", tap, "the taps that are compared, counted from 0");
  }
};

class FitNet : public Method {
 public:
  using Settings = FitNetSettings;
  explicit FitNet(const Settings& s) : settings_(s) {
    LIMBECK_CHECK(s.tap >= 0, "methods.fitnet.tap: expected 0 or more, found ", s.tap);
    check_weight(s.weight, "fitnet");
  }
  LossWeights weights() const override { return settings_; }
  void prepare(const Pair& pair) override {
    const Shape student = map_of(pair.student, "student").shape(),
                teacher = map_of(pair.teacher, "teacher").shape();
    regressor_ = std::make_unique<Regressor>("fitnet", student, teacher);
    regressor_->initialise(pair.init);
  }
  Regressor* auxiliary() override { return regressor_.get(); }
  Variable loss(const DistillationStep& step) override {
    const Variable hint = (*regressor_)(map_of(step.student, "student"));
    return mse_loss(from_activation(hint), from_activation(map_of(step.teacher, "teacher"))) *
           settings_.weight;
  }

 private:
  const Variable& map_of(const nn::Features& f, const char* whose) const {
    const auto tap = static_cast<size_t>(settings_.tap);
    LIMBECK_CHECK(tap < f.taps.size() && f.taps[tap].rank() == 4, "fitnet: the ", whose,
                  " has no map at tap ", settings_.tap, "; it has ", f.taps.size(), " taps");
    return f.taps[tap];
  }

  const Settings settings_;
  std::unique_ptr<Regressor> regressor_;
};

const RegisterMethod<FitNet> registered(
    "fitnet", "FitNet", Family::features,
    "hints: a middle map imitates the teacher's (Romero et al. 2015)");
const RegisterParityCase parity("FitNet", [](const ParityCase& c) {
  const auto method = std::make_shared<FitNet>(FitNetSettings{{}, 1, 1});
  return own_term(c, method, features_with_maps(c.student.all), features_with_maps(c.teacher.all),
                  [method] {
                    return std::vector<ParityOutcome::Part>{{"regressor.", method->auxiliary()}};
                  });
});
// The difference alone, behind a regressor of somebody else.
const RegisterParityCase difference("FitNet_mse", [](const ParityCase& c) {
  return ParityOutcome{mse_loss(c.student[0], c.teacher[0])};
});

}  // namespace
}  // namespace limbeck::kd::fitnet
