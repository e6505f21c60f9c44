#include "gan/label_layers.h"

#include <cmath>
#include <initializer_list>

#include "autograd/functions.h"
#include "gan/resampling_conv.h"
#include "nn/init.h"
#include "tensor/device.h"

namespace limbeck::gan {
namespace {

constexpr double spectral_eps = 1e-12;

Tensor reordered(const Tensor& v, std::initializer_list<int64_t> sizes,
                 const std::vector<int64_t>& order) {
  return permute(Variable(v.reshape(sizes)), order).data().reshape({-1});
}

/// v belongs to the rows of a weight: kh, kw, in in memory, in, kh, kw in PyTorch's order. By the
/// operator, on v's device: a recorded step does it.
Tensor to_torch_order(const Tensor& v, const Shape& weight) {
  return weight.rank() == 4 ? reordered(v, {weight[1], weight[2], weight[3]}, {2, 0, 1}) : v;
}
Tensor to_memory_order(const Tensor& v, const Shape& weight) {
  return weight.rank() == 4 ? reordered(v, {weight[3], weight[1], weight[2]}, {1, 2, 0}) : v;
}

void fill_unit_vector(const Tensor& t, Stream stream) {
  const Tensor values = Tensor::empty(t.shape(), DType::f64);
  stream.fill_normal(values);
  double square = 0;
  for (double x : values.span<double>()) square += x * x;
  for (double& x : values.span<double>()) x /= std::sqrt(square);
  t.copy_from(values.to(t.dtype()));
}

}  // namespace

// --- layers --------------------------------------------------------------------------------------

WeightLayer::WeightLayer(const Shape& shape, nn::DiskLayout layout, bool has_bias,
                         const WeightRule& rule)
    : rule_(rule) {
  if (!rule.spectral) weight = add_parameter("weight", shape, layout);
  if (has_bias) bias = add_parameter("bias", {shape[0]});
  if (!rule.spectral) return;
  weight = add_parameter("weight_orig", shape, layout);
  u_ = add_buffer("weight_u", Tensor::zeros({shape[0]}));
  v_ = add_buffer("weight_v", Tensor::zeros({shape.numel(1, shape.rank())}));
}

Variable WeightLayer::used() {
  if (!rule_.spectral) return weight;
  Tensor &u = buffer(u_), &v = buffer(v_);
  if (!training()) return spectral_norm_fixed(weight, u, to_memory_order(v, weight.shape())).weight;
  const SpectralNormResult result = spectral_norm(weight, u, spectral_eps);
  // New tensors instead of in-place changes: the tape may hold the old ones.
  u = result.u;
  v = to_torch_order(result.v, weight.shape());
  return result.weight;
}

void WeightLayer::reset(Stream stream) {
  const int64_t fan_in = nn::init::fan_in(weight);
  nn::init::torch_default(weight, bias, fan_in, stream);
  if (rule_.gain > 0) nn::init::xavier_uniform(weight, rule_.gain, stream.fork("weight"));
  if (bias && rule_.zero_bias) nn::init::constant(bias, 0);
  if (!rule_.spectral) return;
  fill_unit_vector(buffer(u_), stream.fork("weight_u"));
  fill_unit_vector(buffer(v_), stream.fork("weight_v"));
}

LabelConv2d::LabelConv2d(int64_t in, int64_t out, int64_t kernel, const WeightRule& rule)
    : WeightLayer({out, kernel, kernel, in}, nn::DiskLayout::conv, true, rule) {}
Variable LabelConv2d::forward(const Variable& x) { return same_conv(x, used(), bias); }
Variable LabelConv2d::pooled(const Variable& x) { return pooled_conv(x, used(), bias); }
Variable LabelConv2d::upsampled(const Variable& x) { return upsampled_conv(x, used(), bias); }

LabelLinear::LabelLinear(int64_t in, int64_t out, bool has_bias, const WeightRule& rule)
    : WeightLayer({out, in}, nn::DiskLayout::plain, has_bias, rule) {}
Variable LabelLinear::forward(const Variable& x) { return linear(x, used(), bias); }

// --- conditional batch norm ----------------------------------------------------------------------

LabelBatchNorm::Statistics::Statistics(int64_t channels)
    : mean_(add_buffer("running_mean", Tensor::zeros({channels}))),
      var_(add_buffer("running_var", Tensor::full({channels}, 1))),
      count_(add_buffer("num_batches_tracked", Tensor::zeros({}, DType::i64))) {}

RunningStatistics LabelBatchNorm::Statistics::count_batch(double momentum) {
  host_effect([counter = buffer(count_)] { ++counter.span<int64_t>()[0]; });
  return {buffer(mean_), buffer(var_), momentum};
}

void LabelBatchNorm::Statistics::reset(Stream) {
  buffer(mean_).fill(0);
  buffer(var_).fill(1);
  buffer(count_).fill(0);
}

LabelBatchNorm::LabelBatchNorm(int64_t channels, int64_t label_dim, double eps, double momentum,
                               const WeightRule& rule)
    : eps_(eps),
      momentum_(momentum),
      bn_(channels),
      embed_gamma_(label_dim, channels, false, rule),
      embed_beta_(label_dim, channels, false, rule) {
  add("bn", bn_);
  add("embed_gamma", embed_gamma_);
  add("embed_beta", embed_beta_);
}

Variable LabelBatchNorm::relu(const Variable& x, const Variable& h) {
  const Variable gain = affine(embed_gamma_(h), 1, 1), shift = embed_beta_(h);
  if (!training()) return cond_batch_norm_eval(x, gain, shift, bn_.mean(), bn_.var(), eps_, true);
  return cond_batch_norm(x, gain, shift, eps_, true, bn_.count_batch(momentum_)).y;
}

// --- residuals and projection --------------------------------------------------------------------

Variable generator_residual(const Variable& x, const Variable& h, LabelBatchNorm& bn1,
                            LabelConv2d& conv1, LabelBatchNorm& bn2, LabelConv2d& conv2,
                            LabelConv2d& shortcut) {
  const Variable up = conv1.upsampled(bn1.relu(x, h));
  // The 1x1 shortcut runs before the upsampling: both orders give the same numbers, this one at a
  // quarter of the work.
  return conv2(bn2.relu(up, h)) + upsample_nearest(shortcut(x));
}

Variable discriminator_residual(const Variable& x, const Variable& side, LabelConv2d& conv1,
                                LabelConv2d& conv2, LabelConv2d& shortcut, bool downsample) {
  const Variable y = relu(conv1(x));
  if (!downsample) return conv2(y) + shortcut(side);
  return conv2.pooled(y) + shortcut(avg_pool2d(side));  // pooling and a 1x1 convolution commute
}

Variable label_projection(const Variable& f, const Variable& h, LabelLinear& linear,
                          LabelLinear& embed) {
  return linear(f) + sum(f * embed(h), {1}, true);
}

ResponseHead::ResponseHead(int64_t features, const WeightRule& rule)
    : first_(features, 128, true, rule), second_(128, 1, true, rule) {
  add("0", first_);
  add("2", second_);
}

Variable ResponseHead::forward(const Variable& f) { return second_(relu(first_(f))); }

Judged judged_map(const Variable& x, const Variable& h, LabelLinear& linear, LabelLinear& embed,
                  ResponseHead* head) {
  const Variable f = flatten_chw(x);
  return {label_projection(f, h, linear, embed), head ? (*head)(f) : Variable()};
}

NetworkConfig checked_label_config(const char* what, NetworkConfig c) {
  check_sizes(what, c);
  LIMBECK_CHECK(c.resolution == 64 || c.resolution == 32, what,
                ": makes images of 32 or 64 pixels (data.image_size), found ", c.resolution);
  LIMBECK_CHECK(c.shared_dim == 0 && !c.hierarchical && c.attention.empty(), what,
                ": takes no shared_dim, hierarchical z or choice of attention");
  return c;
}

int64_t bottom_width(const NetworkConfig& c) { return c.ch * c.resolution / bottom_size; }

const Variable& label_of(const char* what, const Condition& condition, int64_t batch,
                         const NetworkConfig& config) {
  LIMBECK_CHECK(condition.embedding, what, ": the condition has no embedded label");
  check_input(what, condition.embedding, {batch, config.label_dim});
  return condition.embedding;
}

}  // namespace limbeck::gan
