#include "gan/biggan.h"

namespace limbeck::gan {
namespace {

constexpr int64_t bottom = 4;  // spatial size of the first feature map

/// Widths in units of ch (BigGAN.py, G_arch and D_arch). D downsamples in all blocks but the last ones.
struct Widths {
  std::vector<int64_t> generator_in, generator_out, discriminator_out;
  size_t downsampling;
};

Widths widths_at(int64_t resolution) {
  switch (resolution) {
    case 32: return {{4, 4, 4}, {4, 4, 4}, {4, 4, 4, 4}, 2};
    case 64: return {{16, 16, 8, 4}, {16, 8, 4, 2}, {1, 2, 4, 8, 16}, 4};
    case 128: return {{16, 16, 8, 4, 2}, {16, 8, 4, 2, 1}, {1, 2, 4, 8, 16, 16}, 5};
    default: fail("BigGAN: resolution must be 32, 64 or 128, found ", resolution);
  }
}

const BigGanConfig& checked(const BigGanConfig& c) {
  LIMBECK_CHECK(c.ch >= 1 && c.dim_z >= 1 && c.classes >= 1 && c.channels >= 1, "BigGAN: ch, dim_z, classes and channels must be positive, found ",
                c.ch, ", ", c.dim_z, ", ", c.classes, ", ", c.channels);
  return c;
}

void check_input(const char* what, const Variable& x, const Shape& expected) {
  LIMBECK_CHECK(x.shape() == expected, what, ": expected ", expected, ", found ", x.shape());
}

void check_labels(const char* what, const Condition& c, int64_t batch) {
  if (c.classes)
    LIMBECK_CHECK(c.classes.shape() == Shape({batch}), what, ": expected labels [", batch, "], found ", c.classes.shape());
}

/// A list of blocks with one entry each: BigGAN names them blocks.I.0 (attention would be blocks.I.1).
class Stage : public nn::Module {
 public:
  template <class Block>
  explicit Stage(std::unique_ptr<Block> block) { own("0", std::move(block)); }
};

class Stages : public nn::Module {
 public:
  template <class Block>
  Block& append(std::unique_ptr<Block> block) {
    Block& ref = *block;
    own(std::to_string(count_++), std::make_unique<Stage>(std::move(block)));
    return ref;
  }

 private:
  int count_ = 0;
};

}  // namespace

GeneratorBlock::GeneratorBlock(int64_t in, int64_t out, const BigGanConfig& c)
    : conv1_(in, out, 3, c.sn_eps),
      conv2_(out, out, 3, c.sn_eps),
      conv_sc_(in, out, 1, c.sn_eps),
      bn1_(in, c.classes, c.bn_eps),
      bn2_(out, c.classes, c.bn_eps) {
  add("conv1", conv1_);
  add("conv2", conv2_);
  add("conv_sc", conv_sc_);
  add("bn1", bn1_);
  add("bn2", bn2_);
}

Variable GeneratorBlock::operator()(const Variable& x, const Condition& condition) {
  Variable h = conv1_.upsampled(bn1_.relu(x, condition));
  h = conv2_(bn2_.relu(h, condition));
  return h + upsample_nearest(conv_sc_(x));
}

DiscriminatorBlock::DiscriminatorBlock(int64_t in, int64_t out, bool preactivation, bool downsample, double sn_eps)
    : preactivation_(preactivation), downsample_(downsample), conv1_(in, out, 3, sn_eps), conv2_(out, out, 3, sn_eps) {
  add("conv1", conv1_);
  add("conv2", conv2_);
  if (in != out || downsample) {
    conv_sc_ = std::make_unique<SNConv2d>(in, out, 1, sn_eps);
    add("conv_sc", *conv_sc_);
  }
}

Variable DiscriminatorBlock::forward(const Variable& x) {
  Variable h = relu(conv1_(preactivation_ ? relu(x) : x));
  h = downsample_ ? conv2_.pooled(h) : conv2_(h);
  // Pooling before the 1x1 convolution also where BigGAN pools after it: they commute.
  Variable shortcut = downsample_ ? avg_pool2d(x) : x;
  if (conv_sc_) shortcut = (*conv_sc_)(shortcut);
  return h + shortcut;
}

struct BigGanGenerator::Output : nn::Module {
  BatchNorm bn;
  SNConv2d conv;
  Output(int64_t in, const BigGanConfig& c) : bn(in, c.bn_eps), conv(in, c.channels, 3, c.sn_eps) {
    add("0", bn);
    add("2", conv);  // "1" is the ReLU
  }
  Variable forward(const Variable& x) override { return tanh(conv(bn.relu(x))); }
};

BigGanGenerator::BigGanGenerator(const BigGanConfig& config)
    : config_(checked(config)),
      width_(widths_at(config.resolution).generator_in[0] * config.ch),
      linear_(config.dim_z, width_ * bottom * bottom, config.sn_eps) {
  const Widths widths = widths_at(config.resolution);
  add("linear", linear_);
  Stages& stages = own("blocks", std::make_unique<Stages>());
  for (size_t i = 0; i < widths.generator_in.size(); ++i)
    blocks_.push_back(&stages.append(
        std::make_unique<GeneratorBlock>(widths.generator_in[i] * config.ch, widths.generator_out[i] * config.ch, config_)));
  output_ = &own("output_layer", std::make_unique<Output>(widths.generator_out.back() * config.ch, config_));
}

Variable BigGanGenerator::forward(const Variable& z, const Condition& condition) {
  check_input("BigGAN generator", z, {z.size(0), config_.dim_z});
  check_labels("BigGAN generator", condition, z.size(0));
  Variable h = unflatten_chw(linear_(z), width_, bottom, bottom);
  for (GeneratorBlock* block : blocks_) h = (*block)(h, condition);
  return output_->forward(h);
}

BigGanDiscriminator::BigGanDiscriminator(const BigGanConfig& config) : config_(checked(config)) {
  const Widths widths = widths_at(config.resolution);
  Stages& stages = own("blocks", std::make_unique<Stages>());
  int64_t in = config.channels;
  for (size_t i = 0; i < widths.discriminator_out.size(); ++i) {
    const int64_t out = widths.discriminator_out[i] * config.ch;
    blocks_.push_back(&stages.append(std::make_unique<DiscriminatorBlock>(in, out, i > 0, i < widths.downsampling, config.sn_eps)));
    in = out;
  }
  linear_ = std::make_unique<SNLinear>(in, 1, config.sn_eps);
  embed_ = std::make_unique<SNEmbedding>(config.classes, in, config.sn_eps);
  add("linear", *linear_);
  add("embed", *embed_);
}

Variable BigGanDiscriminator::forward(const Variable& x, const Condition& condition) {
  check_input("BigGAN discriminator", x, {x.size(0), config_.resolution, config_.resolution, config_.channels});
  check_labels("BigGAN discriminator", condition, x.size(0));
  LIMBECK_CHECK(condition.classes, "BigGAN discriminator: the condition has no class labels");
  Variable h = x;
  for (DiscriminatorBlock* block : blocks_) h = block->forward(h);
  h = sum(relu(h), {1, 2});
  return linear_->forward(h) + sum((*embed_)(condition.classes) * h, {1}, true);
}

}  // namespace limbeck::gan
