// VAM-R: the convolutions of the student attend to blocks of their inputs. A reconstruction: of Xue
// et al., "KDExplainer: a task-oriented attention model for explaining knowledge distillation",
// IJCAI 2021, the public code has the explaining student but not its virtual attention module; what
// is known of that (blocks of filters, an attention over them inside a convolution, a penalty on
// its entropy) is put together here after the gating of the explaining student.
//   3x3 convolutions but the stem, b channels a block, n_in = C_in / b, n_out = C_out / b:
//   A = softmax over the rows of E / t,  E [n_out, n_in] trained, from 0
//   W'[o, i] = n_in A[o / b, i / b] W[o, i]
//   loss = entropy_weight mean over convolutions and rows of H(A_row) / log n_in
//   plus 0.1 CE + 0.9 soft targets
// With E = 0 the network is what it was, hence n_in. E has no weight decay. When the training ends
// A becomes part of W: the saved student costs nothing more. Convolutions of one block, grouped and
// depthwise ones are left alone. It changes the student, not the loss. entropy_weight = 0 and
// train_attention = false are the controls.
#include "kd/methods/vam.h"

#include <cmath>

#include "kd/terms.h"
#include "nn/layers.h"

namespace limbeck::kd::vam {

Variable attention(const Variable& logits, double temperature) {
  return softmax(logits * (1 / temperature));
}

Variable reweighed(const Variable& weight, const Variable& a) {
  const Shape& w = weight.shape();
  const int64_t out = a.size(0), in = a.size(1);
  const Variable blocks = reshape(weight, {out, w[0] / out * w[1] * w[2], in, w[3] / in});
  return reshape(blocks * reshape(a * static_cast<double>(in), {out, 1, in, 1}), w);
}

Variable entropies(const Variable& a) {
  const double most = std::log(static_cast<double>(a.size(1)));
  return sum(a * log(clamp(a, 1e-30, 1)), {1}) * (-1 / most);
}

int64_t block_of(int64_t in, int64_t out, int64_t wanted) {
  for (int64_t b = wanted; b > 0; --b)
    if (in % b == 0 && out % b == 0) return in > b ? b : 0;
  return 0;
}

namespace {

struct VamSettings : LossWeights {
  double entropy_weight = 0.01, attention_temperature = 1;
  int64_t block = 16;
  bool train_attention = true;
  VamSettings() { hard_weight = 0.1, soft_weight = 0.9; }
  void fields(FieldVisitor& v) {
    LossWeights::fields(v);
    v("entropy_weight", entropy_weight, "of the attention's entropy");
    v("attention_temperature", attention_temperature, "of the attention");
    v("block", block, "channels of a block; the largest divisor up to it where it divides not");
    v("train_attention", train_attention, "false: the attention stays even (a control)");
  }
};

/// The logits E of every convolution's attention.
class Attentions : public nn::Module {
 public:
  Variable add(const Shape& shape) {
    logits_.push_back(
        add_parameter(std::to_string(logits_.size()), shape, nn::DiskLayout::plain, false));
    return logits_.back();
  }
  const Variables& logits() const { return logits_; }

 private:
  Variables logits_;
};

std::vector<nn::Conv2d*> convolutions_of(nn::Network& network) {
  std::vector<nn::Conv2d*> all;
  network.visit([&](const std::string&, nn::Module& m) {
    if (auto* const conv = dynamic_cast<nn::Conv2d*>(&m)) all.push_back(conv);
  });
  return all;
}

/// A 3x3 convolution of several blocks.
int64_t block_in(const nn::Conv2d& conv, int64_t wanted) {
  const Shape& w = conv.weight.shape();
  const bool square = w[1] == 3 && w[2] == 3 && conv.config.groups == 1;
  return square ? block_of(w[3], w[0], wanted) : 0;
}

class Vam : public Method {
 public:
  using Settings = VamSettings;
  explicit Vam(const Settings& s) : settings_(s) {
    check_weight(s.entropy_weight, "vam", "entropy_weight");
    LIMBECK_CHECK(std::isfinite(s.attention_temperature) && s.attention_temperature > 0,
                  "methods.vam.attention_temperature: expected a positive number, found ",
                  s.attention_temperature);
    LIMBECK_CHECK(s.block >= 1, "methods.vam.block: expected 1 or more, found ", s.block);
  }
  LossWeights weights() const override { return settings_; }
  void check(const Pair& pair) override {
    check_class_logits("vam", pair);
    int64_t found = 0;
    const std::vector<nn::Conv2d*> convolutions = convolutions_of(pair.student_network);
    for (size_t i = 1; i < convolutions.size(); ++i)
      found += block_in(*convolutions[i], settings_.block) > 0;
    LIMBECK_CHECK(found > 0, "vam: the student has no 3x3 convolution of several blocks of ",
                  settings_.block, " channels; a smaller methods.vam.block makes some");
  }
  void prepare(const Pair& pair) override {
    attentions_ = std::make_unique<Attentions>();
    const std::vector<nn::Conv2d*> convolutions = convolutions_of(pair.student_network);
    for (size_t i = 1; i < convolutions.size(); ++i)  // 0: the stem
      if (const int64_t b = block_in(*convolutions[i], settings_.block); b > 0)
        attend(*convolutions[i], b);
    attentions_->set_requires_grad(settings_.train_attention);
  }
  nn::Module* auxiliary() override { return attentions_.get(); }

  Variable loss(const DistillationStep&) override {
    Variable total;
    for (const Variable& e : attentions_->logits()) {
      const Variable one = mean(entropies(attention(e, settings_.attention_temperature)));
      total = total ? total + one : one;
    }
    return total * (settings_.entropy_weight / static_cast<double>(attentions_->logits().size()));
  }
  void finish(nn::Network& student) override {
    const NoGrad no_grad;
    for (nn::Conv2d* conv : convolutions_of(student)) {
      if (!conv->reweighed) continue;
      conv->weight.set_data(conv->reweighed(conv->weight).data());
      conv->reweighed = nullptr;
    }
  }

 private:
  void attend(nn::Conv2d& conv, int64_t block) {
    const Shape& w = conv.weight.shape();
    const Variable logits = attentions_->add({w[0] / block, w[3] / block});
    conv.reweighed = [logits, t = settings_.attention_temperature](const Variable& weight) {
      return vam::reweighed(weight, attention(logits, t));
    };
  }

  const Settings settings_;
  std::unique_ptr<Attentions> attentions_;
};

const RegisterMethod<Vam> registered("vam", "VAM-R", Family::logits,
                                     "attention inside convolutions (after Xue et al. 2021)");

}  // namespace
}  // namespace limbeck::kd::vam
