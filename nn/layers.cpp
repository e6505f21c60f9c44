#include "nn/layers.h"

#include "nn/batch_norm_tap.h"
#include "nn/init.h"
#include "nn/trace.h"
#include "tensor/device.h"

namespace limbeck::nn {

namespace {

void check_config(const char* layer, int64_t in, int64_t out, const Conv2dConfig& c) {
  LIMBECK_CHECK(in > 0 && out > 0, layer, ": channels must be positive, found in = ", in,
                ", out = ", out);
  LIMBECK_CHECK(c.kernel.height > 0 && c.kernel.width > 0 && c.stride > 0 && c.dilation > 0 &&
                    c.padding.height >= 0 && c.padding.width >= 0,
                layer, ": bad geometry: kernel ", c.kernel.height, "x", c.kernel.width, ", stride ",
                c.stride, ", dilation ", c.dilation, ", padding ", c.padding.height, "x",
                c.padding.width);
  LIMBECK_CHECK(c.groups > 0 && in % c.groups == 0 && out % c.groups == 0, layer, ": ", c.groups,
                " groups do not divide in = ", in, " and out = ", out);
}

}  // namespace

// --- Conv2d --------------------------------------------------------------------------------------

Conv2d::Conv2d(int64_t in, int64_t out, const Conv2dConfig& c) : config(c) {
  check_config("Conv2d", in, out, c);
  weight = add_parameter("weight", {out, c.kernel.height, c.kernel.width, in / c.groups},
                         DiskLayout::conv);
  if (c.bias) bias = add_parameter("bias", {out});
}

Variable Conv2d::forward(const Variable& x) {
  const Conv2dOptions options{.stride = {config.stride, config.stride},
                              .padding = {config.padding.height, config.padding.width},
                              .dilation = {config.dilation, config.dilation},
                              .groups = config.groups};
  Variable y = conv2d(x, reweighed ? reweighed(weight) : weight, bias, options);
  LayerTrace::note(*this, x, y, y.data().numel() * init::fan_in(weight));
  return y;
}

void Conv2d::reset(Stream stream) {
  init::torch_default(weight, bias, init::fan_in(weight), stream);
}

// --- ConvTranspose2d -----------------------------------------------------------------------------

ConvTranspose2d::ConvTranspose2d(int64_t in, int64_t out, const Conv2dConfig& c) : config(c) {
  check_config("ConvTranspose2d", in, out, c);
  weight = add_parameter("weight", {in, c.kernel.height, c.kernel.width, out / c.groups},
                         DiskLayout::conv);
  if (c.bias) bias = add_parameter("bias", {out});
}

Variable ConvTranspose2d::forward(const Variable& x) {
  const ConvTranspose2dOptions options{.stride = {config.stride, config.stride},
                                       .padding = {config.padding.height, config.padding.width},
                                       .dilation = {config.dilation, config.dilation},
                                       .groups = config.groups};
  Variable y = conv_transpose2d(x, weight, bias, options);
  LayerTrace::note(*this, x, y, x.data().numel() * init::fan_in(weight));
  return y;
}

// PyTorch computes fan_in from dimension 1 of [in, out/groups, kh, kw], so it is out/groups * kh *
// kw here.
void ConvTranspose2d::reset(Stream stream) {
  init::torch_default(weight, bias, init::fan_in(weight), stream);
}

// --- Linear --------------------------------------------------------------------------------------

Linear::Linear(int64_t in, int64_t out, bool with_bias) {
  LIMBECK_CHECK(in > 0 && out > 0, "Linear: sizes must be positive, found in = ", in,
                ", out = ", out);
  weight = add_parameter("weight", {out, in});
  if (with_bias) bias = add_parameter("bias", {out});
}

Variable Linear::forward(const Variable& x) {
  Variable y = linear(x, weight, bias);
  LayerTrace::note(*this, x, y, y.data().numel() * weight.size(1));
  return y;
}

void Linear::reset(Stream stream) { init::torch_default(weight, bias, weight.size(1), stream); }

// --- BatchNorm -----------------------------------------------------------------------------------

BatchNorm::BatchNorm(int64_t channels, double eps, double momentum)
    : eps_(eps), momentum_(momentum) {
  LIMBECK_CHECK(channels > 0, "BatchNorm: channels must be positive, found ", channels);
  weight = add_parameter("weight", {channels});
  bias = add_parameter("bias", {channels});
  mean_ = add_buffer("running_mean", Tensor::zeros({channels}));
  var_ = add_buffer("running_var", Tensor::full({channels}, 1));
  count_ = add_buffer("num_batches_tracked", Tensor::zeros({}, DType::i64));
}

namespace {

/// Counters stay on the CPU (Module::to).
void count_one(const Tensor& counter) {
  host_effect([counter] {
    ++counter.span<int64_t>()[0];
    counter.bump_version();
  });
}

}  // namespace

Variable BatchNorm::apply(const Variable& x, bool relu, const Variable& residual) {
  LIMBECK_CHECK(x.rank() >= 2 && x.size(-1) == weight.size(0), "BatchNorm: expected ",
                weight.size(0), " channels in the last dimension, found shape ", x.shape());
  BatchNormTap::note(x, buffer(mean_), buffer(var_));
  Variable y;
  if (training()) {
    const int64_t samples = x.data().numel() / x.size(-1);
    LIMBECK_CHECK(samples > 1,
                  "BatchNorm: training needs more than one value per channel, found shape ",
                  x.shape());
    y = batch_norm(x, weight, bias, eps_, relu, residual, {buffer(mean_), buffer(var_), momentum_})
            .y;
    if (momentum_ != 0) count_one(buffer(count_));
  } else {
    y = batch_norm_eval(x, weight, bias, buffer(mean_), buffer(var_), eps_, relu, residual);
  }
  LayerTrace::note(*this, x, y, 0);
  return y;
}

void BatchNorm::reset(Stream) {
  init::constant(weight, 1);
  init::constant(bias, 0);
  buffer(mean_).fill(0);
  buffer(var_).fill(1);
  buffer(count_).fill(0);
}

// --- the small ones ------------------------------------------------------------------------------

GroupNorm::GroupNorm(int64_t groups, int64_t channels, double eps) : groups_(groups), eps_(eps) {
  LIMBECK_CHECK(groups > 0 && channels % groups == 0, "GroupNorm: ", groups,
                " groups do not divide ", channels, " channels");
  weight = add_parameter("weight", {channels});
  bias = add_parameter("bias", {channels});
}

Variable GroupNorm::forward(const Variable& x) {
  Variable y = group_norm(x, weight, bias, groups_, eps_);
  LayerTrace::note(*this, x, y, 0);
  return y;
}

void GroupNorm::reset(Stream) {
  init::constant(weight, 1);
  init::constant(bias, 0);
}

Embedding::Embedding(int64_t count, int64_t dim) {
  LIMBECK_CHECK(count > 0 && dim > 0, "Embedding: sizes must be positive, found count = ", count,
                ", dim = ", dim);
  weight = add_parameter("weight", {count, dim});
}

void Embedding::reset(Stream stream) { init::normal(weight, 0, 1, stream.fork("weight")); }

Variable Dropout::forward(const Variable& x) {
  if (!training() || p_ == 0) return x;
  const Device device = x.data().device();
  if (device == cpu) return dropout(x, p_, stream_);
  // In a recorded step the place in the stream is read from a tensor that is rewritten before each
  // replay, one for each call of a step.
  if (places_.size() <= calls_ || places_[calls_].device() != device) {
    places_.resize(calls_);
    places_.push_back(Tensor::empty({2}, DType::i64, device));
  }
  const Tensor place = recording() ? places_[calls_] : Tensor::empty_like(places_[calls_]);
  ++calls_;
  host_effect([this, place, blocks = (x.data().numel() + 3) / 4] {
    place.copy_from(stream_.reserve(blocks));
  });
  return dropout(x, p_, place);
}

void Dropout::set_stream(Stream stream) {
  stream_ = stream;
  calls_ = 0;
}

Variable Sequential::forward(const Variable& x) {
  Variable y = x;
  for (Module* m : children_) y = m->forward(y);
  return y;
}

}  // namespace limbeck::nn
