// AT: attention transfer, the student's maps are large where the teacher's are (Zagoruyko and
// Komodakis, "Paying more attention to attention", ICLR 2017, Eq. 2 with the sum of squares;
// RepDistiller distiller_zoo/AT.py).
//   a(f) = v / |v|,  v[h w] = mean over channels of f^2
//   loss = beta sum over the levels f[1..-2] of mean((a(f_s) - a(f_t))^2),  beta = 1000
// The larger map of a level is averaged to the smaller's size first. Official and paper: the code
// takes the mean of squares over batch and pixels, the paper the L2 norm of the difference, with
// beta / 2 in front; channels of unequal number need no regressor, as they are averaged.
// Gradient: through the normalisation, so scaling a map changes nothing and gets none.
#include "kd/levels.h"
#include "kd/method.h"
#include "kd/parity_kd.h"

namespace limbeck::kd::at {
namespace {

struct AtSettings : LossWeights {
  double weight = 1000;
  void fields(FieldVisitor& v) {
    LossWeights::fields(v);
    v("weight", weight, "beta: weight of the difference between attention maps");
  }
};

class At : public Method {
 public:
  using Settings = AtSettings;
  explicit At(const Settings& s) : settings_(s) { check_weight(s.weight, "at"); }
  LossWeights weights() const override { return settings_; }
  void prepare(const Pair& pair) override { levels_of("at", pair.student, pair.teacher); }
  Variable loss(const DistillationStep& step) override {
    Variable total;
    for (const Level& level : levels_of("at", step.student, step.teacher)) {
      const auto [s, t] = same_size(level);
      const Variable difference = mse_loss(attention_map(s), attention_map(t));
      total = total ? total + difference : difference;
    }
    return total * settings_.weight;
  }

 private:
  const Settings settings_;
};

const RegisterMethod<At> registered("at", "AT", Family::features,
                                    "attention maps (Zagoruyko and Komodakis 2017)");
const RegisterParityCase parity("AT", [](const ParityCase& c) {
  return own_term(c, std::make_shared<At>(AtSettings{{}, 1}), features_with_maps(c.student.all),
                  features_with_maps(c.teacher.all));
});

}  // namespace
}  // namespace limbeck::kd::at
