// SSKD: the student sees every image turned by 0, 90, 180 and 270 degrees and copies what the
// teacher says of all four, and how the teacher's features of a turned image resemble those of the
// images of the batch (Xu, Liu, Li, Loy, "Knowledge distillation meets self-supervision", ECCV
// 2020, Eq. 4 to 9; official code: xuguodong03/SSKD and its copy in cGAN-KD).
//   h = Linear ReLU Linear of the pooled features, as wide as they are; A [3B, B] = cosines of h of
//   the turned views and of the images as they came
//   loss = 0.1 CE + 0.9 L_kd (images as they came, T 4) + 2.7 L_tf (turned views, T 4) + 10 L_ss
//   (rows of A, T 0.5), each T^2 KL over its rows, divided by their number
//   rows of L_tf and L_ss: those where the teacher is right, and of its errors the share 1.0 and
//   0.75 with the best ranks of the truth (the class; of A the image itself)
// Stage before, "head": the teacher's h alone, CE(A, the image itself), 60 epochs on the real
// images; everything else of the teacher is frozen and in eval mode.
// The original flips each image once, before it is turned; cGAN-KD's copy flips each view again
// (flip_each). The original's head training leaves the teacher alone by a learning rate of 0, the
// copy by the absence of gradients. Weight of CE: 0.1, in the ImageNet-100 copy 1. "+ fakes" begins
// from a finished SSKD student and its head, not from the student without a teacher as all other
// methods do, and has weight decay 1e-4; both are settings. Learning rates drop at the milestone,
// not an epoch behind it. What the heads see is what the last linear layer sees: of a VGG for large
// images the 1024 numbers behind its hidden layers. The paper keeps the terms of L_ss by a
// threshold on ranks, the code by the shares above. Equal ranks are kept in the order of the rows.
#include "kd/methods/sskd.h"

#include <algorithm>
#include <numeric>

#include "kd/methods/sskd_head.h"
#include "kd/terms.h"
#include "tensor/ranges.h"
#include "train/supervised_step.h"

