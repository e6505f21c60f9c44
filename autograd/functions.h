// The differentiable functions: thin, typed calls of the operator table (see the named operator in
// ops/ for its formula) and the few composites worth a name. Images are [N, H, W, C]; convolution
// weights [out, kh, kw, in/groups].
#pragma once
#include <optional>
#include <vector>

#include "autograd/variable.h"
#include "tensor/random.h"

namespace limbeck {

// --- element-wise, with NumPy broadcasting (ops: add sub mul div maximum minimum pow_scalar; unary
Variable add(const Variable& a, const Variable& b);
Variable sub(const Variable& a, const Variable& b);
Variable mul(const Variable& a, const Variable& b);
Variable div(const Variable& a, const Variable& b);
Variable maximum(const Variable& a, const Variable& b);
Variable minimum(const Variable& a, const Variable& b);
Variable affine(const Variable& x, double scale,
                double shift);  ///< op affine{scale, shift}: scale * x + shift
/// floor(a / b), no gradient, and a - b floor(a / b); of integers b is not 0. They take i32 and
/// i64, as add, sub, mul, maximum and minimum do, which wrap.
inline Variable floor_divide(const Variable& a, const Variable& b) {
  return apply1("floor_divide", {a, b});
}
inline Variable remainder(const Variable& a, const Variable& b) {
  return apply1("remainder", {a, b});
}
inline Variable operator+(const Variable& a, const Variable& b) { return add(a, b); }
inline Variable operator-(const Variable& a, const Variable& b) { return sub(a, b); }
inline Variable operator*(const Variable& a, const Variable& b) { return mul(a, b); }
inline Variable operator/(const Variable& a, const Variable& b) { return div(a, b); }
inline Variable operator*(const Variable& a, double s) { return affine(a, s, 0); }
inline Variable operator*(double s, const Variable& a) { return affine(a, s, 0); }
inline Variable operator+(const Variable& a, double s) { return affine(a, 1, s); }
inline Variable operator-(const Variable& a, double s) { return affine(a, 1, -s); }
inline Variable operator-(const Variable& a) { return affine(a, -1, 0); }

/// Functions of each element of x [any shape].
Variable relu(const Variable& x);
Variable leaky_relu(const Variable& x, double slope = 0.01);  ///< op leaky_relu{slope}
Variable sigmoid(const Variable& x);
Variable tanh(const Variable& x);
Variable silu(const Variable& x);
Variable softplus(const Variable& x);  ///< log(1 + e^x), overflow-safe
inline Variable gelu_tanh(const Variable& x) { return apply1("gelu_tanh", {x}); }
inline Variable gelu(const Variable& x) { return apply1("gelu", {x}); }
Variable exp(const Variable& x);
Variable log(const Variable& x);
Variable sqrt(const Variable& x);
Variable square(const Variable& x);
Variable abs(const Variable& x);
Variable pow(const Variable& x, double exponent);            ///< op pow_scalar{exponent}
Variable clamp(const Variable& x, double low, double high);  ///< op clamp{low, high}
/// condition (bool or u8, broadcast) ? a : b. op where(condition, a, b)
Variable where(const Tensor& condition, const Variable& a, const Variable& b);
/// Comparisons give bool tensors, no gradient. ops equal not_equal less less_equal greater
/// greater_equal
Tensor equal(const Tensor& a, const Tensor& b);
Tensor not_equal(const Tensor& a, const Tensor& b);
Tensor less(const Tensor& a, const Tensor& b);
Tensor less_equal(const Tensor& a, const Tensor& b);
Tensor greater(const Tensor& a, const Tensor& b);
Tensor greater_equal(const Tensor& a, const Tensor& b);

// --- reductions over any axes (empty: all); ops of these names {axes, keepdim}; var {unbiased} too
/// x of any shape; reduced axes are left out of the result, or 1 with keepdim.
Variable sum(const Variable& x, const std::vector<int64_t>& axes = {}, bool keepdim = false);
Variable mean(const Variable& x, const std::vector<int64_t>& axes = {}, bool keepdim = false);
Variable max(const Variable& x, const std::vector<int64_t>& axes = {},
             bool keepdim = false);  ///< ties share the gradient equally
Variable min(const Variable& x, const std::vector<int64_t>& axes = {}, bool keepdim = false);
Variable logsumexp(const Variable& x, const std::vector<int64_t>& axes = {}, bool keepdim = false);
/// op argmax{axis, keepdim} -> i64: the first maximum, no gradient
/// x of any shape -> without the axis, or with 1 there (keepdim).
Tensor argmax(const Tensor& x, int64_t axis = -1, bool keepdim = false);
/// op topk{k}: values and indices i64 of the k largest along the last axis, largest first
/// x [.., n] -> two tensors [.., k].
std::pair<Variable, Tensor> topk(const Variable& x, int64_t k);
/// op one_hot{classes}(index i64 [..]) -> f32 [.., classes]
Tensor one_hot(const Tensor& index, int64_t classes);
Variable var(const Variable& x, const std::vector<int64_t>& axes = {}, bool unbiased = true,
             bool keepdim = false);

// --- matrices ------------------------------------------------------------------------------------
/// op matmul{transpose_a, transpose_b}: [.., m, k] x [.., k, n], as torch.matmul: leading
/// dimensions broadcast; one dimension is a row of a or a column of b, and is dropped from the
/// result.
Variable matmul(const Variable& a, const Variable& b, bool transpose_a = false,
                bool transpose_b = false);
/// op linear(x [.., in], w [out, in], b [out] or none): x w^T + b
Variable linear(const Variable& x, const Variable& w, const Variable& b = {});

// --- convolution and pooling ---------------------------------------------------------------------
struct Conv2dOptions {
  std::pair<int64_t, int64_t> stride{1, 1}, padding{0, 0}, dilation{1, 1};
  int64_t groups = 1;
};
/// op conv2d(x, w, b or none){stride, padding, dilation, groups}; lists are [h, w]
Variable conv2d(const Variable& x, const Variable& w, const Variable& b = {},
                const Conv2dOptions& o = {});
struct ConvTranspose2dOptions {
  std::pair<int64_t, int64_t> stride{1, 1}, padding{0, 0}, output_padding{0, 0}, dilation{1, 1};
  int64_t groups = 1;
};
/// op conv_transpose2d(x, w [in, kh, kw, out/groups], b or none){stride, padding, output_padding,
/// dilation, groups}
Variable conv_transpose2d(const Variable& x, const Variable& w, const Variable& b = {},
                          const ConvTranspose2dOptions& o = {});
struct PoolOptions {
  std::pair<int64_t, int64_t> kernel{2, 2}, stride{2, 2}, padding{0, 0};
  bool ceil_mode = false;
  bool count_include_pad = true;  ///< average pooling, PyTorch's default
};
/// x [N,H,W,C] -> [N,OH,OW,C], OH = (H + 2 padding - kernel) / stride + 1 (rounded up with
/// ceil_mode).
Variable max_pool2d(
    const Variable& x,
    const PoolOptions& o = {});  ///< op max_pool2d{kernel, stride, padding, ceil_mode}
/// The same of averages, shapes as above.
Variable avg_pool2d(const Variable& x,
                    const PoolOptions& o = {});  ///< op avg_pool2d{... , count_include_pad}
/// op adaptive_avg_pool2d{output: [h, w]}
Variable adaptive_avg_pool2d(const Variable& x, int64_t height, int64_t width);
/// Throws for anything but an image batch.
Variable global_avg_pool(const Variable& x);  ///< [N,H,W,C] -> [N,C] (mean over axes 1, 2)
Variable upsample_nearest(const Variable& x, int64_t scale = 2);  ///< op upsample_nearest{scale}

// --- normalisation -------------------------------------------------------------------------------
/// op batch_norm(x [.., C], gamma [C] or none, beta [C] or none, residual (as x) or none,
/// running_mean, running_var [C] or none)
///   {eps, act: "none"|"relu", momentum}
///   -> y, mean [C], var [C] (biased; both not differentiable), invstd [C].
/// y = act(gamma * (x - mean) * invstd + beta + residual); statistics over all axes but the last.
struct BatchNormResult {
  Variable y;
  Tensor mean, var;
};
/// Running statistics that a call moves, in place, by `momentum` towards those of the batch
/// (variance unbiased); none by default.
struct RunningStatistics {
  Tensor mean, var;  ///< [C]
  double momentum = 0.1;
};
BatchNormResult batch_norm(const Variable& x, const Variable& gamma, const Variable& beta,
                           double eps = 1e-5, bool relu = false, const Variable& residual = {},
                           const RunningStatistics& running = {});
/// op batch_norm_eval(x, gamma?, beta?, mean, var, residual?){eps, act}: with given statistics
/// (constants).
Variable batch_norm_eval(const Variable& x, const Variable& gamma, const Variable& beta,
                         const Tensor& mean, const Tensor& var, double eps = 1e-5,
                         bool relu = false, const Variable& residual = {});
/// Conditional batch norm: op cond_batch_norm(x [N,..,C], gain [N, C], bias [N, C], running_mean?,
/// running_var?){eps, act, momentum} -> y, mean, var, invstd: y = act((x - mean) * invstd * gain +
/// bias). Callers pass gain already including BigGAN's "1 +".
BatchNormResult cond_batch_norm(const Variable& x, const Variable& gain, const Variable& bias,
                                double eps = 1e-5, bool relu = false,
                                const RunningStatistics& running = {});
Variable cond_batch_norm_eval(
    const Variable& x, const Variable& gain, const Variable& bias, const Tensor& mean,
    const Tensor& var, double eps = 1e-5,
    bool relu = false);  ///< op cond_batch_norm_eval(x, gain, bias, mean, var)
/// op group_norm(x [N,..,C], gamma?, beta?){groups, eps} -> y, mean [N,G], invstd [N,G]
Variable group_norm(const Variable& x, const Variable& gamma, const Variable& beta, int64_t groups,
                    double eps = 1e-5);
/// op l2_normalize{eps}: x / max(|x|_2, eps) over the last axis.
Variable l2_normalize(const Variable& x, double eps = 1e-12);

/// Spectral norm of W viewed as [rows = dim 0, rest]. op spectral_norm(w, u [rows]){eps,
/// training_iterations: n}
///   -> w_sn, u_new [rows], v [rest], sigma [1]. n power iterations from u (BigGAN: n = 1, also in
///     eval); gradient through W in sigma only.
/// PyTorch's variant (eval without iteration) is op spectral_norm_fixed(w, u, v) -> w_sn, sigma.
struct SpectralNormResult {
  Variable weight;
  Tensor u, v, sigma;
};
/// w of any shape with rows = dim 0, u [rows].
SpectralNormResult spectral_norm(const Variable& w, const Tensor& u, double eps,
                                 int64_t iterations = 1);
/// The same from given u [rows] and v [rest].
SpectralNormResult spectral_norm_fixed(const Variable& w, const Tensor& u, const Tensor& v);

// --- shape and selection -------------------------------------------------------------------------
Variable reshape(const Variable& x, const Shape& shape);                    ///< shares storage
Variable reshape(const Variable& x, std::initializer_list<int64_t> sizes);  ///< one size may be -1
/// Throws for a scalar.
Variable flatten(const Variable& x);  ///< [N, rest], memory order (H, W, C for images)
/// Flattens an image batch in PyTorch's order C, H, W so that linear weights keep their meaning.
/// x [N,H,W,C]; throws for other ranks.
Variable flatten_chw(const Variable& x);
/// The reverse: [N, C*H*W] in PyTorch's order to an image [N, H, W, C].
/// Throws when the sizes do not multiply to those of x.
Variable unflatten_chw(const Variable& x, int64_t channels, int64_t height, int64_t width);
Variable permute(const Variable& x, const std::vector<int64_t>& order);  ///< op permute{order}
Variable concat(const Variables& xs, int64_t axis);  ///< op concat{axis}, variadic
Variable slice(const Variable& x, int64_t axis, int64_t begin,
               int64_t end);  ///< op slice{axis, begin, end}
/// Throws when the sizes do not add up to that of the axis.
Variables split(const Variable& x, const std::vector<int64_t>& sizes, int64_t axis);  ///< slices
/// op resize_bilinear{output, align_corners}, as PyTorch's interpolate
Variable resize_bilinear(const Variable& x, std::array<int64_t, 2> output,
                         bool align_corners = false);
/// op reflect_pad2d{padding: [top, bottom, left, right]}
Variable reflect_pad2d(const Variable& x, std::array<int64_t, 4> padding);
/// op pad2d{padding: [top, bottom, left, right], value}
Variable pad2d(const Variable& x, std::array<int64_t, 4> padding, double value = 0);
Variable index_select(const Variable& x,
                      const Tensor& index);  ///< op index_select(x, index i64[n]): rows of axis 0
Variable embedding(const Variable& weight,
                   const Tensor& index);  ///< op embedding(weight [n, d], index i64[..]) -> [.., d]
/// op gather{axis}(x, index i64): torch.gather, the elements of x along the axis that the index
/// names, in the index's shape. An index that lacks the axis takes one element of each line: x
/// [N, C], index [N] -> [N], x[i, index[i]].
Variable gather(const Variable& x, const Tensor& index, int64_t axis = -1);
/// op scatter_add{axis}(x, index i64, src): x with every element of src added at the place along
/// the axis that the index names; torch.scatter_add.
Variable scatter_add(const Variable& x, const Tensor& index, const Variable& src,
                     int64_t axis = -1);
/// op scatter_rows: memory[index[j]] = values[j] in place, on the memory's device; of values for
/// one row the last stays. memory [m, ..], index i64[n], values [n, ..] in the memory's type. Data,
/// no gradient; a backward that needs what the memory held before is refused. May stand in a
/// recorded step.
void scatter_rows(const Tensor& memory, const Tensor& index, const Tensor& values);
/// op channel_shuffle{groups}: [.., C] viewed as [.., g, C/g], transposed.
Variable channel_shuffle(const Variable& x, int64_t groups);
/// op dropout(x, rng i64[2]){p}: element i uses Philox block (rng[1] + i/4), word i%4 of key
/// rng[0]; kept values are scaled by 1/(1-p).
Variable dropout(const Variable& x, double p, Stream& stream);
/// The place in a stream as Stream::reserve() gives it, on x's device.
Variable dropout(const Variable& x, double p, const Tensor& place);

// --- attention -----------------------------------------------------------------------------------
/// op attention(q [N,L,d], k [N,S,d], v [N,S,e]){scale} -> [N,L,e] (+ logsumexp [N,L]):
/// softmax(scale q k^T) v, no L x S matrix kept.
Variable attention(const Variable& q, const Variable& k, const Variable& v, double scale = 1.0);

// --- probabilities and losses (scalars unless said) ----------------------------------------------
Variable softmax(const Variable& x);  ///< over the last axis
Variable log_softmax(const Variable& x);
enum class Reduction { none, mean, sum };
/// What a class counts, and how a label is told.
struct LabelOptions {
  double label_smoothing = 0;  ///< the share of a target that all classes have in equal parts
  std::optional<int64_t> ignore_index;  ///< samples with this label have no loss
  Tensor weight;                        ///< [C], of the logits' type; undefined: 1
};
/// op cross_entropy(logits [N, C], labels i64[N], weight [C]){label_smoothing, ignore_index} ->
/// loss [N], log_probabilities, sample_weight [N] (aux). The mean is PyTorch's: the sum over the
/// sum of the samples' weights.
Variable cross_entropy(const Variable& logits, const Tensor& labels, Reduction r = Reduction::mean,
                       const LabelOptions& options = {});
/// op soft_cross_entropy(logits [N, C], target [N, C]) -> [N]: -sum_c target log_softmax(logits);
/// target is differentiable too.
Variable soft_cross_entropy(const Variable& logits, const Variable& target,
                            Reduction r = Reduction::mean);
/// op kl_div(log_q [N, C], p [N, C]) -> [N]: sum_c p (log p - log_q), 0 log 0 = 0. Mean is
/// PyTorch's "batchmean".
Variable kl_div(const Variable& log_q, const Variable& p, Reduction r = Reduction::mean);
/// Hinton's distillation loss T^2 KL(softmax(t/T) || softmax(s/T)), batch mean (Hinton et al.
/// 2015). No gradient to the teacher.
/// Logits [N, C]; throws for a temperature that is not positive.
Variable distillation_loss(const Variable& student_logits, const Tensor& teacher_logits,
                           double temperature);
Variable mse_loss(const Variable& x, const Variable& target,
                  Reduction r = Reduction::mean);  ///< composite: square(x - t)
Variable l1_loss(const Variable& x, const Variable& target, Reduction r = Reduction::mean);
Variable smooth_l1_loss(const Variable& x, const Variable& target, Reduction r = Reduction::mean,
                        double beta = 1);  ///< op smooth_l1{beta}

}  // namespace limbeck
