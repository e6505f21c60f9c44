#include "gan/biggan_deep.h"

#include <algorithm>

#include "autograd/autocast.h"

namespace limbeck::gan {
namespace {

constexpr int64_t ratio = 4;  // width of a block to that of its bottleneck

/// Widths in units of ch (BigGANdeep.py, G_arch and D_arch); every stage changes the resolution by
/// 2.
struct BigGanDeepWidths {
  std::vector<int64_t> generator_in, generator_out, discriminator_in, discriminator_out;
};

BigGanDeepWidths biggan_deep_widths(int64_t resolution) {
  switch (resolution) {
    case 64: return {{16, 16, 8, 4}, {16, 8, 4, 2}, {1, 2, 4, 8}, {2, 4, 8, 16}};
    case 128: return {{16, 16, 8, 4, 2}, {16, 8, 4, 2, 1}, {1, 2, 4, 8, 16}, {2, 4, 8, 16, 16}};
    default:
      fail("BigGAN-deep: makes images of 64 or 128 pixels (data.image_size), found ", resolution);
  }
}

NetworkConfig checked_biggan_deep(NetworkConfig c) {
  check_sizes("BigGAN-deep", c);
  c.arch = "biggan-deep";
  LIMBECK_CHECK(
      c.ch >= 2,
      "BigGAN-deep: ch must be at least 2 (bottlenecks have a quarter of the width), found ", c.ch);
  LIMBECK_CHECK(c.depth >= 2,
                "BigGAN-deep: depth must be at least 2 (the first block of a resolution keeps the "
                "width), found ",
                c.depth);
  LIMBECK_CHECK(
      c.shared_dim > 0 && c.hierarchical,
      "BigGAN-deep: needs a shared embedding (shared_dim) and hierarchical z, found shared_dim ",
      c.shared_dim, c.hierarchical ? ", hierarchical" : ", not hierarchical");
  return c;
}

}  // namespace

// --- blocks --------------------------------------------------------------------------------------

DeepGeneratorBlock::DeepGeneratorBlock(int64_t in, int64_t out, bool upsample,
                                       const ConditionSource& source, const BigGanConfig& c)
    : out_(out),
      upsample_(upsample),
      conv1_(in, in / ratio, 1, c.sn_eps),
      conv2_(in / ratio, in / ratio, 3, c.sn_eps),
      conv3_(in / ratio, in / ratio, 3, c.sn_eps),
      conv4_(in / ratio, out, 1, c.sn_eps),
      bn1_(in, source, c.bn_eps),
      bn2_(in / ratio, source, c.bn_eps),
      bn3_(in / ratio, source, c.bn_eps),
      bn4_(in / ratio, source, c.bn_eps) {
  add("conv1", conv1_);
  add("conv2", conv2_);
  add("conv3", conv3_);
  add("conv4", conv4_);
  add("bn1", bn1_);
  add("bn2", bn2_);
  add("bn3", bn3_);
  add("bn4", bn4_);
}

Variable DeepGeneratorBlock::operator()(const Variable& x, const Condition& c) {
  Variable h = bn2_.relu(conv1_(bn1_.relu(x, c)), c);
  h = upsample_ ? conv2_.upsampled(h) : conv2_(h);
  h = conv4_(bn4_.relu(conv3_(bn3_.relu(h, c)), c));
  const Variable kept = x.size(3) == out_ ? x : slice(x, 3, 0, out_);
  return h + (upsample_ ? upsample_nearest(kept) : kept);
}

DeepDiscriminatorBlock::DeepDiscriminatorBlock(int64_t in, int64_t out, bool downsample,
                                               double sn_eps)
    : downsample_(downsample),
      conv1_(in, out / ratio, 1, sn_eps),
      conv2_(out / ratio, out / ratio, 3, sn_eps),
      conv3_(out / ratio, out / ratio, 3, sn_eps),
      conv4_(out / ratio, out, 1, sn_eps) {
  add("conv1", conv1_);
  add("conv2", conv2_);
  add("conv3", conv3_);
  add("conv4", conv4_);
  if (in == out) return;
  conv_sc_ = std::make_unique<SNConv2d>(in, out - in, 1, sn_eps);
  add("conv_sc", *conv_sc_);
}

Variable DeepDiscriminatorBlock::forward(const Variable& x) {
  Variable h = relu(conv3_(relu(conv2_(relu(conv1_(relu(x)))))));
  h = conv4_(downsample_ ? avg_pool2d(h) : h);
  Variable shortcut = downsample_ ? avg_pool2d(x) : x;
  if (conv_sc_) shortcut = concat({shortcut, (*conv_sc_)(shortcut)}, 3);
  return h + shortcut;
}

// --- generator -----------------------------------------------------------------------------------

BigGanDeepGenerator::BigGanDeepGenerator(const NetworkConfig& config)
    : Generator(checked_biggan_deep(config)),
      width_(biggan_deep_widths(config_.resolution).generator_in[0] * config_.ch),
      shared_(config_.classes, config_.shared_dim),
      linear_(config_.dim_z + config_.shared_dim, width_ * bottom_size * bottom_size,
              config_.sn_eps) {
  const BigGanDeepWidths widths = biggan_deep_widths(config_.resolution);
  const ConditionSource source = {.embedding = config_.shared_dim + config_.dim_z,
                                  .classes = config_.classes,
                                  .sn_eps = config_.sn_eps};
  add("shared", shared_);
  add("linear", linear_);
  Stages& stages = own("blocks", std::make_unique<Stages>());
  int64_t resolution = bottom_size;
  for (size_t i = 0; i < widths.generator_in.size(); ++i) {
    const int64_t in = widths.generator_in[i] * config_.ch,
                  out = widths.generator_out[i] * config_.ch;
    // All blocks but the first of a resolution change to the next width; the last one upsamples.
    // The list is flat: one entry per block.
    for (int64_t k = 0; k < config_.depth; ++k) {
      stages.begin();
      const int64_t from = k <= 1 ? in : out, to = k == 0 ? in : out;
      blocks_.push_back({&stages.append(std::make_unique<DeepGeneratorBlock>(
                             from, to, k + 1 == config_.depth, source, config_)),
                         nullptr});
    }
    if (config_.attends(resolution *= 2))
      blocks_.back().attention =
          &stages.append(std::make_unique<SelfAttention>(out, config_.sn_eps));
  }
  output_ = &own("output_layer",
                 std::make_unique<OutputLayer>(widths.generator_out.back() * config_.ch, config_));
}

Variable BigGanDeepGenerator::forward(const Variable& z, const Condition& condition) {
  check_input("BigGAN-deep generator", z, {z.size(0), config_.dim_z});
  check_labels("BigGAN-deep generator", condition, z.size(0));
  const Condition c = {{}, concat({shared_(condition), z}, 1)};
  Variable h = as_activation(unflatten_chw(linear_(c.embedding), width_, bottom_size, bottom_size));
  for (const Block& b : blocks_) {
    h = (*b.block)(h, c);
    if (b.attention) h = b.attention->forward(h);
  }
  return output_->forward(h);
}

// --- discriminator -------------------------------------------------------------------------------

BigGanDeepDiscriminator::BigGanDeepDiscriminator(const NetworkConfig& config)
    : Discriminator(checked_biggan_deep(config)),
      input_conv_(config_.channels,
                  biggan_deep_widths(config_.resolution).discriminator_in[0] * config_.ch, 3,
                  config_.sn_eps) {
  const BigGanDeepWidths widths = biggan_deep_widths(config_.resolution);
  add("input_conv", input_conv_);
  Stages& stages = own("blocks", std::make_unique<Stages>());
  int64_t resolution = config_.resolution;
  for (size_t i = 0; i < widths.discriminator_in.size(); ++i) {
    const int64_t in = widths.discriminator_in[i] * config_.ch,
                  out = widths.discriminator_out[i] * config_.ch;
    stages.begin();
    for (int64_t k = 0; k < config_.depth;
         ++k)  // the first block of a stage downsamples and widens
      blocks_.push_back(&stages.append(std::make_unique<DeepDiscriminatorBlock>(
          k == 0 ? in : out, out, k == 0, config_.sn_eps)));
    if (config_.attends(resolution /= 2))
      blocks_.push_back(&stages.append(std::make_unique<SelfAttention>(out, config_.sn_eps)));
  }
  head_ = std::make_unique<ProjectionHead>(widths.discriminator_out.back() * config_.ch, config_);
  add("linear", head_->linear);
  add("embed", head_->embed);
}

Variable BigGanDeepDiscriminator::forward(const Variable& x, const Condition& condition) {
  check_input("BigGAN-deep discriminator", x,
              {x.size(0), config_.resolution, config_.resolution, config_.channels});
  check_labels("BigGAN-deep discriminator", condition, x.size(0));
  Variable h = input_conv_(x);
  for (nn::Module* block : blocks_) h = block->forward(h);
  return (*head_)(h, condition.classes);
}

namespace {

const RegisterGan deep(
    {"biggan-deep", ConditionKind::classes,
     [](const NetworkConfig& c) { return std::make_unique<BigGanDeepGenerator>(c); },
     [](const NetworkConfig& c) { return std::make_unique<BigGanDeepDiscriminator>(c); }});

}  // namespace
}  // namespace limbeck::gan
