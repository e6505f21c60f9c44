// FitNet: the student's middle map, carried to the teacher's size by a regressor R, imitates the
// teacher's (Romero et al., "FitNets: hints for thin deep nets", ICLR 2015; RepDistiller's
// one-stage form, in which R trains along).
//   loss = beta mean((R(f_s) - f_t)^2),  beta = 100, f the tap `tap` of both networks (2 counted
//                                        from 0)
//   R = ReLU(BN(conv(f_s))): 3x3 with stride 2 when the student's side is twice the teacher's;
//   transposed 4x4 with stride 2 when it is half of it;
//       otherwise a kernel of 1 + (student's side - teacher's side) without padding, 1x1 for equal
//       sides.
#include "kd/method.h"
#include "kd/parity_kd.h"
#include "nn/layers.h"

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

/// Images [N, side, side, in] to the teacher's [N, side', side', out].
class Regressor : public nn::Module {
 public:
  Regressor(const Shape& student, const Shape& teacher) : norm_(teacher[3]) {
    const int64_t s = student[1], t = teacher[1];
    if (s == 2 * t)
      conv_ =
          &own("conv", std::make_unique<nn::Conv2d>(
                           student[3], teacher[3],
                           nn::Conv2dConfig{.kernel = 3, .stride = 2, .padding = 1, .bias = true}));
    else if (2 * s == t)
      conv_ =
          &own("conv", std::make_unique<nn::ConvTranspose2d>(
                           student[3], teacher[3],
                           nn::Conv2dConfig{.kernel = 4, .stride = 2, .padding = 1, .bias = true}));
    else if (s >= t)
      conv_ = &own(
          "conv", std::make_unique<nn::Conv2d>(
                      student[3], teacher[3], nn::Conv2dConfig{.kernel = 1 + s - t, .bias = true}));
    else
      fail("fitnet: no regressor from maps of ", s, " x ", s, " pixels to the teacher's ", t, " x ",
           t);
    add("bn", norm_);
  }
  Variable forward(const Variable& x) override { return norm_.relu((*conv_)(x)); }

 private:
  nn::Module* conv_ = nullptr;
  nn::BatchNorm2d norm_;
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
    regressor_ = std::make_unique<Regressor>(student, teacher);
    regressor_->initialise(pair.init);
  }
  Regressor* auxiliary() override { return regressor_.get(); }
  Variable loss(const DistillationStep& step) override {
    const Variable hint = (*regressor_)(map_of(step.student, "student"));
    return mse_loss(hint, map_of(step.teacher, "teacher")) * settings_.weight;
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
    "fitnet", "FitNet", "hints: a middle map imitates the teacher's (Romero et al. 2015)");
const RegisterParityCase parity("FitNet", [](const ParityCase& c) {
  const auto method = std::make_shared<FitNet>(FitNetSettings{{}, 1, 1});
  return own_term(c, method, features_with_maps(c.student), features_with_maps(c.teacher),
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
