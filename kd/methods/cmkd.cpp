// CMKD-R: the student's logits correlate with the teacher's in value and in rank, each image with
// its own mixture. A reconstruction: of Niu et al., "CMKD: correlation matching knowledge
// distillation", 2024, this follows what the abstract says (Pearson's and Spearman's correlation,
// the ranks by differentiable sorting, weights by the difficulty of each image); what is compared,
// how difficulty is measured, which way it weighs and all numbers are this project's.
//   P_i = 1 - r(s_i, t_i)                         r: Pearson's correlation over the classes
//   S_i = 1 - r(soft rank(s_i), rank(t_i))        of rows with deviation 1 (kd/ranks.h):
//         ranks "pairwise": each entry beside each other; "projection": onto the permutahedron
//   d_i = H(softmax(t_i)) / log K                 0: the teacher is sure
//   loss = beta mean_i( (1 - d_i) P_i + d_i S_i ) + beta_intra T^2 intra;  plus CE
// Where the teacher is unsure its values are noise, their order less so. intra is DIST's. The ranks
// of the student have no exact form: its gradient is 0 almost everywhere.
#include <cmath>

#include "autograd/autocast.h"
#include "kd/ranks.h"
#include "kd/terms.h"

namespace limbeck::kd::cmkd {
namespace {

struct CmkdSettings : LossWeights {
  double beta = 2, beta_intra = 0, softness = 0.1, eps = 0.5;
  std::string space = "logits", mixture = "difficulty", ranks = "pairwise";
  CmkdSettings() { soft_weight = 0; }
  void fields(FieldVisitor& v) {
    LossWeights::fields(v);
    v("beta", beta, "weight of the two correlations over classes");
    v("beta_intra", beta_intra, "weight of DIST's correlation over images");
    v("space", space, "of Pearson's correlation: logits | probabilities (softened)");
    v("mixture", mixture,
      "difficulty: the harder an image, the more its ranks count | reversed | halves: both alike");
    v("ranks", ranks,
      "of the student: pairwise: each logit beside each other | projection: onto the permutahedron",
      influence_if(projected()));
    v("softness", softness, "pairwise: of the student's ranks, in deviations of its logits",
      influence_if(!projected()));
    v("eps", eps,
      "projection: the gap, in deviations of the student's logits, from which ranks are exact and "
      "have no gradient",
      influence_if(projected()));
  }
  bool projected() const { return ranks == "projection"; }
};

class Cmkd : public Method {
 public:
  using Settings = CmkdSettings;
  explicit Cmkd(const Settings& s) : settings_(s) {
    check_weight(s.beta, "cmkd", "beta");
    check_weight(s.beta_intra, "cmkd", "beta_intra");
    LIMBECK_CHECK(s.space == "logits" || s.space == "probabilities",
                  "methods.cmkd.space: expected logits or probabilities, found '", s.space, "'");
    LIMBECK_CHECK(s.mixture == "difficulty" || s.mixture == "reversed" || s.mixture == "halves",
                  "methods.cmkd.mixture: expected difficulty, reversed or halves, found '",
                  s.mixture, "'");
    LIMBECK_CHECK(s.ranks == "pairwise" || s.projected(),
                  "methods.cmkd.ranks: expected pairwise or projection, found '", s.ranks, "'");
    check_positive(s.softness, "softness");
    check_positive(s.eps, "eps");
  }
  LossWeights weights() const override { return settings_; }
  void check(const Pair& pair) override { check_class_logits("cmkd", pair); }
  void prepare(const Pair& pair) override {
    const Variable& s = pair.student.output;
    descending_ = descending_ranks(s.size(1), from_activation(s).data());
  }

  Variable loss(const DistillationStep& step) override {
    const Variable s = from_activation(step.student.output),
                   t = from_activation(Variable(step.teacher.output.data()));
    const Variable ranks = distance(ranks_of(standardised_rows(s)), exact_ranks(t));
    Variable total = mixed(values(s, t), ranks, t) * settings_.beta;
    if (settings_.beta_intra > 0) {
      const double t2 = settings_.temperature * settings_.temperature;
      const Variable intra =
          mean(correlation(softmax(softened(s, settings_)), softmax(softened(t, settings_)), 0));
      total = total + affine(intra, -1, 1) * (settings_.beta_intra * t2);
    }
    return total;
  }

 private:
  static void check_positive(double value, const char* key) {
    LIMBECK_CHECK(std::isfinite(value) && value > 0, "methods.cmkd.", key,
                  ": expected a positive number, found ", value);
  }
  Variable ranks_of(const Variable& rows) const {
    return settings_.projected() ? projected_ranks(rows, settings_.eps, descending_)
                                 : soft_ranks(rows, settings_.softness);
  }
  static Variable distance(const Variable& a, const Variable& b) {
    return affine(correlation(a, b, 1), -1, 1);
  }
  Variable values(const Variable& s, const Variable& t) const {
    if (settings_.space == "logits") return distance(s, t);
    return distance(softmax(softened(s, settings_)), softmax(softened(t, settings_)));
  }
  /// Batch mean of both, [n] each, in the proportion that the teacher's entropy says.
  Variable mixed(const Variable& values, const Variable& ranks, const Variable& t) const {
    if (settings_.mixture == "halves") return mean(values + ranks) * 0.5;
    const Variable p = softmax(t);
    const Variable hard =
        sum(p * log_softmax(t), {1}) * (-1 / std::log(static_cast<double>(t.size(1))));
    const bool reversed = settings_.mixture == "reversed";
    const Variable& on_hard = reversed ? values : ranks;
    const Variable& on_easy = reversed ? ranks : values;
    return mean(affine(hard, -1, 1) * on_easy + hard * on_hard);
  }

  const Settings settings_;
  Tensor descending_;  // K, .. 1
};

const RegisterMethod<Cmkd> registered("cmkd", "CMKD-R", Family::logits,
                                      "correlations of values and of ranks (after Niu et al. "
                                      "2024)");

}  // namespace
}  // namespace limbeck::kd::cmkd
