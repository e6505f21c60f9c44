// PKT: probabilistic knowledge transfer, who is near whom in a batch (Passalis and Tefas, "Learning
// deep representations with probabilistic knowledge transfer", ECCV 2018, Eqs. 5, 6, 8;
// RepDistiller distiller_zoo/PKT.py).
//   u = f / (|f| + e),  S = (u u^T + 1) / 2 with every row divided by its sum, f = f[-1], e = 1e-7
//   loss = beta mean over the N x N entries of S_t log((S_t + e) / (S_s + e)),  beta = 30000
// Official and paper: the paper sums the divergence over the rows, the code takes the mean over
// N^2, hence the large beta; both leave the sample itself (the diagonal) in, the paper's
// conditional probabilities leave it out. The official code turns entries that are not numbers into
// 0; here a vector of zeros has finite similarities and no gradient, and anything else that is not
// finite stops the training as it should.
#include "kd/levels.h"
#include "kd/method.h"
#include "kd/parity_kd.h"

namespace limbeck::kd::pkt {
namespace {

struct PktSettings : LossWeights {
  double weight = 30000;
  void fields(FieldVisitor& v) {
    LossWeights::fields(v);
    v("weight", weight, "beta: weight of the divergence between similarities");
  }
};

constexpr double epsilon = 1e-7;

/// Rows are distributions over the batch.
Variable similarities(const Variable& x) {
  // Below 1e-12 a norm is nothing beside epsilon; the clamp spares the root its pole at 0.
  const Variable norm = sqrt(clamp(sum(square(x), {1}, true), 1e-24, 3e38)),
                 u = x / (norm + epsilon), s = affine(matmul(u, u, false, true), 0.5, 0.5);
  return s / sum(s, {1}, true);
}

class Pkt : public Method {
 public:
  using Settings = PktSettings;
  explicit Pkt(const Settings& s) : settings_(s) { check_weight(s.weight, "pkt"); }
  LossWeights weights() const override { return settings_; }
  void prepare(const Pair& pair) override { pooled_vectors("pkt", pair.student, pair.teacher); }
  Variable loss(const DistillationStep& step) override {
    const auto [student, teacher] = pooled_vectors("pkt", step.student, step.teacher);
    const Variable s = similarities(student), t = similarities(teacher);
    return mean(t * (log(t + epsilon) - log(s + epsilon))) * settings_.weight;
  }

 private:
  const Settings settings_;
};

const RegisterMethod<Pkt> registered(
    "pkt", "PKT", Family::relations,
    "similarities in a batch as probabilities (Passalis and Tefas 2018)");
const RegisterParityCase parity("PKT", [](const ParityCase& c) {
  return own_term(c, std::make_shared<Pkt>(PktSettings{{}, 1}), features_with_vector(c.student[0]),
                  features_with_vector(c.teacher[0]));
});

}  // namespace
}  // namespace limbeck::kd::pkt
