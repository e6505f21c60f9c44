// NST: neuron selectivity transfer, the channels' spatial patterns have the teacher's distribution
// (Huang and Wang, "Like what you like: knowledge distill via neuron selectivity transfer",
// arXiv:1707.01219, Eqs. 3 to 7 with the polynomial kernel; RepDistiller distiller_zoo/NST.py).
//   k(a, b) = <a, b>^2 of channels a, b: maps over H W divided by their L2 norm
//   loss = beta sum over the levels f[1..-2] of mean k(t, t) + mean k(s, s) - 2 mean k(s, t),
//   means over samples and pairs of channels, beta = 50
// The larger map of a level is averaged to the smaller's size first. mean k(t, t) has no gradient
// and stays in the reported value. The official script has alpha = 0. Costs C_s^2 + C_s C_t numbers
// per sample and level.
#include "kd/levels.h"
#include "kd/method.h"
#include "kd/parity_kd.h"

namespace limbeck::kd::nst {
namespace {

struct NstSettings : LossWeights {
  double weight = 50;
  NstSettings() { soft_weight = 0; }
  void fields(FieldVisitor& v) {
    LossWeights::fields(v);
    v("weight", weight, "beta: weight of the maximum mean discrepancy");
  }
};

/// [N, C, H W], every channel with norm 1.
Variable patterns(const Variable& map) { return l2_normalize(permute(pixels(map), {0, 2, 1})); }
Variable mean_kernel(const Variable& a, const Variable& b) {
  return mean(square(matmul(a, b, false, true)));
}

class Nst : public Method {
 public:
  using Settings = NstSettings;
  explicit Nst(const Settings& s) : settings_(s) { check_weight(s.weight, "nst"); }
  LossWeights weights() const override { return settings_; }
  void prepare(const Pair& pair) override { levels_of("nst", pair.student, pair.teacher); }
  Variable loss(const DistillationStep& step) override {
    Variable total;
    for (const Level& level : levels_of("nst", step.student, step.teacher)) {
      const auto [student, teacher] = same_size(level);
      const Variable s = patterns(student), t = patterns(teacher),
                     discrepancy = mean_kernel(t, t) + mean_kernel(s, s) - mean_kernel(s, t) * 2;
      total = total ? total + discrepancy : discrepancy;
    }
    return total * settings_.weight;
  }

 private:
  const Settings settings_;
};

NstSettings unweighted() {
  NstSettings s;
  s.weight = 1;
  return s;
}
const RegisterMethod<Nst> registered("nst", "NST", Family::features,
                                     "spatial patterns of channels (Huang and Wang 2017)");
const RegisterParityCase parity("NST", [](const ParityCase& c) {
  return own_term(c, std::make_shared<Nst>(unweighted()), features_with_maps(c.student.all),
                  features_with_maps(c.teacher.all));
});

}  // namespace
}  // namespace limbeck::kd::nst
