// KDSVD: singular vectors of maps (Lee, Kim, Song, "Self-supervised knowledge distillation using
// singular value decomposition", ECCV 2018; RepDistiller distiller_zoo/KDSVD.py).
//   a level's map as X [H W, C] has right singular vectors v_1, v_2, ... [C]
//   teacher: t = v_1;  student: s = the one of its first four with the largest |cos(v_k, t)|, its
//   sign turned towards t
//   loss = beta / N sum over consecutive levels of f[1..-2] of
//     sum_ij (k(s_i, s'_j) - k(t_i, t'_j))^2,  k(a, b) = exp(-(a - b)^2 / 8),  beta = 1
// Singular values are normalised over the vectors that are kept; as one is kept they drop out.
// Student and teacher need the same channels at each level.
//
// The vectors are found on the device by differentiable products: the Gram matrix A of X's smaller
// side is squared `squarings` times, which leaves its first eigenvector, then that one is projected
// out and the next is found. Gradient: of these very steps. It is that of the decomposition,
// dv_k = sum_j v_j (v_j dA v_k) / (l_k - l_j), where the power tells neighbouring eigenvalues l
// apart; where they nearly coincide that one has no bound and this one has.
// Official code: an SVD, whose signs are arbitrary, so the sign of one level against the next is
// too; here the teacher's v_1 has a sum that is not negative. Entries that are not finite are
// dropped there and do not arise here. It has no script of its own; alpha = 0 as with FSP and NST.
#include "kd/levels.h"
#include "kd/method.h"

namespace limbeck::kd::kdsvd {
namespace {

struct KdsvdSettings : LossWeights {
  double weight = 1;
  int64_t squarings = 6;
  KdsvdSettings() { soft_weight = 0; }
  void fields(FieldVisitor& v) {
    LossWeights::fields(v);
    v("weight", weight, "beta: weight of the differences between levels");
    v("squarings", squarings, "of the Gram matrix: its power 2^squarings singles out a vector");
  }
};

// Of a map that is zero everywhere the vectors are zero and have no gradient.
constexpr double tiny = 1e-12;

/// The eigenvector of the largest eigenvalue of each of a [N, n, n] (symmetric, not negative), as
/// [N, n, 1]; on the side of `start` [N, n, 1].
Variable first_eigenvector(const Variable& a, const Variable& start, int64_t squarings) {
  Variable power = a;
  for (int64_t i = 0; i < squarings; ++i)  // the trace of B B is the sum of B's squares
    power = matmul(power, power) / (sum(square(power), {1, 2}, true) + tiny);
  const Variable v = matmul(power, start);
  return reshape(l2_normalize(reshape(v, {v.size(0), v.size(1)})), v.shape());
}

/// The first `count` right singular vectors of each x [N, P, C], as [N, count, C], fewer when a
/// side is smaller. `towards` [N, C, 1] is where the search begins.
Variable right_vectors(const Variable& x, const Variable& towards, int64_t count,
                       int64_t squarings) {
  const int64_t n = x.size(0), c = x.size(2);
  const bool wide = x.size(1) < c;  // then by way of the left ones, u = X v / |X v|
  Variable a = (wide ? matmul(x, x, false, true) : matmul(x, x, true)) /
               (sum(square(x), {1, 2}, true) + tiny);
  const Variable start = wide ? matmul(Variable(x.data()), towards) : towards;
  Variables found;
  for (int64_t k = 0; k < std::min(count, std::min(x.size(1), c)); ++k) {
    const Variable u = first_eigenvector(a, start, squarings);
    found.push_back(l2_normalize(reshape(wide ? matmul(x, u, true) : u, {n, 1, c})));
    const Variable left = a - matmul(u, matmul(u, a, true));
    a = left - matmul(matmul(left, u), u, false, true);
  }
  return concat(found, 1);
}

/// [N, C, 1], with a sum that is not negative.
Variable teacher_vector(const Variable& map, int64_t squarings) {
  const Variable x = pixels(map);
  const Variable ones(Tensor::full({x.size(0), x.size(2), 1}, 1, x.dtype(), x.data().device()));
  return reshape(right_vectors(x, ones, 1, squarings), {x.size(0), x.size(2), 1});
}

/// The student's vector closest to `t` up to sign, [N, C, 1].
Variable aligned_vector(const Variable& map, const Variable& t, int64_t squarings) {
  const Variable v = right_vectors(pixels(map), t, 4, squarings);  // [N, k, C]
  const Variable cosine = matmul(Variable(v.data()), t), size = abs(cosine);
  const Variable one(Tensor::full({}, 1, t.dtype(), t.data().device())),
      zero(Tensor::zeros({}, t.dtype(), t.data().device()));
  const Variable sign = where(greater(cosine.data(), zero.data()), one, zero) -
                        where(less(cosine.data(), zero.data()), one, zero);
  const Variable chosen = where(equal(size.data(), max(size, {1}, true).data()), sign, zero);
  return matmul(v, chosen, true);
}

/// [N, C, C'] of [N, C, 1] and [N, C', 1].
Variable kernel(const Variable& a, const Variable& b) {
  return exp(square(a - permute(b, {0, 2, 1})) * (-1.0 / 8));
}

std::vector<Level> levels_in(const nn::Features& student, const nn::Features& teacher) {
  const std::vector<Level> levels = levels_of("kdsvd", student, teacher);
  LIMBECK_CHECK(levels.size() > 1, "kdsvd: expected two levels or more, found ", levels.size());
  for (size_t i = 0; i < levels.size(); ++i)
    LIMBECK_CHECK(levels[i].student.size(3) == levels[i].teacher.size(3), "kdsvd: map ", i + 1,
                  " has ", levels[i].student.size(3), " channels, the teacher's ",
                  levels[i].teacher.size(3), "; they must be equal");
  return levels;
}

class Kdsvd : public Method {
 public:
  using Settings = KdsvdSettings;
  explicit Kdsvd(const Settings& s) : settings_(s) {
    check_weight(s.weight, "kdsvd");
    LIMBECK_CHECK(s.squarings > 0, "methods.kdsvd.squarings: expected at least 1, found ",
                  s.squarings);
  }
  LossWeights weights() const override { return settings_; }
  void prepare(const Pair& pair) override { levels_in(pair.student, pair.teacher); }
  Variable loss(const DistillationStep& step) override {
    Variable total, s_before, t_before;
    for (const Level& level : levels_in(step.student, step.teacher)) {
      const Variable t = teacher_vector(level.teacher, settings_.squarings),
                     s = aligned_vector(level.student, t, settings_.squarings);
      if (s_before) {
        const Variable own = sum(square(kernel(s, s_before) - kernel(t, t_before)));
        total = total ? total + own : own;
      }
      s_before = s, t_before = t;
    }
    return total * (settings_.weight / static_cast<double>(s_before.size(0)));
  }

 private:
  const Settings settings_;
};

const RegisterMethod<Kdsvd> registered("kdsvd", "KDSVD", Family::relations,
                                       "singular vectors of the maps (Lee et al. 2018)");

}  // namespace
}  // namespace limbeck::kd::kdsvd
