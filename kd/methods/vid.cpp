// VID: variational information distillation (Ahn et al., CVPR 2019, Eqs. 3 to 6; RepDistiller
// distiller_zoo/VID.py).
//   loss = beta sum over the levels f[1..-2] of mean((mu(f_s) - f_t)^2 / v + log v) / 2,  beta = 1
//   mu: 1x1 convolutions C_s -> C_t -> C_t -> C_t without biases, ReLU between them
//   v = log(1 + e^rho) + 1e-5 for each channel, rho = log(e^(5 - 1e-5) - 1) at first, so v = 5
// The larger map of a level is averaged to the smaller's size first. This is the negative log
// likelihood of a Gaussian without its constant log(2 pi) / 2. mu and rho are trained with the
// student, weight decay included. Official and paper: the paper also reads the logits.
// Gradient: dloss/dmu = (mu - f_t) / (v numel), so a channel that cannot be predicted learns a
// large v and gets out of the student's way.
#include <cmath>

#include "kd/levels.h"
#include "kd/method.h"
#include "kd/parity_kd.h"
#include "nn/layers.h"

namespace limbeck::kd::vid {
namespace {

struct VidSettings : LossWeights {
  double weight = 1, variance = 5;
  void fields(FieldVisitor& v) {
    LossWeights::fields(v);
    v("weight", weight, "beta: weight of the likelihood of the teacher's maps");
    v("variance", variance, "of each channel at the beginning");
  }
};

constexpr double least_variance = 1e-5;

/// The Gaussian of one level's teacher map given the student's.
class Predictor : public nn::Module {
 public:
  Predictor(int64_t student, int64_t teacher, double variance) : variance_(variance) {
    log_scale_ = add_parameter("log_scale", {teacher});
    regressor_.emplace<nn::Conv2d>(student, teacher, nn::Conv2dConfig{.kernel = 1});
    regressor_.emplace<nn::ReLU>();
    regressor_.emplace<nn::Conv2d>(teacher, teacher, nn::Conv2dConfig{.kernel = 1});
    regressor_.emplace<nn::ReLU>();
    regressor_.emplace<nn::Conv2d>(teacher, teacher, nn::Conv2dConfig{.kernel = 1});
    add("regressor", regressor_);
  }
  Variable loss(const Level& level) {
    const auto [s, t] = same_size(level);
    const Variable variance = softplus(log_scale_) + least_variance;
    return mean(square(regressor_(s) - t) / variance + log(variance)) * 0.5;
  }

 protected:
  void reset(Stream) override {
    log_scale_.set_data(Tensor::full(log_scale_.shape(),
                                     std::log(std::expm1(variance_ - least_variance)),
                                     log_scale_.dtype(), log_scale_.data().device()));
  }

 private:
  const double variance_;
  Variable log_scale_;
  nn::Sequential regressor_;
};

struct Predictors : nn::Module {
  std::vector<Predictor*> levels;
  Predictors(const std::vector<Level>& shapes, double variance) {
    for (const auto& [s, t] : shapes)
      levels.push_back(&own(std::to_string(levels.size()),
                            std::make_unique<Predictor>(s.size(3), t.size(3), variance)));
  }
};

class Vid : public Method {
 public:
  using Settings = VidSettings;
  explicit Vid(const Settings& s) : settings_(s) {
    check_weight(s.weight, "vid");
    LIMBECK_CHECK(std::isfinite(s.variance) && s.variance > least_variance,
                  "methods.vid.variance: expected more than ", least_variance, ", found ",
                  s.variance);
  }
  LossWeights weights() const override { return settings_; }
  void prepare(const Pair& pair) override {
    predictors_ = std::make_unique<Predictors>(levels_of("vid", pair.student, pair.teacher),
                                               settings_.variance);
    predictors_->initialise(pair.init);
  }
  Predictors* auxiliary() override { return predictors_.get(); }
  Variable loss(const DistillationStep& step) override {
    const std::vector<Level> levels = levels_of("vid", step.student, step.teacher);
    Variable total;
    for (size_t i = 0; i < levels.size(); ++i) {
      const Variable own = predictors_->levels[i]->loss(levels[i]);
      total = total ? total + own : own;
    }
    return total * settings_.weight;
  }

 private:
  const Settings settings_;
  std::unique_ptr<Predictors> predictors_;
};

const RegisterMethod<Vid> registered(
    "vid", "VID", Family::features,
    "likelihood of the teacher's maps given the student's (Ahn et al. 2019)");
const RegisterParityCase parity("VID", [](const ParityCase& c) {
  const auto method = std::make_shared<Vid>(VidSettings{});
  return own_term(
      c, method, features_with_maps(c.student.all), features_with_maps(c.teacher.all), [method] {
        return std::vector<ParityOutcome::Part>{{"vid.", method->auxiliary()->levels[0]}};
      });
});

}  // namespace
}  // namespace limbeck::kd::vid