namespace limbeck::kd::sskd {
namespace {

/// [4 B, n] -> the turned views' rows [3 B, n].
Variable turned(const Variable& x) {
  const int64_t images = x.size(0) / 4, width = x.size(1);
  return reshape(slice(reshape(x, {images, 4, width}), 1, 1, 4), {3 * images, width});
}

/// T^2 KL of the kept rows, divided by their number.
Variable divergence(const Variable& student, const Variable& teacher, const Variable& kept,
                    double temperature) {
  const Variable rows = kl_div(log_softmax(student), softmax(teacher), Reduction::none);
  return sum(rows * kept) / clamp(sum(kept), 1, 1e9) * (temperature * temperature);
}

Tensor counted(int64_t n, const Tensor& like) {
  std::vector<double> values(static_cast<size_t>(n));
  std::iota(values.begin(), values.end(), 0.0);
  return Tensor::of(values).to(like.dtype()).to(like.device());
}

}  // namespace

void SskdSettings::fields(FieldVisitor& v) {
  EarlyDropWeights::fields(v);
  v("turned_weight", turned_weight, "weight of the turned views' soft targets");
  v("turned_temperature", turned_temperature, "their softening");
  v("turned_ratio", turned_ratio, "share of the teacher's errors among them that are kept");
  v("similarity_weight", similarity_weight, "weight of the similarities");
  v("similarity_temperature", similarity_temperature, "their softening");
  v("similarity_ratio", similarity_ratio, "share of the teacher's errors among them that are kept");
  v("flip_each", flip_each, "flip every view by itself once more, as cGAN-KD's copy of the code");
  v("head_epochs", head_epochs, "of the teacher's head");
  v("head_batch", head_batch, "images per step of the teacher's head");
  v("head_lr", head_lr, "learning rate of the teacher's head");
  v("head_milestones", head_milestones, "epochs at which it drops to a tenth");
  v("second_phase", second_phase,
    "own: it begins with the SSKD student and its head, as cGAN-KD + SSKD does | nokd: as all "
    "other "
    "methods'");
  v("transfer_weight_decay", transfer_weight_decay,
    "of a second phase; 0: that of [transfer], as all other methods'");
}

Variable similarities(const Variable& heads) {
  const Variable unit = l2_normalize(heads, 1e-8);
  return matmul(turned(unit), train::first_views(unit, 4), false, true);
}

Variable ranks(const Variable& scores, const Variable& truth) {
  const NoGrad no_grad;
  const Variable of_truth = sum(scores * truth, {2}, true);
  const Tensor& t = scores.data();
  const Variable one(Tensor::full({}, 1, t.dtype(), t.device())),
      zero(Tensor::full({}, 0, t.dtype(), t.device()));
  const Variable above = where(greater(t, of_truth.data()), one, zero);
  return reshape(sum(above, {2}), {scores.size(0) * scores.size(1)});
}

Variable kept_rows(const Variable& ranks, double ratio, const Tensor& iota) {
  const NoGrad no_grad;
  const int64_t n = ranks.size(0);
  const Tensor& r = ranks.data();
  const Variable one(Tensor::full({}, 1, r.dtype(), r.device())),
      zero(Tensor::full({}, 0, r.dtype(), r.device()));
  const Variable wrong = where(greater(r, zero.data()), one, zero);
  // Rank, then row, as one number that f32 holds exactly: 1 / 4096 a row.
  const Variable order = ranks + Variable(iota.rows(0, n)) * (1.0 / 4096);
  const Tensor before = less(order.data().reshape({1, n}), order.data().reshape({n, 1}));
  const Variable place = sum(where(before, reshape(wrong, {1, n}), zero), {1});
  const Variable room = sum(wrong) * ratio + 1e-3;  // floor(ratio wrong) places
  const Variable dropped = where(greater((place + 1).data(), room.data()), wrong, zero);
  return affine(dropped, -1, 1);
}

Terms terms(const Seen& student, const Seen& teacher, const Tensor& labels, const SskdSettings& s,
            const Tensor& one_hot, const Tensor& unit, const Tensor& iota) {
  const int64_t images = labels.numel(), classes = student.logits.size(1);
  const Variable zt(teacher.logits.data()), at = similarities(Variable(teacher.heads.data()));
  const Variable self = slice(slice(Variable(unit), 0, 0, images), 1, 0, images);
  const Variable of_class =
      ranks(reshape(turned(zt), {images, 3, classes}),
            reshape(index_select(Variable(one_hot), labels), {images, 1, classes}));
  const Variable of_self =
      ranks(reshape(at, {images, 3, images}), reshape(self, {images, 1, images}));
  LossWeights views = s;
  views.temperature = s.turned_temperature;
  const double soft = 1 / s.similarity_temperature;
  return {soft_loss(train::first_views(student.logits, 4), train::first_views(zt, 4), s),
          divergence(softened(turned(student.logits), views), softened(turned(zt), views),
                     kept_rows(of_class, s.turned_ratio, iota), s.turned_temperature),
          divergence(similarities(student.heads) * soft, at * soft,
                     kept_rows(of_self, s.similarity_ratio, iota), s.similarity_temperature)};
}

namespace {

class Sskd : public Method {
 public:
  using Settings = SskdSettings;
  explicit Sskd(const Settings& s) : settings_(s) {
    const auto check = [](const char* key, double value, double low, double high) {
      LIMBECK_CHECK(value >= low && value <= high, "methods.sskd.", key, ": expected ", low, " to ",
                    high, ", found ", value);
    };
    for (const auto& [key, value] :
         {std::pair("turned_weight", s.turned_weight), {"similarity_weight", s.similarity_weight}})
      check(key, value, 0, 1e9);
    for (const auto& [key, value] : {std::pair("turned_temperature", s.turned_temperature),
                                     {"similarity_temperature", s.similarity_temperature}})
      check(key, value, 1e-6, 1e9);
    for (const auto& [key, value] :
         {std::pair("turned_ratio", s.turned_ratio), {"similarity_ratio", s.similarity_ratio}})
      check(key, value, 0, 1);
    check("transfer_weight_decay", s.transfer_weight_decay, 0, 1e9);
    expect_count("methods.sskd.head_epochs", 1, s.head_epochs);
    expect_count("methods.sskd.head_batch", 2, s.head_batch);
    expect_positive("methods.sskd.head_lr", s.head_lr);
    train::check_milestones(s.head_milestones, "methods.sskd.head_milestones");
    LIMBECK_CHECK(s.second_phase == "own" || s.second_phase == "nokd",
                  "methods.sskd.second_phase: expected own or nokd, found '", s.second_phase, "'");
  }

