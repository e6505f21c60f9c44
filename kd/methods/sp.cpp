// SP: similarity preserving, samples that the teacher finds alike stay alike (Tung and Mori,
// "Similarity-preserving knowledge distillation", ICCV 2019, Eqs. 1 to 4; RepDistiller
// distiller_zoo/SP.py).
//   G = F F^T [N, N] of the flattened last maps f[-2], rows divided by their L2 norm
//   loss = beta / N^2 sum((G_t - G_s)^2),  beta = 3000
// Official and paper: the paper sums over pairs of layers, the code takes the last one. Sizes and
// channels of the two maps need not agree.
#include "kd/levels.h"
#include "kd/method.h"
#include "kd/parity_kd.h"

namespace limbeck::kd::sp {
namespace {

struct SpSettings : LossWeights {
  double weight = 3000;
  void fields(FieldVisitor& v) {
    LossWeights::fields(v);
    v("weight", weight, "beta: weight of the difference between similarities");
  }
};

Variable similarities(const Variable& map) {
  const Variable x = flatten(map);
  return l2_normalize(matmul(x, x, false, true));
}

class Sp : public Method {
 public:
  using Settings = SpSettings;
  explicit Sp(const Settings& s) : settings_(s) { check_weight(s.weight, "sp"); }
  LossWeights weights() const override { return settings_; }
  void prepare(const Pair& pair) override { last_maps("sp", pair.student, pair.teacher); }
  Variable loss(const DistillationStep& step) override {
    const auto [s, t] = last_maps("sp", step.student, step.teacher);
    return mse_loss(similarities(s), similarities(t)) * settings_.weight;  // a mean over N^2
  }

 private:
  const Settings settings_;
};

const RegisterMethod<Sp> registered("sp", "SP", Family::relations,
                                    "similarities in a batch (Tung and Mori 2019)");
const RegisterParityCase parity("SP", [](const ParityCase& c) {
  return own_term(c, std::make_shared<Sp>(SpSettings{{}, 1}), features_with_maps(c.student.all),
                  features_with_maps(c.teacher.all));
});

}  // namespace
}  // namespace limbeck::kd::sp
