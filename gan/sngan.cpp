#include "gan/sngan.h"

#include <algorithm>
#include <cmath>

#include "autograd/autocast.h"

namespace limbeck::gan {
namespace {

constexpr double bn_momentum = 0.1;
const double root2 = std::sqrt(2.0);

// Xavier with gain sqrt(2) for the blocks' 3x3 convolutions, 1 for the others; PyTorch's default
// for biases and the label's maps.
WeightRule rule(bool spectral, double gain) {
  return {.spectral = spectral, .gain = gain, .zero_bias = false};
}
constexpr WeightRule label_map{.spectral = false, .gain = 0, .zero_bias = false};

NetworkConfig checked_sngan(const char* what, const NetworkConfig& c) {
  NetworkConfig config = checked_label_config(what, c);
  config.arch = "sngan";
  return config;
}

}  // namespace

class SnganGeneratorBlock : public nn::Module {
 public:
  SnganGeneratorBlock(int64_t in, int64_t out, const NetworkConfig& c)
      : conv1_(in, out, 3, rule(false, root2)),
        conv2_(out, out, 3, rule(false, root2)),
        bypass_(in, out, 1, rule(false, 1)),
        bn1_(in, c.label_dim, c.bn_eps, bn_momentum, label_map),
        bn2_(out, c.label_dim, c.bn_eps, bn_momentum, label_map),
        unused1_(in, c.bn_eps),
        unused2_(out, c.bn_eps) {
    add("conv1", conv1_);
    add("conv2", conv2_);
    add("condbn1", bn1_);
    add("condbn2", bn2_);
    // The original keeps the unconditional block beside it: batch norms that no forward pass uses,
    // and second names of the convolutions.
    add("model.0", unused1_);
    add_alias("model.3", conv1_);
    add("model.4", unused2_);
    add_alias("model.6", conv2_);
    add("bypass_conv", bypass_);
    add_alias("bypass.1", bypass_);
  }
  Variable operator()(const Variable& x, const Variable& h) {
    return generator_residual(x, h, bn1_, conv1_, bn2_, conv2_, bypass_);
  }

 private:
  LabelConv2d conv1_, conv2_, bypass_;
  LabelBatchNorm bn1_, bn2_;
  nn::BatchNorm unused1_, unused2_;
};

/// conv2(relu(conv1(relu(x)))) + bypass(x); the first block takes the image as it is.
class SnganDiscriminatorBlock : public nn::Module {
 public:
  SnganDiscriminatorBlock(int64_t in, int64_t out, bool first, bool downsample)
      : first_(first),
        downsample_(downsample),
        conv1_(in, out, 3, rule(true, root2)),
        conv2_(out, out, 3, rule(true, root2)),
        bypass_(in, out, 1, rule(true, 1)) {
    add("conv1", conv1_);
    add("conv2", conv2_);
    add("bypass_conv", bypass_);
    // The positions in the original's Sequential: a ReLU stands in front but for the first block,
    // whose bypass pools first.
    add_alias(first ? "model.0" : "model.1", conv1_);
    add_alias(first ? "model.2" : "model.3", conv2_);
    add_alias(first ? "bypass.1" : "bypass.0", bypass_);
  }
  Variable forward(const Variable& x) override {
    return discriminator_residual(first_ ? x : relu(x), x, conv1_, conv2_, bypass_, downsample_);
  }

 private:
  bool first_, downsample_;
  LabelConv2d conv1_, conv2_, bypass_;
};

// --- generator -----------------------------------------------------------------------------------

SnganGenerator::SnganGenerator(const NetworkConfig& config)
    : Generator(checked_sngan("SNGAN generator", config)),
      dense_(config_.dim_z, bottom_width(config_) * bottom_size * bottom_size, true,
             rule(false, 1)),
      bn_(config_.ch, config_.bn_eps),
      conv_(config_.ch, config_.channels, 3, rule(false, 1)) {
  add("dense", dense_);
  add("final.0", bn_);
  add("final.2", conv_);
  for (int64_t in = bottom_width(config_), i = 0; in > config_.ch; in /= 2, ++i)
    blocks_.push_back(
        &own(cat("genblock", i), std::make_unique<SnganGeneratorBlock>(in, in / 2, config_)));
}

SnganGenerator::~SnganGenerator() = default;

Variable SnganGenerator::forward(const Variable& z, const Condition& condition) {
  check_input("SNGAN generator", z, {z.size(0), config_.dim_z});
  const Variable& h = label_of("SNGAN generator", condition, z.size(0), config_);
  Variable x =
      as_activation(unflatten_chw(dense_(z), bottom_width(config_), bottom_size, bottom_size));
  for (SnganGeneratorBlock* block : blocks_) x = (*block)(x, h);
  return tanh(from_activation(conv_(bn_.relu(x))));
}

// --- discriminator -------------------------------------------------------------------------------

SnganDiscriminator::SnganDiscriminator(const NetworkConfig& config)
    : SnganDiscriminator(checked_sngan("SNGAN discriminator", config), bottom_width(config)) {}

SnganDiscriminator::SnganDiscriminator(const NetworkConfig& checked, int64_t bottom)
    : Discriminator(checked),
      linear_(bottom * bottom_size * bottom_size, 1, true, rule(true, 1)),
      embed_(config_.label_dim, bottom * bottom_size * bottom_size, false, rule(true, 1)) {
  std::vector<const char*> names{"discblock1.0", "discblock1.1", "discblock1.2", "discblock2",
                                 "discblock3.0"};
  if (config_.resolution == 32) names.erase(names.begin() + 2);
  int64_t in = config_.channels, out = config_.ch;
  for (const char* name : names) {
    blocks_.push_back(&own(name, std::make_unique<SnganDiscriminatorBlock>(in, out, blocks_.empty(),
                                                                           name != names.back())));
    in = out;
    out = std::min(2 * out, bottom);
  }
  add("linear1", linear_);
  add("linear2", embed_);
  if (config_.response_head)
    head_ = &own("reg_linear",
                 std::make_unique<ResponseHead>(bottom * bottom_size * bottom_size, rule(true, 1)));
}

SnganDiscriminator::~SnganDiscriminator() = default;

Judged SnganDiscriminator::judge(const Variable& x, const Condition& condition) {
  check_input("SNGAN discriminator", x,
              {x.size(0), config_.resolution, config_.resolution, config_.channels});
  const Variable& h = label_of("SNGAN discriminator", condition, x.size(0), config_);
  Variable y = x;
  for (SnganDiscriminatorBlock* block : blocks_) y = block->forward(y);
  return judged_map(relu(y), h, linear_, embed_, head_);
}

namespace {

const RegisterGan sngan({"sngan", ConditionKind::embedding,
                         [](const NetworkConfig& c) { return std::make_unique<SnganGenerator>(c); },
                         [](const NetworkConfig& c) {
                           return std::make_unique<SnganDiscriminator>(c);
                         }});

}  // namespace
}  // namespace limbeck::gan
