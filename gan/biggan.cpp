#include "gan/biggan.h"

#include <algorithm>

#include "autograd/autocast.h"

namespace limbeck::gan {
namespace {

/// Widths in units of ch (BigGAN.py, G_arch and D_arch). D downsamples in all blocks but the last
/// ones.
struct BigGanWidths {
  std::vector<int64_t> generator_in, generator_out, discriminator_out;
  size_t downsampling;
  std::vector<int64_t>
      // as the original's table has it, 16 throughout at 32 pixels; it only places attention
      discriminator_resolution;
};

BigGanWidths biggan_widths(int64_t resolution) {
  switch (resolution) {
    case 32: return {{4, 4, 4}, {4, 4, 4}, {4, 4, 4, 4}, 2, {16, 16, 16, 16}};
    case 64: return {{16, 16, 8, 4}, {16, 8, 4, 2}, {1, 2, 4, 8, 16}, 4, {32, 16, 8, 4, 4}};
    case 128:
      return {{16, 16, 8, 4, 2}, {16, 8, 4, 2, 1}, {1, 2, 4, 8, 16, 16}, 5, {64, 32, 16, 8, 4, 4}};
    default:
      fail("BigGAN: makes images of 32, 64 or 128 pixels (data.image_size), found ", resolution);
  }
}

int64_t chunks(const BigGanConfig& c) {
  return c.hierarchical ? static_cast<int64_t>(biggan_widths(c.resolution).generator_in.size()) + 1
                        : 1;
}

BigGanConfig checked_biggan(BigGanConfig c) {
  check_sizes("BigGAN", c);
  c.arch = "biggan";
  LIMBECK_CHECK(!c.hierarchical || c.shared_dim > 0,
                "BigGAN: hierarchical z needs a shared embedding (shared_dim), found ",
                c.shared_dim);
  LIMBECK_CHECK(c.dim_z >= chunks(c), "BigGAN: hierarchical z at resolution ", c.resolution,
                " needs dim_z of at least ", chunks(c), ", found ", c.dim_z);
  c.dim_z = c.dim_z / chunks(c) * chunks(c);
  return c;
}

}  // namespace

// --- parts ---------------------------------------------------------------------------------------

GeneratorBlock::GeneratorBlock(int64_t in, int64_t out, const ConditionSource& source,
                               const BigGanConfig& c)
    : conv1_(in, out, 3, c.sn_eps),
      conv2_(out, out, 3, c.sn_eps),
      conv_sc_(in, out, 1, c.sn_eps),
      bn1_(in, source, c.bn_eps),
      bn2_(out, source, c.bn_eps) {
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

DiscriminatorBlock::DiscriminatorBlock(int64_t in, int64_t out, bool preactivation, bool downsample,
                                       double sn_eps)
    : preactivation_(preactivation),
      downsample_(downsample),
      conv1_(in, out, 3, sn_eps),
      conv2_(out, out, 3, sn_eps) {
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

Variable SharedEmbedding::operator()(const Condition& condition) {
  if (!condition.embedding) return map(condition);
  LIMBECK_CHECK(condition.embedding.rank() == 2 && condition.embedding.size(1) == weight.size(1),
                "shared embedding: expected [N, ", weight.size(1), "], found ",
                condition.embedding.shape());
  return condition.embedding;
}

OutputLayer::OutputLayer(int64_t in, const BigGanConfig& c)
    : bn_(in, c.bn_eps), conv_(in, c.channels, 3, c.sn_eps) {
  add("0", bn_);
  add("2", conv_);  // "1" is the ReLU
}

Variable OutputLayer::forward(const Variable& x) {
  return tanh(from_activation(conv_(bn_.relu(x))));
}

ProjectionHead::ProjectionHead(int64_t in, const BigGanConfig& c)
    : linear(in, 1, c.sn_eps), embed(c.classes, in, c.sn_eps) {}

Variable ProjectionHead::operator()(const Variable& x, const Tensor& classes) {
  LIMBECK_CHECK(classes, "projection discriminator: the condition has no class labels");
  const Variable h = sum(relu(x), {1, 2});
  return linear.forward(h) + sum(embed(classes) * h, {1}, true);
}

// --- generator -----------------------------------------------------------------------------------

BigGanGenerator::BigGanGenerator(const BigGanConfig& config)
    : Generator(checked_biggan(config)),
      chunk_(config_.dim_z / chunks(config_)),
      width_(biggan_widths(config_.resolution).generator_in[0] * config_.ch),
      linear_(chunk_, width_ * bottom_size * bottom_size, config_.sn_eps) {
  const BigGanWidths widths = biggan_widths(config_.resolution);
  if (config_.shared_dim > 0)
    shared_ =
        &own("shared", std::make_unique<SharedEmbedding>(config_.classes, config_.shared_dim));
  add("linear", linear_);
  ConditionSource source = {
      .embedding = config_.shared_dim, .classes = config_.classes, .sn_eps = config_.sn_eps};
  if (config_.hierarchical) source.embedding += chunk_;
  Stages& stages = own("blocks", std::make_unique<Stages>());
  int64_t resolution = bottom_size;
  for (size_t i = 0; i < widths.generator_in.size(); ++i) {
    const int64_t in = widths.generator_in[i] * config_.ch,
                  out = widths.generator_out[i] * config_.ch;
    stages.begin();
    Block b{&stages.append(std::make_unique<GeneratorBlock>(in, out, source, config_)), nullptr};
    if (config_.attends(resolution *= 2))
      b.attention = &stages.append(std::make_unique<SelfAttention>(out, config_.sn_eps));
    blocks_.push_back(b);
  }
  output_ = &own("output_layer",
                 std::make_unique<OutputLayer>(widths.generator_out.back() * config_.ch, config_));
}

Variable BigGanGenerator::forward(const Variable& z, const Condition& condition) {
  check_input("BigGAN generator", z, {z.size(0), config_.dim_z});
  check_labels("BigGAN generator", condition, z.size(0));
  // Hierarchical z: chunk 0 starts the image, chunk i + 1 joins the class embedding of block i.
  const auto chunk = [&](size_t i) {
    return slice(z, 1, static_cast<int64_t>(i) * chunk_, static_cast<int64_t>(i + 1) * chunk_);
  };
  const Variable y = shared_ ? (*shared_)(condition) : Variable();
  Variable h = as_activation(unflatten_chw(linear_(config_.hierarchical ? chunk(0) : z), width_,
                                           bottom_size, bottom_size));
  for (size_t i = 0; i < blocks_.size(); ++i) {
    Condition here = condition;
    if (shared_) here = {{}, config_.hierarchical ? concat({y, chunk(i + 1)}, 1) : y};
    h = (*blocks_[i].block)(h, here);
    if (blocks_[i].attention) h = blocks_[i].attention->forward(h);
  }
  return output_->forward(h);
}

// --- discriminator -------------------------------------------------------------------------------

BigGanDiscriminator::BigGanDiscriminator(const BigGanConfig& config)
    : Discriminator(checked_biggan(config)) {
  const BigGanWidths widths = biggan_widths(config_.resolution);
  Stages& stages = own("blocks", std::make_unique<Stages>());
  int64_t in = config_.channels;
  for (size_t i = 0; i < widths.discriminator_out.size(); ++i) {
    const int64_t out = widths.discriminator_out[i] * config_.ch;
    stages.begin();
    blocks_.push_back(&stages.append(std::make_unique<DiscriminatorBlock>(
        in, out, i > 0, i < widths.downsampling, config_.sn_eps)));
    if (config_.attends(widths.discriminator_resolution[i]))
      blocks_.push_back(&stages.append(std::make_unique<SelfAttention>(out, config_.sn_eps)));
    in = out;
  }
  head_ = std::make_unique<ProjectionHead>(in, config_);
  add("linear", head_->linear);
  add("embed", head_->embed);
}

Variable BigGanDiscriminator::forward(const Variable& x, const Condition& condition) {
  check_input("BigGAN discriminator", x,
              {x.size(0), config_.resolution, config_.resolution, config_.channels});
  check_labels("BigGAN discriminator", condition, x.size(0));
  Variable h = x;
  for (nn::Module* block : blocks_) h = block->forward(h);
  return (*head_)(h, condition.classes);
}

namespace {

const RegisterGan biggan(
    {"biggan", ConditionKind::classes,
     [](const NetworkConfig& c) { return std::make_unique<BigGanGenerator>(c); },
     [](const NetworkConfig& c) { return std::make_unique<BigGanDiscriminator>(c); }});

}  // namespace
}  // namespace limbeck::gan
