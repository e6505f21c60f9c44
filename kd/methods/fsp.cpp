// FSP: flow of the solution procedure, how one map follows from another (Yim et al., "A gift from
// knowledge distillation", CVPR 2017, Eqs. 1 and 2; RepDistiller distiller_zoo/FSP.py and
// helper/pretrain.py).
//   stage before, on the student's body, 30 epochs: sum over consecutive maps x, y of f[0..-2] of
//     mean((M_s - M_t)^2),  M[i, j] = mean over pixels of x_i y_j
//   student's training, from the body so made: no term
// The larger of two consecutive maps is averaged to the smaller's size. Student and teacher need
// the same channels at every map. Official and paper: the paper chooses pairs within a stage, the
// code takes neighbours in the list; alpha = 0.
#include "kd/levels.h"
#include "kd/parity_kd.h"
#include "kd/pretraining.h"

namespace limbeck::kd::fsp {
namespace {

struct FspSettings : LossWeights {
  PretrainingSettings init{0.05};
  FspSettings() { soft_weight = 0; }
  void fields(FieldVisitor& v) {
    LossWeights::fields(v);
    v("init", init, "how the student's body trains before");
  }
};

/// Two maps of one network to [N, C, C'].
Variable flow(const Variable& first, const Variable& second) {
  const auto [x, y] = same_size({first, second});
  return matmul(pixels(x), pixels(y), true) * (1.0 / static_cast<double>(x.size(1) * x.size(2)));
}

/// Of each sample, [N].
Variable flow_losses(const std::vector<Level>& levels) {
  Variable total;
  for (size_t i = 0; i + 1 < levels.size(); ++i) {
    const Variable s = flow(levels[i].student, levels[i + 1].student),
                   t = flow(levels[i].teacher, levels[i + 1].teacher),
                   own = mean(square(s - t), {1, 2});
    total = total ? total + own : own;
  }
  return total;
}

std::vector<Level> maps_of(const nn::Features& student, const nn::Features& teacher,
                           size_t first = 0) {
  const std::vector<Level> levels = equal_levels_of("fsp", student, teacher, first);
  LIMBECK_CHECK(levels.size() > 1, "fsp: expected two maps or more, found ", levels.size());
  for (size_t i = 0; i < levels.size(); ++i)
    LIMBECK_CHECK(levels[i].student.size(3) == levels[i].teacher.size(3), "fsp: map ", i, " has ",
                  levels[i].student.size(3), " channels, the teacher's ", levels[i].teacher.size(3),
                  "; they must be equal");
  return levels;
}

class Flows : public BodyLoss {
 public:
  explicit Flows(const PreparationContext& context) : BodyLoss(context, false) {}

 protected:
  Variable losses(const nn::Features& student, const nn::Features& teacher) override {
    return flow_losses(maps_of(student, teacher));
  }
};

class Fsp : public Method {
 public:
  using Settings = FspSettings;
  explicit Fsp(const Settings& s) : settings_(s) {
    train::check(s.init, "methods.fsp.init", false);
  }
  LossWeights weights() const override { return settings_; }
  std::vector<Preparation> preparations() const override {
    const auto run = [settings = settings_.init](PreparationContext& context) {
      {
        Flows loss(context);
        pretrain(loss, context, settings);
      }
      save_student(context);
    };
    return {{"init", "FSP: flows between the maps of the student's body", run, true}};
  }
  void prepare(const Pair& pair) override {
    maps_of(pair.student, pair.teacher);
    if (pair.directory_of) load_student(pair, "init");
  }

 private:
  const Settings settings_;
};

const RegisterMethod<Fsp> registered("fsp", "FSP", Family::relations,
                                     "flows between maps before the training (Yim et al. 2017)");
const RegisterParityCase parity("FSP", [](const ParityCase& c) {
  return ParityOutcome{mean(flow_losses(
      maps_of(features_with_maps(c.student.all), features_with_maps(c.teacher.all), 1)))};
});

}  // namespace
}  // namespace limbeck::kd::fsp
