#include "gan/sngan_nli.h"

#include <algorithm>
#include <cmath>

#include "autograd/autocast.h"

namespace limbeck::gan {
namespace {

constexpr const char* narrow_name = "sngan-nli-narrow";

// As in gan/sngan.cpp: Xavier with gain sqrt(2) for the blocks' 3x3 convolutions, 1 for the others.
WeightRule naive_rule(double gain) { return {.spectral = false, .gain = gain, .zero_bias = false}; }

NetworkConfig checked_naive(const char* what, const NetworkConfig& c) {
  NetworkConfig config = checked_label_config(what, c);
  config.label_dim = 1;
  LIMBECK_CHECK(config.arch != narrow_name || config.resolution == 64, what, ": ", narrow_name,
                " makes images of 64 pixels (data.image_size), found ", config.resolution);
  return config;
}

int64_t naive_bottom(const NetworkConfig& c) {
  return c.arch == narrow_name ? 8 * c.ch : bottom_width(c);
}

}  // namespace

class NaiveGeneratorBlock : public nn::Module {
 public:
  NaiveGeneratorBlock(int64_t in, int64_t out, const NetworkConfig& c)
      : bn1_(in, c.bn_eps),
        bn2_(out, c.bn_eps),
        conv1_(in, out, 3, naive_rule(std::sqrt(2.0))),
        conv2_(out, out, 3, naive_rule(std::sqrt(2.0))),
        bypass_(in, out, 1, naive_rule(1)) {
    add("conv1", conv1_);
    add("conv2", conv2_);
    add("model.0", bn1_);
    add_alias("model.3", conv1_);
    add("model.4", bn2_);
    add_alias("model.6", conv2_);
    add("bypass_conv", bypass_);
    add_alias("bypass.1", bypass_);
  }
  Variable forward(const Variable& x) override {
    // The 1x1 convolution runs before the upsampling, as in generator_residual().
    return conv2_(bn2_.relu(conv1_.upsampled(bn1_.relu(x)))) + upsample_nearest(bypass_(x));
  }

 private:
  nn::BatchNorm bn1_, bn2_;
  LabelConv2d conv1_, conv2_, bypass_;
};

NaiveSnganGenerator::NaiveSnganGenerator(const NetworkConfig& config)
    : Generator(checked_naive("SNGAN generator", config)),
      bottom_(naive_bottom(config_)),
      dense_(config_.dim_z, bottom_ * bottom_size * bottom_size, true, naive_rule(1)),
      bn_(config_.ch, config_.bn_eps),
      conv_(config_.ch, config_.channels, 3, naive_rule(1)) {
  add("dense", dense_);
  add("final.0", bn_);
  add("final.2", conv_);
  int64_t in = bottom_, out = config_.resolution / bottom_size * config_.ch / 2;
  for (int64_t i = 0; out >= config_.ch; ++i, in = out, out /= 2)
    blocks_.push_back(
        &own(cat("genblock", i), std::make_unique<NaiveGeneratorBlock>(in, out, config_)));
}

NaiveSnganGenerator::~NaiveSnganGenerator() = default;

Variable NaiveSnganGenerator::forward(const Variable& z, const Condition& condition) {
  check_input("SNGAN generator", z, {z.size(0), config_.dim_z});
  const Variable& y = label_of("SNGAN generator", condition, z.size(0), config_);
  Variable x = as_activation(unflatten_chw(dense_(z) + y, bottom_, bottom_size, bottom_size));
  for (NaiveGeneratorBlock* block : blocks_) x = block->forward(x);
  return tanh(from_activation(conv_(bn_.relu(x))));
}

NaiveSnganDiscriminator::NaiveSnganDiscriminator(const NetworkConfig& config)
    : SnganDiscriminator(checked_naive("SNGAN discriminator", config), naive_bottom(config)) {}

Judged NaiveSnganDiscriminator::judge(const Variable& x, const Condition& condition) {
  const Variable& y = label_of("SNGAN discriminator", condition, x.size(0), config_);
  return SnganDiscriminator::judge(x, {{}, y + 1});
}

namespace {

GanEntry naive_entry(const char* name) {
  return {name, ConditionKind::response,
          [](const NetworkConfig& c) { return std::make_unique<NaiveSnganGenerator>(c); },
          [](const NetworkConfig& c) { return std::make_unique<NaiveSnganDiscriminator>(c); }};
}
const RegisterGan sngan_nli(naive_entry("sngan-nli"));
const RegisterGan sngan_nli_narrow(naive_entry(narrow_name));

}  // namespace
}  // namespace limbeck::gan
