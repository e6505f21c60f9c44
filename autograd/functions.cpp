// The differentiable functions over the operator table: argument packing, and the composites.
// Formulas live with the operators in ops/.
#include "autograd/functions.h"

#include "autograd/autocast.h"

namespace limbeck {

namespace {

Variable constant(const Tensor& t) { return t.defined() ? Variable(t) : Variable(); }
Attrs::Value list(const std::pair<int64_t, int64_t>& p) {
  return std::vector<int64_t>{p.first, p.second};
}
Attrs::Value activation(bool relu) { return std::string(relu ? "relu" : "none"); }

Variable reduce(const Variable& loss, Reduction r) {
  switch (r) {
    case Reduction::none: return loss;
    case Reduction::mean: return mean(loss);
    case Reduction::sum: return sum(loss);
  }
  fail("loss: unknown reduction");
}

void check_same_shape(const char* what, const Variable& x, const Variable& target) {
  LIMBECK_CHECK(x.shape() == target.shape(), what, ": expected a target of the input's shape ",
                x.shape(), ", found ", target.shape());
}

Attrs pool_attrs(const PoolOptions& o) {
  return Attrs{{"kernel", list(o.kernel)},
               {"stride", list(o.stride)},
               {"padding", list(o.padding)},
               {"ceil_mode", o.ceil_mode}};
}

}  // namespace

// --- element-wise --------------------------------------------------------------------------------
Variable add(const Variable& a, const Variable& b) { return apply1("add", {a, b}); }
Variable sub(const Variable& a, const Variable& b) { return apply1("sub", {a, b}); }
Variable mul(const Variable& a, const Variable& b) { return apply1("mul", {a, b}); }
Variable div(const Variable& a, const Variable& b) { return apply1("div", {a, b}); }
Variable maximum(const Variable& a, const Variable& b) { return apply1("maximum", {a, b}); }
Variable minimum(const Variable& a, const Variable& b) { return apply1("minimum", {a, b}); }
Variable affine(const Variable& x, double scale, double shift) {
  return apply1("affine", {x}, Attrs{{"scale", scale}, {"shift", shift}});
}

Variable relu(const Variable& x) { return apply1("relu", {x}); }
Variable leaky_relu(const Variable& x, double slope) {
  return apply1("leaky_relu", {x}, Attrs{{"slope", slope}});
}
Variable sigmoid(const Variable& x) { return apply1("sigmoid", {x}); }
Variable tanh(const Variable& x) { return apply1("tanh", {x}); }
Variable silu(const Variable& x) { return apply1("silu", {x}); }
Variable softplus(const Variable& x) { return apply1("softplus", {x}); }
Variable exp(const Variable& x) { return apply1("exp", {x}); }
Variable log(const Variable& x) { return apply1("log", {x}); }
Variable sqrt(const Variable& x) { return apply1("sqrt", {x}); }
Variable square(const Variable& x) { return apply1("square", {x}); }
Variable abs(const Variable& x) { return apply1("abs", {x}); }
Variable pow(const Variable& x, double exponent) {
  return apply1("pow_scalar", {x}, Attrs{{"exponent", exponent}});
}
Variable clamp(const Variable& x, double low, double high) {
  return apply1("clamp", {x}, Attrs{{"low", low}, {"high", high}});
}
Variable where(const Tensor& condition, const Variable& a, const Variable& b) {
  return apply1("where", {constant(condition), a, b});
}

Tensor equal(const Tensor& a, const Tensor& b) {
  return run_forward(find_op("equal"), {a, b}, {})[0];
}
Tensor not_equal(const Tensor& a, const Tensor& b) {
  return run_forward(find_op("not_equal"), {a, b}, {})[0];
}
Tensor less(const Tensor& a, const Tensor& b) {
  return run_forward(find_op("less"), {a, b}, {})[0];
}
Tensor less_equal(const Tensor& a, const Tensor& b) {
  return run_forward(find_op("less_equal"), {a, b}, {})[0];
}
Tensor greater(const Tensor& a, const Tensor& b) {
  return run_forward(find_op("greater"), {a, b}, {})[0];
}
Tensor greater_equal(const Tensor& a, const Tensor& b) {
  return run_forward(find_op("greater_equal"), {a, b}, {})[0];
}

// --- reductions ----------------------------------------------------------------------------------
Variable min(const Variable& x, const std::vector<int64_t>& axes, bool keepdim) {
  return apply1("min", {x}, Attrs{{"axes", axes}, {"keepdim", keepdim}});
}
Variable logsumexp(const Variable& x, const std::vector<int64_t>& axes, bool keepdim) {
  return apply1("logsumexp", {x}, Attrs{{"axes", axes}, {"keepdim", keepdim}});
}
Tensor argmax(const Tensor& x, int64_t axis, bool keepdim) {
  return run_forward(find_op("argmax"), {x}, {{"axis", axis}, {"keepdim", keepdim}})[0];
}
std::pair<Variable, Tensor> topk(const Variable& x, int64_t k) {
  const Variables result = apply(find_op("topk"), {x}, Attrs{{"k", k}});
  return {result[0], result[1].data()};
}
Tensor one_hot(const Tensor& index, int64_t classes) {
  return run_forward(find_op("one_hot"), {index}, {{"classes", classes}})[0];
}
Variable sum(const Variable& x, const std::vector<int64_t>& axes, bool keepdim) {
  return apply1("sum", {x}, Attrs{{"axes", axes}, {"keepdim", keepdim}});
}
Variable mean(const Variable& x, const std::vector<int64_t>& axes, bool keepdim) {
  return apply1("mean", {x}, Attrs{{"axes", axes}, {"keepdim", keepdim}});
}
Variable max(const Variable& x, const std::vector<int64_t>& axes, bool keepdim) {
  return apply1("max", {x}, Attrs{{"axes", axes}, {"keepdim", keepdim}});
}
Variable var(const Variable& x, const std::vector<int64_t>& axes, bool unbiased, bool keepdim) {
  return apply1("var", {x}, Attrs{{"axes", axes}, {"keepdim", keepdim}, {"unbiased", unbiased}});
}

// --- matrices ------------------------------------------------------------------------------------
Variable matmul(const Variable& a, const Variable& b, bool transpose_a, bool transpose_b) {
  return apply1("matmul", {a, b},
                Attrs{{"transpose_a", transpose_a}, {"transpose_b", transpose_b}});
}
// From f32: a head is little work, and logits in bf16 would have eight bits.
Variable linear(const Variable& x, const Variable& w, const Variable& b) {
  return apply1("linear", {from_activation(x), w, b});
}

// --- convolution and pooling ---------------------------------------------------------------------
Variable conv2d(const Variable& x, const Variable& w, const Variable& b, const Conv2dOptions& o) {
  return apply1("conv2d", {as_activation(x), w, b},
                Attrs{{"stride", list(o.stride)},
                      {"padding", list(o.padding)},
                      {"dilation", list(o.dilation)},
                      {"groups", o.groups}});
}
Variable conv_transpose2d(const Variable& x, const Variable& w, const Variable& b,
                          const ConvTranspose2dOptions& o) {
  return apply1("conv_transpose2d", {as_activation(x), w, b},
                Attrs{{"stride", list(o.stride)},
                      {"padding", list(o.padding)},
                      {"output_padding", list(o.output_padding)},
                      {"dilation", list(o.dilation)},
                      {"groups", o.groups}});
}
Variable max_pool2d(const Variable& x, const PoolOptions& o) {
  return apply1("max_pool2d", {x}, pool_attrs(o));
}
Variable avg_pool2d(const Variable& x, const PoolOptions& o) {
  return apply1("avg_pool2d", {x}, pool_attrs(o).set("count_include_pad", o.count_include_pad));
}
Variable adaptive_avg_pool2d(const Variable& x, int64_t height, int64_t width) {
  return apply1("adaptive_avg_pool2d", {x}, Attrs{{"output", list({height, width})}});
}
Variable global_avg_pool(const Variable& x) {
  LIMBECK_CHECK(x.rank() == 4, "global_avg_pool: expected an image batch [N, H, W, C], found ",
                x.shape());
  return mean(x, {1, 2});
}
Variable upsample_nearest(const Variable& x, int64_t scale) {
  return apply1("upsample_nearest", {x}, Attrs{{"scale", scale}});
}

// --- normalisation -------------------------------------------------------------------------------
BatchNormResult batch_norm(const Variable& x, const Variable& gamma, const Variable& beta,
                           double eps, bool relu, const Variable& residual,
                           const RunningStatistics& running) {
  const Variables out =
      apply(find_op("batch_norm"),
            {x, gamma, beta, residual, constant(running.mean), constant(running.var)},
            Attrs{{"eps", eps}, {"act", activation(relu)}, {"momentum", running.momentum}});
  return {out[0], out[1].data(), out[2].data()};
}
Variable batch_norm_eval(const Variable& x, const Variable& gamma, const Variable& beta,
                         const Tensor& mean, const Tensor& var, double eps, bool relu,
                         const Variable& residual) {
  return apply1("batch_norm_eval", {x, gamma, beta, constant(mean), constant(var), residual},
                Attrs{{"eps", eps}, {"act", activation(relu)}});
}
BatchNormResult cond_batch_norm(const Variable& x, const Variable& gain, const Variable& bias,
                                double eps, bool relu, const RunningStatistics& running) {
  const Variables out = apply(
      find_op("cond_batch_norm"), {x, gain, bias, constant(running.mean), constant(running.var)},
      Attrs{{"eps", eps}, {"act", activation(relu)}, {"momentum", running.momentum}});
  return {out[0], out[1].data(), out[2].data()};
}
Variable cond_batch_norm_eval(const Variable& x, const Variable& gain, const Variable& bias,
                              const Tensor& mean, const Tensor& var, double eps, bool relu) {
  return apply1("cond_batch_norm_eval", {x, gain, bias, constant(mean), constant(var)},
                Attrs{{"eps", eps}, {"act", activation(relu)}});
}
Variable group_norm(const Variable& x, const Variable& gamma, const Variable& beta, int64_t groups,
                    double eps) {
  return apply1("group_norm", {x, gamma, beta}, Attrs{{"groups", groups}, {"eps", eps}});
}
Variable l2_normalize(const Variable& x, double eps) {
  return apply1("l2_normalize", {x}, Attrs{{"eps", eps}});
}

SpectralNormResult spectral_norm(const Variable& w, const Tensor& u, double eps,
                                 int64_t iterations) {
  const Variables out = apply(find_op("spectral_norm"), {w, constant(u)},
                              Attrs{{"eps", eps}, {"training_iterations", iterations}});
  return {out[0], out[1].data(), out[2].data(), out[3].data()};
}
SpectralNormResult spectral_norm_fixed(const Variable& w, const Tensor& u, const Tensor& v) {
  const Variables out = apply(find_op("spectral_norm_fixed"), {w, constant(u), constant(v)});
  return {out[0], u, v, out[1].data()};
}

// --- shape and selection -------------------------------------------------------------------------
namespace {
Variable reshaped(const Variable& x, Tensor result) {
  return record("reshape", {x}, std::move(result),
                [old = x.shape()](const Tensor& dout) { return Tensors{dout.reshape(old)}; });
}
}  // namespace
Variable reshape(const Variable& x, const Shape& shape) {
  return reshaped(x, x.data().reshape(shape));
}
Variable reshape(const Variable& x, std::initializer_list<int64_t> sizes) {
  return reshaped(x, x.data().reshape(sizes));
}
Variable flatten(const Variable& x) {
  LIMBECK_CHECK(x.rank() >= 1, "flatten: expected at least one dimension, found a scalar");
  return reshape(x, {x.size(0), x.shape().numel(1, x.rank())});
}
Variable flatten_chw(const Variable& x) {
  LIMBECK_CHECK(x.rank() == 4, "flatten_chw: expected an image batch [N, H, W, C], found ",
                x.shape());
  const bool one_pixel = x.size(1) == 1 && x.size(2) == 1;  // the orders agree: no copy
  return flatten(one_pixel ? x : permute(x, {0, 3, 1, 2}));
}
Variable unflatten_chw(const Variable& x, int64_t channels, int64_t height, int64_t width) {
  LIMBECK_CHECK(x.rank() == 2 && x.size(1) == channels * height * width,
                "unflatten_chw: expected [N, ", channels, " * ", height, " * ", width, "], found ",
                x.shape());
  if (height == 1 && width == 1) return reshape(x, {x.size(0), 1, 1, channels});
  return permute(reshape(x, {x.size(0), channels, height, width}), {0, 2, 3, 1});
}
Variable permute(const Variable& x, const std::vector<int64_t>& order) {
  return apply1("permute", {x}, Attrs{{"order", order}});
}
Variable concat(const Variables& xs, int64_t axis) {
  return apply1("concat", xs, Attrs{{"axis", axis}});
}
Variable slice(const Variable& x, int64_t axis, int64_t begin, int64_t end) {
  return apply1("slice", {x}, Attrs{{"axis", axis}, {"begin", begin}, {"end", end}});
}
Variables split(const Variable& x, const std::vector<int64_t>& sizes, int64_t axis) {
  int64_t total = 0;
  for (int64_t s : sizes) total += s;
  LIMBECK_CHECK(total == x.size(static_cast<int>(axis)), "split: the parts add up to ", total,
                ", but axis ", axis, " of ", x.shape(), " has ", x.size(static_cast<int>(axis)));
  Variables parts;
  int64_t begin = 0;
  for (int64_t s : sizes) {
    parts.push_back(slice(x, axis, begin, begin + s));
    begin += s;
  }
  return parts;
}
Variable resize_bilinear(const Variable& x, std::array<int64_t, 2> output, bool align_corners) {
  return apply1("resize_bilinear", {x},
                Attrs{{"output", std::vector<int64_t>(output.begin(), output.end())},
                      {"align_corners", align_corners}});
}
Variable reflect_pad2d(const Variable& x, std::array<int64_t, 4> padding) {
  return apply1("reflect_pad2d", {x},
                Attrs{{"padding", std::vector<int64_t>(padding.begin(), padding.end())}});
}
Variable pad2d(const Variable& x, std::array<int64_t, 4> padding, double value) {
  return apply1(
      "pad2d", {x},
      Attrs{{"padding", std::vector<int64_t>(padding.begin(), padding.end())}, {"value", value}});
}
Variable index_select(const Variable& x, const Tensor& index) {
  return apply1("index_select", {x, constant(index)});
}
Variable embedding(const Variable& weight, const Tensor& index) {
  return apply1("embedding", {weight, constant(index)});
}
Variable gather(const Variable& x, const Tensor& index, int64_t axis) {
  return apply1("gather", {x, constant(index)}, Attrs{{"axis", axis}});
}
Variable scatter_add(const Variable& x, const Tensor& index, const Variable& src, int64_t axis) {
  return apply1("scatter_add", {x, constant(index), src}, Attrs{{"axis", axis}});
}
void scatter_rows(const Tensor& memory, const Tensor& index, const Tensor& values) {
  run_forward(find_op("scatter_rows"), {memory, index, values}, {});
}
Variable channel_shuffle(const Variable& x, int64_t groups) {
  if (groups == 1) return x;
  return apply1("channel_shuffle", {x}, Attrs{{"groups", groups}});
}
Variable dropout(const Variable& x, double p, Stream& stream) {
  LIMBECK_CHECK(p >= 0 && p < 1, "dropout: expected a probability in [0, 1), found ", p);
  if (p == 0) return x;
  return dropout(x, p, stream.reserve((x.data().numel() + 3) / 4).to(x.data().device()));
}
Variable dropout(const Variable& x, double p, const Tensor& place) {
  return apply1("dropout", {x, place}, Attrs{{"p", p}});
}

// --- attention -----------------------------------------------------------------------------------
Variable attention(const Variable& q, const Variable& k, const Variable& v, double scale) {
  return apply1("attention", {q, k, v}, Attrs{{"scale", scale}});
}

// --- probabilities and losses --------------------------------------------------------------------
Variable softmax(const Variable& x) { return apply1("softmax", {x}); }
Variable log_softmax(const Variable& x) { return apply1("log_softmax", {x}); }
Variable cross_entropy(const Variable& logits, const Tensor& labels, Reduction r,
                       const LabelOptions& o) {
  Attrs attrs;
  if (o.label_smoothing != 0) attrs.set("label_smoothing", o.label_smoothing);
  if (o.ignore_index) attrs.set("ignore_index", *o.ignore_index);
  const Variable weight = o.weight.defined() ? constant(o.weight) : Variable();
  const Variables result =
      apply(find_op("cross_entropy"), {logits, constant(labels), weight}, attrs);
  const bool weighted = o.weight.defined() || o.ignore_index;
  if (r == Reduction::mean && weighted) return sum(result[0]) / sum(constant(result[2].data()));
  return reduce(result[0], r);
}
Variable soft_cross_entropy(const Variable& logits, const Variable& target, Reduction r) {
  return reduce(apply1("soft_cross_entropy", {logits, target}), r);
}
Variable kl_div(const Variable& log_q, const Variable& p, Reduction r) {
  return reduce(apply1("kl_div", {log_q, p}), r);
}
Variable distillation_loss(const Variable& student_logits, const Tensor& teacher_logits,
                           double temperature) {
  LIMBECK_CHECK(temperature > 0, "distillation_loss: expected a positive temperature, found ",
                temperature);
  Variable p;
  {
    NoGrad off;
    p = softmax(affine(teacher_logits, 1 / temperature, 0));
  }
  return kl_div(log_softmax(affine(student_logits, 1 / temperature, 0)), p) *
         (temperature * temperature);
}
Variable mse_loss(const Variable& x, const Variable& target, Reduction r) {
  check_same_shape("mse_loss", x, target);  // broadcasting here hides mistakes
  return reduce(square(x - target), r);
}
Variable l1_loss(const Variable& x, const Variable& target, Reduction r) {
  check_same_shape("l1_loss", x, target);
  return reduce(abs(x - target), r);
}
Variable smooth_l1_loss(const Variable& x, const Variable& target, Reduction r, double beta) {
  return reduce(apply1("smooth_l1", {x, target}, Attrs{{"beta", beta}}), r);
}

}  // namespace limbeck
