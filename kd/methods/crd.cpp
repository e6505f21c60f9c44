// CRD: the student's embedding of an image is close to the teacher's of the same image and far from
// the teacher's of images of other classes, which a memory holds (Tian, Krishnan, Isola,
// "Contrastive representation distillation", ICLR 2020, Eq. 17 to 19; RepDistiller, crd/).
//   v1 = unit(W1 f_s + b1), v2 = unit(W2 f_t + b2), f the pooled features, 128 numbers each
//   o1[b, j] = exp(<v1_b, M2_j> / 0.07) / Z1, o2[b, j] = exp(<v2_b, M1_j> / 0.07) / Z2, j an image
//   L(o) = -1/B sum_b [ log(o_b,own / (o_b,own + c + 1e-7)) + sum over K negatives j of
//                       log(c / (o_bj + c + 1e-7)) ],  c = K / n,  n training images
//   loss = 0.8 (L(o1) + L(o2)), K = 16384
//   M <- unit(0.5 M + 0.5 v) for the images of the batch, after the step; M begins uniform on
//   +-sqrt(3 / 128). Z_i = n times the mean of the first batch's o_i, kept ever after.
// The paper's critic needs no Z; it is the official code's, from instance discrimination.
// Negatives: the official code draws K different images of other classes for each image on the host
// (with repetition where there are fewer). Here each image of another class is one with probability
// K / (their number), drawn on the device, and the negatives' terms are weighed to K in sum: the
// same sampling but for a count that varies by some tenths of a percent; where there are fewer than
// K, all of them with equal weights, which is the mean of drawing with repetition. All products
// with the memory are one matrix [B, n], which is less work than gathering B (K + 1) rows while n
// is below some 128 K.
#include "kd/methods/crd.h"

#include <cmath>

#include "kd/parity_kd.h"
#include "kd/terms.h"
#include "ops/random.h"

namespace limbeck::kd::crd {
namespace {
constexpr int64_t draws = int64_t{1} << 30;  // a probability in units of 1 / draws
}  // namespace

Crd::Crd(const Settings& s) : settings_(s) {
  LIMBECK_CHECK(s.weight >= 0, "methods.crd.weight: expected 0 or more, found ", s.weight);
  LIMBECK_CHECK(s.negatives > 0, "methods.crd.negatives: expected at least 1, found ", s.negatives);
  LIMBECK_CHECK(s.width > 0, "methods.crd.width: expected at least 1, found ", s.width);
  LIMBECK_CHECK(s.contrast_temperature > 0,
                "methods.crd.contrast_temperature: expected a positive number, found ",
                s.contrast_temperature);
  LIMBECK_CHECK(s.momentum >= 0 && s.momentum < 1,
                "methods.crd.momentum: expected 0 or more and below 1, found ", s.momentum);
}

void Crd::check(const Pair& pair) {
  for (const nn::Features* f : {&pair.student, &pair.teacher})
    LIMBECK_CHECK(!f->taps.empty(), "crd: the ", f == &pair.student ? "student" : "teacher",
                  " has no taps, so no pooled features to embed");
  LIMBECK_CHECK(pair.train.classes > 1,
                "crd: negatives are images of other classes; the training images have none");
}

void Crd::prepare(const Pair& pair) {
  const Tensor& f = pair.student.taps.back().data();
  contrast_ = std::make_unique<Contrast>(f.size(1), pair.teacher.taps.back().size(1),
                                         pair.train.size(), settings_.width);
  contrast_->initialise(pair.init);
  labels_ = pair.train.labels.to(f.device()).reshape({1, pair.train.size()});
  std::vector<int64_t> thresholds;
  for (const int64_t own : pair.train.histogram()) {
    const double others = static_cast<double>(pair.train.size() - own);
    LIMBECK_CHECK(others > 0, "crd: all training images are of one class");
    const double share = std::min(1.0, static_cast<double>(settings_.negatives) / others);
    thresholds.push_back(std::llround(share * static_cast<double>(draws)));
  }
  const auto classes = static_cast<int64_t>(thresholds.size());
  thresholds_ = Tensor::of(thresholds, {classes, 1}).to(f.device());
}

Variable Crd::loss(const DistillationStep& step) {
  student_ = contrast_->student(step.student.taps.back());
  teacher_ = contrast_->teacher(Variable(step.teacher.taps.back().data()));
  const Variable weights = negatives(step.step);
  const Variable similar[2] = {compare(student_, 1), compare(teacher_, 0)};
  normalise_first(similar, weights, step.step.rows);
  return (contrastive(similar[0], weights, step.step.rows, 0) +
          contrastive(similar[1], weights, step.step.rows, 1)) *
         settings_.weight;
}

void Crd::after_step(const DistillationStep& step) {
  const NoGrad no_grad;
  remember(0, student_, step.step.rows);
  remember(1, teacher_, step.step.rows);
  student_ = teacher_ = {};
}

Variable Crd::negatives(const train::Step& step) const {
  const NoGrad no_grad;
  const DType dtype = contrast_->memory(0).dtype();
  const Tensor &labels = step.batch.labels,
               drawn = draw_integers(place_at(step.places, 0), {labels.numel(), labels_.numel()}, 0,
                                     draws);
  const Device device = drawn.device();
  const Variable one(Tensor::full({}, 1, dtype, device)), zero(Tensor::full({}, 0, dtype, device));
  const Variable threshold = index_select(Variable(thresholds_), labels);
  const Variable chosen = where(less(drawn, threshold.data()), one, zero);
  const Variable others = where(equal(labels.reshape({labels.numel(), 1}), labels_), zero, chosen);
  return others * (static_cast<double>(settings_.negatives) * one) /
         maximum(sum(others, {1}, true), one);
}

/// exp(<v, M> / T), not normalised: [B, n].
Variable Crd::compare(const Variable& v, int bank) const {
  return exp(matmul(v, Variable(contrast_->memory(bank)), false, true) *
             (1 / settings_.contrast_temperature));
}

/// Z of the first step; a number that is set stays.
void Crd::normalise_first(const Variable (&similar)[2], const Variable& weights,
                          const Tensor& rows) {
  const NoGrad no_grad;
  const double n = static_cast<double>(labels_.numel()),
               terms =
                   static_cast<double>(rows.numel()) * static_cast<double>(settings_.negatives + 1);
  Variables first;
  for (const Variable& o : similar)
    first.push_back(reshape((sum(gather(o, rows)) + sum(o * weights)) * (n / terms), {1}));
  const Variable z(contrast_->normalisers());
  const Tensor zero = Tensor::full({}, 0, z.dtype(), z.data().device());
  contrast_->set_normalisers(where(greater(z.data(), zero), z, concat(first, 0)).data());
}

Variable Crd::contrastive(const Variable& similar, const Variable& weights, const Tensor& rows,
                          int side) const {
  const double c = static_cast<double>(settings_.negatives) / static_cast<double>(labels_.numel());
  const Variable z(contrast_->normalisers().rows(side, side + 1));
  const Variable o = similar / z, own = gather(o, rows);
  const Variable negative = affine(log(o + (c + 1e-7)), -1, std::log(c));
  return (sum(log(own / (own + (c + 1e-7)))) + sum(weights * negative)) *
         (-1.0 / static_cast<double>(rows.numel()));
}

void Crd::remember(int side, const Variable& v, const Tensor& rows) {
  const Variable old = index_select(Variable(contrast_->memory(side)), rows);
  const Variable mixed = old * settings_.momentum + v.detach() * (1 - settings_.momentum);
  scatter_rows(contrast_->memory(side), rows, unit_rows(mixed).data());
}

namespace {
const RegisterMethod<Crd> registered("crd", "CRD", Family::self_supervision,
                                     "contrast with a memory (Tian, Krishnan, Isola 2020)");

/// Negatives that a parity case lists.
class ListedNegatives : public Crd {
 public:
  ListedNegatives(const Settings& settings, Tensor weights)
      : Crd(settings), weights_(std::move(weights)) {}