  /// The soft targets are those of the images as they came: loss() has them.
  LossWeights weights() const override {
    LossWeights w = settings_;
    w.soft_weight = 0;
    return w;
  }
  data::Views views() const override { return {true, settings_.flip_each}; }
  void adjust(train::Settings& training, bool second_phase) const override {
    training.late_drop = settings_.late_drop;
    if (second_phase && settings_.transfer_weight_decay > 0)
      training.weight_decay = settings_.transfer_weight_decay;
  }
  bool continues_own_student() const override { return settings_.second_phase == "own"; }
  std::vector<Preparation> preparations() const override {
    return {{"head", "SSKD: the teacher's head of similarities",
             [s = settings_](PreparationContext& c) { train_head(c, s); }}};
  }

  void check(const Pair& pair) override {
    for (const nn::Features* f : {&pair.student, &pair.teacher})
      LIMBECK_CHECK(!f->taps.empty(), "sskd: the ", f == &pair.student ? "student" : "teacher",
                    " has no taps, so no pooled features for a head");
    check_class_logits("sskd", pair);
    LIMBECK_CHECK(pair.batch <= 1365, "sskd ranks the turned views of a batch by 1/4096; expected ",
                  "at most 1365 images a batch, found ", pair.batch);
    const Dataset& d = pair.train;
    LIMBECK_CHECK(d.size() == 0 || d.height() == d.width(),
                  "sskd turns images; expected square ones, found ", d.height(), " x ", d.width());
  }

  void prepare(const Pair& pair) override {
    const Tensor& output = pair.student.output.data();
    head_ = std::make_unique<Head>(pair.student.last_input().size(1));
    head_->initialise(pair.init);
    teacher_head_ = std::make_unique<Head>(pair.teacher.last_input().size(1));
    if (pair.directory_of) {
      const std::string file = pair.directory_of("head") + "/head.safetensors";
      teacher_head_->load_state_dict(read_safetensors(file), file);
    }
    teacher_head_->to(output.dtype());
    teacher_head_->to(output.device());
    teacher_head_->set_requires_grad(false);
    one_hot_ = identity(output.size(1), output);
    unit_ = identity(pair.batch, output);
    iota_ = counted(3 * pair.batch, output);
  }
  nn::Module* auxiliary() override { return head_.get(); }

  Variable loss(const DistillationStep& step) override {
    const Seen student{step.student.output, (*head_)(step.student.last_input())};
    const Seen teacher{step.teacher.output,
                       (*teacher_head_)(Variable(step.teacher.last_input().data()))};
    const Terms t =
        terms(student, teacher, step.step.batch.labels, settings_, one_hot_, unit_, iota_);
    return t.normal * settings_.soft_weight + t.turned * settings_.turned_weight +
           t.similarity * settings_.similarity_weight;
  }

 private:
  using Dataset = data::Dataset;
  const Settings settings_;
  std::unique_ptr<Head> head_, teacher_head_;
  Tensor one_hot_, unit_, iota_;  // constants on the device
};

const RegisterMethod<Sskd> registered("sskd", "SSKD", Family::self_supervision,
                                      "soft targets of turned images and their similarities (Xu et "
                                      "al. 2020)");

}  // namespace
}  // namespace limbeck::kd::sskd
