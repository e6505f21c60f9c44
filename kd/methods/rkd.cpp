// RKD: relational distillation, distances and angles between the samples of a batch (Park et al.,
// "Relational knowledge distillation", CVPR 2019, Eqs. 5 to 9; RepDistiller distiller_zoo/RKD.py).
//   distances  d_ij = |e_i - e_j| / mean of the positive ones, e = f[-1]
//   angles     a_ijk = <u_ij, u_ik>,  u_ij = (e_j - e_i) / |e_j - e_i|
//   loss = weight (25 mean_ij h(d_s - d_t) + 50 mean_ijk h(a_s - a_t)),  h: smooth L1 with beta 1
// The mean distance of the student keeps its gradient. Official and paper: the paper's angle
// potential is over triples of different samples, the code takes all N^3; weights 1 : 2 in both,
// times 25 in the code. Squared distances are clamped to 1e-12 before the root, which stops the
// gradient there, and the diagonal is zero: two equal rows count as a positive distance of 1e-6.
#include "kd/levels.h"
#include "kd/method.h"
#include "kd/parity_kd.h"

namespace limbeck::kd::rkd {
namespace {

struct RkdSettings : LossWeights {
  double weight = 1, distance_weight = 25, angle_weight = 50;
  void fields(FieldVisitor& v) {
    LossWeights::fields(v);
    v("weight", weight, "beta: weight of both terms");
    v("distance_weight", distance_weight, "of the distances inside");
    v("angle_weight", angle_weight, "of the angles inside");
  }
};

/// [n, n]: 0 on the diagonal, 1 elsewhere. Of fills and copies only, so that a recorded step makes
/// it again.
Variable off_diagonal(int64_t n, const Tensor& like) {
  const NoGrad no_grad;
  const Variable zeros(Tensor::zeros({n, 1}, like.dtype(), like.device())),
      ones(Tensor::full({n, n}, 1, like.dtype(), like.device()));
  // A 0 in front of n ones, n times: in rows of n, the zeros lie on the diagonal.
  return reshape(slice(reshape(concat({zeros, ones}, 1), {n * (n + 1)}), 0, 0, n * n), {n, n});
}

Variable distances(const Variable& e) {
  const int64_t n = e.size(0);
  const Variable squares = sum(square(e), {1}, true),
                 squared = squares + reshape(squares, {1, n}) - matmul(e, e, false, true) * 2,
                 d = sqrt(clamp(squared, 1e-12, 3e38)) * off_diagonal(n, e.data());
  const Variable one(Tensor::full({}, 1, e.dtype(), e.data().device())),
      none(Tensor::zeros({}, e.dtype(), e.data().device())),
      positive = where(greater(d.data(), none.data()), one, none);
  // One sample alone has no distances: 0 / 1 instead of 0 / 0.
  const Variable mean_distance = sum(d) / maximum(sum(positive), one);
  return n > 1 ? d / mean_distance : d;
}

/// [n, n, n]: at vertex i, the cosine between the directions to j and k.
Variable angles(const Variable& e) {
  const int64_t n = e.size(0), c = e.size(1);
  const Variable u = l2_normalize(reshape(e, {1, n, c}) - reshape(e, {n, 1, c}));
  return matmul(u, u, false, true);
}

class Rkd : public Method {
 public:
  using Settings = RkdSettings;
  explicit Rkd(const Settings& s) : settings_(s) {
    check_weight(s.weight, "rkd");
    check_weight(s.distance_weight, "rkd", "distance_weight");
    check_weight(s.angle_weight, "rkd", "angle_weight");
  }
  LossWeights weights() const override { return settings_; }
  void prepare(const Pair& pair) override { pooled_vectors("rkd", pair.student, pair.teacher); }
  Variable loss(const DistillationStep& step) override {
    const auto [s, t] = pooled_vectors("rkd", step.student, step.teacher);
    return smooth_l1_loss(distances(s), distances(t)) *
               (settings_.weight * settings_.distance_weight) +
           smooth_l1_loss(angles(s), angles(t)) * (settings_.weight * settings_.angle_weight);
  }

 private:
  const Settings settings_;
};

const RegisterMethod<Rkd> registered("rkd", "RKD", Family::relations,
                                     "distances and angles in a batch (Park et al. 2019)");
const RegisterParityCase parity("RKD", [](const ParityCase& c) {
  return own_term(c, std::make_shared<Rkd>(RkdSettings{}), features_with_vector(c.student[0]),
                  features_with_vector(c.teacher[0]));
});

}  // namespace
}  // namespace limbeck::kd::rkd