 protected:
  Variable negatives(const train::Step&) const override { return Variable(weights_); }

 private:
  const Tensor weights_;
};

/// The first step: sample i is image (3 i + 1) mod n, its negatives j images (that + 1 + 2 j) mod
/// n.
const RegisterParityCase parity("CRD", [](const ParityCase& c) {
  const int64_t n = c.noted_count("n_data");
  CrdSettings settings;
  settings.weight = 1;
  settings.negatives = c.noted_count("nce_k");
  settings.contrast_temperature = c.noted("nce_t"), settings.momentum = c.noted("nce_m");
  settings.width = c.noted_count("feat_dim");
  const int64_t batch = c.student[0].size(0);
  const Tensor weights = Tensor::zeros({batch, n}, DType::f64);
  std::vector<int64_t> rows, labels;
  for (int64_t i = 0; i < batch; ++i) {
    rows.push_back((3 * i + 1) % n);
    for (int64_t j = 0; j < settings.negatives; ++j)
      weights.data<double>()[i * n + (rows.back() + 1 + 2 * j) % n] += 1;
  }
  for (int64_t i = 0; i < n; ++i) labels.push_back(i % 2);
  ParityImages images{.rows = Tensor::of(rows).to(c.device)};
  images.train.images = Tensor::zeros({n, 1, 1, 1}, DType::u8);
  images.train.labels = Tensor::of(labels), images.train.classes = 2;
  const auto method = std::make_shared<ListedNegatives>(settings, weights.to(c.dtype).to(c.device));
  const auto filled = [c, method, n, width = settings.width] {
    Contrast& contrast = *method->auxiliary();
    contrast.memory(0).copy_from(c.fill("memory_v1", {n, width}, 0.3));
    contrast.memory(1).copy_from(c.fill("memory_v2", {n, width}, 0.3));
    return std::vector<ParityOutcome::Part>{{"embed_s.", &contrast.student},
                                            {"embed_t.", &contrast.teacher}};
  };
  ParityOutcome outcome = own_term(c, method, features_with_vector(c.student[0]),
                                   features_with_vector(c.teacher[0]), filled, images);
  outcome.values = [method, rows = images.rows] {
    const Contrast& contrast = *method->auxiliary();
    const NoGrad no_grad;
    const auto updated = [&](int side) {
      return index_select(Variable(contrast.memory(side)), rows).data();
    };
    return std::vector<ParityOutcome::Value>{{"memory_v1_updated_rows", updated(0)},
                                             {"memory_v2_updated_rows", updated(1)},
                                             {"Z_v1", contrast.normalisers().rows(0, 1)},
                                             {"Z_v2", contrast.normalisers().rows(1, 2)}};
  };
  return outcome;
});

}  // namespace
}  // namespace limbeck::kd::crd
