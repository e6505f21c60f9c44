#include "gan/sagan.h"

#include "autograd/autocast.h"
#include "gan/self_attention.h"

namespace limbeck::gan {
namespace {

constexpr double conditional_momentum = 1e-3, last_momentum = 1e-4;
constexpr WeightRule normalised{.spectral = true, .gain = 1, .zero_bias = true};
constexpr WeightRule plain{.spectral = false, .gain = 1, .zero_bias = true};

NetworkConfig checked_sagan(const char* what, const NetworkConfig& c) {
  NetworkConfig config = checked_label_config(what, c);
  config.arch = "sagan";
  LIMBECK_CHECK(
      c.ch >= 8, what,
      ": ch must be at least 8 (self-attention compares an eighth of the channels), found ", c.ch);
  return config;
}

}  // namespace

/// As SelfAttention, with biases and other names; sigma [1] starts at 0.
class SaganAttention : public nn::Module {
 public:
  explicit SaganAttention(int64_t channels)
      : sigma_(add_parameter("sigma", {1})),
        theta_(channels, channels / 8, 1, normalised),
        phi_(channels, channels / 8, 1, normalised),
        g_(channels, channels / 2, 1, normalised),
        attn_(channels / 2, channels, 1, normalised) {
    add("snconv1x1_theta", theta_);
    add("snconv1x1_phi", phi_);
    add("snconv1x1_g", g_);
    add("snconv1x1_attn", attn_);
  }
  Variable forward(const Variable& x) override {
    const Variable attended = attn_(attend(theta_(x), phi_(x), g_(x)));
    return x + cast(sigma_, attended.dtype()) * attended;
  }

 protected:
  void reset(Stream) override { sigma_.data().fill(0); }

 private:
  Variable sigma_;
  LabelConv2d theta_, phi_, g_, attn_;
};

class SaganGeneratorBlock : public nn::Module {
 public:
  SaganGeneratorBlock(int64_t in, int64_t out, const NetworkConfig& c)
      : bn1_(in, c.label_dim, c.bn_eps, conditional_momentum, plain),
        bn2_(out, c.label_dim, c.bn_eps, conditional_momentum, plain),
        conv1_(in, out, 3, normalised),
        conv2_(out, out, 3, normalised),
        shortcut_(in, out, 1, normalised) {
    add("cond_bn1", bn1_);
    add("snconv2d1", conv1_);
    add("cond_bn2", bn2_);
    add("snconv2d2", conv2_);
    add("snconv2d0", shortcut_);
  }
  Variable operator()(const Variable& x, const Variable& h) {
    return generator_residual(x, h, bn1_, conv1_, bn2_, conv2_, shortcut_);
  }

 private:
  LabelBatchNorm bn1_, bn2_;
  LabelConv2d conv1_, conv2_, shortcut_;
};

/// The first block sees the image as it is. In the others the shortcut sees relu(x) too: the
/// original's first ReLU works in place.
class SaganDiscriminatorBlock : public nn::Module {
 public:
  SaganDiscriminatorBlock(int64_t in, int64_t out, bool first, bool downsample)
      : first_(first),
        downsample_(downsample),
        conv1_(in, out, 3, normalised),
        conv2_(out, out, 3, normalised),
        shortcut_(in, out, 1, normalised) {
    add("snconv2d1", conv1_);
    add("snconv2d2", conv2_);
    add("snconv2d0", shortcut_);
  }
  Variable forward(const Variable& x) override {
    const Variable y = first_ ? x : relu(x);
    return discriminator_residual(y, y, conv1_, conv2_, shortcut_, downsample_);
  }

 private:
  bool first_, downsample_;
  LabelConv2d conv1_, conv2_, shortcut_;
};

// --- generator -----------------------------------------------------------------------------------

SaganGenerator::SaganGenerator(const NetworkConfig& config)
    : Generator(checked_sagan("SAGAN generator", config)),
      linear_(config_.dim_z, bottom_width(config_) * bottom_size * bottom_size, true, normalised),
      bn_(config_.ch, config_.bn_eps, last_momentum),
      conv_(config_.ch, config_.channels, 3, normalised) {
  add("snlinear0", linear_);
  for (int64_t in = bottom_width(config_), i = 1; in > config_.ch; in /= 2, ++i) {
    if (in == 2 * config_.ch) attention_ = &own("self_attn", std::make_unique<SaganAttention>(in));
    blocks_.push_back(
        &own(cat("block", i), std::make_unique<SaganGeneratorBlock>(in, in / 2, config_)));
  }
  add("bn", bn_);
  add("snconv2d1", conv_);
}

SaganGenerator::~SaganGenerator() = default;

Variable SaganGenerator::forward(const Variable& z, const Condition& condition) {
  check_input("SAGAN generator", z, {z.size(0), config_.dim_z});
  const Variable& h = label_of("SAGAN generator", condition, z.size(0), config_);
  Variable x =
      as_activation(unflatten_chw(linear_(z), bottom_width(config_), bottom_size, bottom_size));
  for (size_t i = 0; i + 1 < blocks_.size(); ++i) x = (*blocks_[i])(x, h);
  x = (*blocks_.back())(attention_->forward(x), h);
  return tanh(from_activation(conv_(bn_.relu(x))));
}

// --- discriminator -------------------------------------------------------------------------------

SaganDiscriminator::SaganDiscriminator(const NetworkConfig& config)
    : Discriminator(checked_sagan("SAGAN discriminator", config)),
      linear_(bottom_width(config_) * bottom_size * bottom_size, 1, true, normalised),
      embed_(config_.label_dim, bottom_width(config_) * bottom_size * bottom_size, false,
             normalised) {
  const int64_t c = config_.ch;
  blocks_.push_back(&own(
      "opt_block1", std::make_unique<SaganDiscriminatorBlock>(config_.channels, c, true, true)));
  blocks_.push_back(&own("self_attn", std::make_unique<SaganAttention>(c)));
  const int64_t bottom = bottom_width(config_);
  for (int64_t in = c, i = 1; in < bottom; in *= 2, ++i)
    blocks_.push_back(&own(cat("block", i), std::make_unique<SaganDiscriminatorBlock>(
                                                in, 2 * in, false, 2 * in < bottom)));
  add("snlinear1", linear_);
  add("sn_embedding1", embed_);
  if (config_.response_head)
    head_ = &own("reg_linear",
                 std::make_unique<ResponseHead>(bottom * bottom_size * bottom_size, normalised));
}

SaganDiscriminator::~SaganDiscriminator() = default;

Judged SaganDiscriminator::judge(const Variable& x, const Condition& condition) {
  check_input("SAGAN discriminator", x,
              {x.size(0), config_.resolution, config_.resolution, config_.channels});
  const Variable& h = label_of("SAGAN discriminator", condition, x.size(0), config_);
  Variable y = x;
  for (nn::Module* block : blocks_) y = block->forward(y);
  return judged_map(relu(y), h, linear_, embed_, head_);
}

namespace {

const RegisterGan sagan({"sagan", ConditionKind::embedding,
                         [](const NetworkConfig& c) { return std::make_unique<SaganGenerator>(c); },
                         [](const NetworkConfig& c) {
                           return std::make_unique<SaganDiscriminator>(c);
                         }});

}  // namespace
}  // namespace limbeck::gan
