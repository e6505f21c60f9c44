// ReviewKD: every level of the teacher is taught by all deeper levels of the student, fused from
// the deepest up (Chen, Liu, Zhao, Jia, "Distilling knowledge via knowledge review", CVPR 2021,
// Eq. 6 to 8, Fig. 3; official code: dvlab-research/ReviewKD and its copy in cGAN-KD).
//   levels: all taps but the first, the pooled features as a 1x1 map; student s_1 .. s_n, teacher
//   t_1 .. t_n before their closing activation
//   from n to 1: x = BN(conv1x1(s_i)) with middle = min(512, channels of s_n); below n, with the
//   residual r of level i + 1 resized to s_i: (z0, z1) = sigmoid(conv1x1(concat[x, r])),
//   x <- x z0 + r z1; x resized to t_i (nearest); r = x; o_i = BN(conv3x3(x)); no ReLU
//   HCL(o, t) = [ mse(o, t) + sum over l in 4, 2, 1 below the side of 2^-k mse(pool_l o, pool_l t)
//   ]
//               / (1 + sum of 2^-k),  k = 1, 2, .. for the l that are there
//   loss = min(1, epoch / 20) weight sum_i HCL(o_i, t_i), epochs from 0; weight 5; plus CE, no soft
//   targets
// Both codes leave the teacher in train mode: it normalises by the batch's statistics. The paper
// does not say so; `teacher_mode` switches. Their training has Nesterov momentum. The official
// scripts have channel lists for certain pairs only; here the last convolution has the teacher's
// channels, so every pair with as many levels and whole ratios of their sides can be run. Two of
// them the paper marks NA, for which `na_pairs` asks. Weight: 5 for every pair in cGAN-KD; the
// original has 0.6 for resnet56 > resnet20, 1 for resnet110 > resnet32, 8 for resnet32x4 >
// ShuffleV2.
#include "kd/methods/reviewkd.h"

#include <algorithm>
#include <cmath>

#include "autograd/autocast.h"
#include "kd/levels.h"
#include "kd/terms.h"
#include "nn/init.h"

namespace limbeck::kd::reviewkd {

Fusion::ConvNorm::ConvNorm(int64_t in, int64_t out, int64_t kernel)
    : conv(in, out, {.kernel = kernel, .padding = kernel / 2}), bn(out) {
  add("0", conv);
  add("1", bn);
}

Fusion::Fusion(int64_t in, int64_t middle, int64_t out, bool deepest)
    : conv1_(in, middle, 1), conv2_(middle, out, 3) {
  add("conv1", conv1_);
  add("conv2", conv2_);
  if (deepest) return;
  attention_ =
      std::make_unique<nn::Conv2d>(2 * middle, 2, nn::Conv2dConfig{.kernel = 1, .bias = true});
  add("att_conv.0", *attention_);
}

Fusion::Result Fusion::operator()(const Variable& map, const Variable& deeper, int64_t side) {
  Variable x = conv1_(map);
  if (attention_) {
    const Variable r = resized(deeper, x.size(1));
    const Variable z = sigmoid((*attention_)(concat({x, r}, 3)));
    x = x * slice(z, 3, 0, 1) + r * slice(z, 3, 1, 2);
  }
  x = resized(x, side);
  return {conv2_(x), x};
}

Variable resized(const Variable& map, int64_t side) {
  const int64_t now = map.size(1);
  if (side == now) return map;
  if (side > now) return upsample_nearest(map, side / now);
  const int64_t step = now / side;  // the first pixel of every block
  return max_pool2d(map, {.kernel = {1, 1}, .stride = {step, step}});
}

Variable context_loss(const Variable& student, const Variable& teacher) {
  Variable total = mse_loss(student, teacher);
  double weight = 1, weights = 1;
  for (const int64_t side : {4, 2, 1}) {
    if (side >= student.size(1)) continue;
    weight /= 2, weights += weight;
    total = total + mse_loss(pooled_to(student, side), pooled_to(teacher, side)) * weight;
  }
  return total * (1 / weights);
}

namespace {

struct ReviewSettings : LossWeights {
  double weight = 5, warmup = 20;
  std::string teacher_mode = "train";
  bool nesterov = true, na_pairs = false;
  ReviewSettings() { soft_weight = 0; }
  void fields(FieldVisitor& v) {
    LossWeights::fields(v);
    v("weight", weight, "of the levels' losses");
    v("warmup", warmup, "epochs over which they rise from 0; 0: at once");
    v("teacher_mode", teacher_mode,
      "train: the teacher normalises by each batch's statistics, as the official code | eval");
    v("nesterov", nesterov, "momentum of the student's training, as the official code's");
    v("na_pairs", na_pairs,
      "also resnet32x4 > resnet20 and ResNet50 > vgg8, which the paper marks NA", Influence::none);
  }
};

struct Fusions : nn::Module {
  std::vector<Fusion*> levels;  ///< the shallowest first
  void add_level(int64_t in, int64_t middle, int64_t out, bool deepest) {
    levels.push_back(
        &own(std::to_string(levels.size()), std::make_unique<Fusion>(in, middle, out, deepest)));
  }
  /// The convolutions in front of a batch norm: U(-sqrt(3 / fan_in), sqrt(3 / fan_in)).
  void initialise(const Stream& stream) override {
    Module::initialise(stream);
    visit([&](const std::string& name, nn::Module& m) {
      const auto* conv = dynamic_cast<nn::Conv2d*>(&m);
      if (!conv || conv->bias.defined()) return;
      const auto fan_in = static_cast<double>(nn::init::fan_in(conv->weight));
      nn::init::uniform(conv->weight, std::sqrt(3 / fan_in), stream.fork(name + ".weight"));
    });
  }
};

/// All taps but the first, vectors as 1x1 maps.
Variables reviewed_levels(const nn::Features& f) {
  Variables levels;
  for (size_t i = 1; i < f.taps.size(); ++i) {
    const Variable tap = from_activation(f.taps[i]);
    levels.push_back(tap.rank() == 4 ? tap : reshape(tap, {tap.size(0), 1, 1, tap.size(1)}));
  }
  return levels;
}

class ReviewKd : public Method {
 public:
  using Settings = ReviewSettings;
  explicit ReviewKd(const Settings& s) : settings_(s) {
    LIMBECK_CHECK(s.weight >= 0, "methods.reviewkd.weight: expected 0 or more, found ", s.weight);
    LIMBECK_CHECK(s.warmup >= 0, "methods.reviewkd.warmup: expected 0 or more, found ", s.warmup);
    LIMBECK_CHECK(s.teacher_mode == "train" || s.teacher_mode == "eval",
                  "methods.reviewkd.teacher_mode: expected train or eval, found '", s.teacher_mode,
                  "'");
  }
  LossWeights weights() const override { return settings_; }
  bool teacher_preact() const override { return true; }
  void adjust(train::Settings& training, bool) const override {
    training.nesterov = settings_.nesterov && training.momentum > 0;
  }
  void check_names(const std::string& teacher, const std::string& student) override {
    const bool na = (teacher == "resnet32x4" && student == "resnet20") ||
                    (teacher == "ResNet50" && student == "vgg8");
    LIMBECK_CHECK(!na || settings_.na_pairs,
                  "reviewkd: NA in the paper, whose code has channels "
                  "of other teachers for this student; methods.reviewkd.na_pairs = true runs it");
  }
  bool teacher_in_train_mode() const override { return settings_.teacher_mode == "train"; }

  void check(const Pair& pair) override {
    const Variables s = reviewed_levels(pair.student), t = reviewed_levels(pair.teacher);
    LIMBECK_CHECK(s.size() > 1 && t.size() > 1, "reviewkd: the ",
                  s.size() > 1 ? "teacher" : "student", " has no feature maps");
    LIMBECK_CHECK(s.size() == t.size(), "reviewkd: the student has ", s.size(),
                  " levels, the teacher ", t.size());
    const auto whole = [](int64_t a, int64_t b) { return a % b == 0 || b % a == 0; };
    for (size_t i = 0; i < s.size(); ++i) {
      LIMBECK_CHECK(whole(s[i].size(1), t[i].size(1)), "reviewkd: level ", i + 1, " has maps of ",
                    s[i].size(1), " pixels a side, the teacher's ", t[i].size(1),
                    "; no whole ratio");
      LIMBECK_CHECK(i == 0 || whole(s[i - 1].size(1), t[i].size(1)), "reviewkd: level ", i,
                    " has maps of ", s[i - 1].size(1), " pixels a side, the teacher's next level ",
                    t[i].size(1), "; no whole ratio");
    }
  }

  void prepare(const Pair& pair) override {
    const Variables s = reviewed_levels(pair.student), t = reviewed_levels(pair.teacher);
    const int64_t middle = std::min<int64_t>(512, s.back().size(3));
    fusions_ = std::make_unique<Fusions>();
    for (size_t i = 0; i < s.size(); ++i)
      fusions_->add_level(s[i].size(3), middle, t[i].size(3), i + 1 == s.size());
    fusions_->initialise(pair.init);
  }
  nn::Module* auxiliary() override { return fusions_.get(); }

  Variable loss(const DistillationStep& step) override {
    const Variables s = reviewed_levels(step.student), t = reviewed_levels(step.teacher);
    Variable total, residual;
    for (size_t i = s.size(); i-- > 0;) {
      const Fusion::Result fused = (*fusions_->levels[i])(s[i], residual, t[i].size(1));
      residual = fused.residual;
      const Variable level = context_loss(fused.output, Variable(t[i].data()));
      total = total.defined() ? total + level : level;
    }
    total = total * settings_.weight;
    return settings_.warmup > 0 ? reshape(total * ramp(step.step, settings_.warmup, 0, total), {})
                                : total;
  }

 private:
  const Settings settings_;
  std::unique_ptr<Fusions> fusions_;
};

const RegisterMethod<ReviewKd> registered("reviewkd", "ReviewKD", Family::features,
                                          "levels reviewed by deeper ones (Chen et al. 2021)");

}  // namespace
}  // namespace limbeck::kd::reviewkd
