// Batch normalisation, plain and conditional, f32 on the CPU; formulas in ops/batch_norm.cpp and
// ops/cond_batch_norm.cpp. Passes over memory (each 4 bytes a value):
//   forward   statistics: read x;  apply: read x (and residual), write y
//   backward  reduce: read x, dy (and y with relu and residual; then write dresidual);  gradient:
//             read x, g, write dx
// The ReLU's mask is recomputed from x where there is no residual, which saves two reads of y;
// otherwise g is dresidual, already masked. Chunks are fixed by the shape and their sums are added
// in order, in double: equal bits for any number of threads. About 7 FLOP a value each way.
#include "ops_cpu/batch_norm.h"

#include <cmath>
#include <cstring>
#include <numeric>

#include "ops/norm.h"
#include "ops_cpu/parallel.h"

namespace limbeck {

// Without channels there is nothing to walk over, whatever the rows.
NormLayout::NormLayout(int64_t samples_, int64_t rows_, int64_t channels_)
    : samples(samples_), rows(channels_ ? rows_ : 0), channels(channels_) {
  const int64_t width = batch_norm_kernels().width;
  const int64_t copies = channels ? width / std::gcd(channels, width) : 1;
  period = channels * copies;
  // About 64 KB of x: small enough for the first cache levels, large enough to hide the cost of a
  // chunk. A multiple of any `copies`.
  chunk_rows = std::max<int64_t>(64, (16384 / std::max<int64_t>(channels, 1) + 15) / 16 * 16);
  chunks_per_sample = (rows + chunk_rows - 1) / chunk_rows;
}

namespace {

Tensor scratch(int64_t floats) { return Tensor::empty({floats}); }

// values [samples, channels] (or `fallback`) times `factor` [channels] (or 1), with each sample's
// row repeated to the kernels' period.
Tensor tiled(const NormLayout& l, int64_t samples, const Tensor& values, float fallback,
             const Tensor& factor) {
  const Tensor result = scratch(samples * l.period);
  float* to = result.data<float>();
  const float* v = values.defined() ? values.data<float>() : nullptr;
  const float* f = factor.defined() ? factor.data<float>() : nullptr;
  for (int64_t s = 0; s < samples; ++s, to += l.period) {
    for (int64_t c = 0; c < l.channels; ++c)
      to[c] = (v ? v[s * l.channels + c] : fallback) * (f ? f[c] : 1.0f);
    for (int64_t p = l.channels; p < l.period; ++p) to[p] = to[p - l.channels];
  }
  return result;
}

// What all kernels need for one chunk.
struct Parameters {
  Tensor mean, scale, beta;
  Parameters(const NormLayout& l, const Tensor& mean_, const Tensor& invstd, const Tensor& gain,
             const Tensor& bias)
      : mean(tiled(l, 1, mean_, 0, {})),
        scale(tiled(l, l.samples, gain, 1, invstd)),
        beta(tiled(l, l.samples, bias, 0, {})) {}
  BatchNormRun run(const NormLayout& l, const float* x, int64_t chunk) const {
    BatchNormRun r{};
    r.x = x + l.first_row(chunk) * l.channels;
    r.n = l.rows_of(chunk) * l.channels;
    r.period = l.period;
    r.mean = mean.data<float>();
    r.scale = scale.data<float>() + l.sample_of(chunk) * l.period;
    r.beta = beta.data<float>() + l.sample_of(chunk) * l.period;
    return r;
  }
};

// Sum over the copies of channel c within a period.
double folded(const NormLayout& l, const float* sums, int64_t c) {
  double total = 0;
  for (int64_t p = c; p < l.period; p += l.channels) total += sums[p];
  return total;
}

/// Moves the shift of each channel whose variance would be a small difference of large sums (its
/// first row is an outlier) to the chunk's mean. Returns whether any moved.
bool recentre(const NormLayout& l, int64_t rows, float* shift, const float* sum,
              const float* square) {
  bool moved = false;
  for (int64_t c = 0; c < l.channels; ++c) {
    const double s = folded(l, sum, c), q = folded(l, square, c), mean = s / double(rows);
    if (!((q - s * mean) * 32 < q)) continue;
    moved = true;
    for (int64_t p = c; p < l.period; p += l.channels) shift[p] += float(mean);
  }
  return moved;
}

}  // namespace

void batch_statistics(const NormLayout& l, const Tensor& x, double eps, const Tensor& mean,
                      const Tensor& var, const Tensor& invstd) {
  const BatchNormKernels& kernels = batch_norm_kernels();
  const Tensor sums = scratch(l.chunks() * 3 * l.period);
  const float* px = x.data<float>();
  float* partial = sums.data<float>();
  parallel_parts(l.chunks(), l.numel(), [&](int64_t chunk) {
    float* shift = partial + chunk * 3 * l.period;
    BatchNormRun r{};
    r.x = px + l.first_row(chunk) * l.channels;
    r.n = l.rows_of(chunk) * l.channels;
    r.period = l.period;
    r.mean = shift;
    // The chunk's first row as the shift keeps the squares small whatever the mean.
    for (int64_t p = 0; p < l.period; p += l.channels)
      std::memcpy(shift + p, r.x, size_t(l.channels) * sizeof(float));
    float *sum = shift + l.period, *square = sum + l.period;
    if (!kernels.statistics(r, sum, square) && recentre(l, l.rows_of(chunk), shift, sum, square))
      kernels.statistics(r, sum, square);
  });
  float *pm = mean.data<float>(), *pv = var.data<float>(), *pi = invstd.data<float>();
  constexpr int64_t block = 16;  // channels per part: whole cache lines of the results
  parallel_parts((l.channels + block - 1) / block, l.chunks() * l.period, [&](int64_t part) {
    for (int64_t c = part * block; c < std::min(l.channels, (part + 1) * block); ++c) {
      double n = 0, centre = 0, squares = 0;
      for (int64_t chunk = 0; chunk < l.chunks(); ++chunk) {
        const float* at = partial + chunk * 3 * l.period;
        const double rows = double(l.rows_of(chunk)), s = folded(l, at + l.period, c),
                     q = folded(l, at + 2 * l.period, c);
        const double delta = at[c] + s / rows - centre, total = n + rows;
        squares += std::max(q - s * s / rows, 0.0) + delta * delta * (n / total) * rows;
        centre += delta * (rows / total);
        n = total;
      }
      const double variance = n > 0 ? squares / n : 0.0;
      pm[c] = float(centre);
      pv[c] = float(variance);
      pi[c] = float(1 / std::sqrt(variance + eps));
    }
  });
}

void batch_apply(const NormLayout& l, const Tensor& x, const Tensor& gain, const Tensor& bias,
                 const Tensor& residual, const Tensor& mean, const Tensor& invstd, bool relu,
                 const Tensor& y) {
  const BatchNormKernels& kernels = batch_norm_kernels();
  const Parameters parameters(l, mean, invstd, gain, bias);
  const float *px = x.data<float>(), *pr = residual.defined() ? residual.data<float>() : nullptr;
  float* py = y.data<float>();
  parallel_parts(
      l.chunks(), l.numel(),
      [&](int64_t chunk) {
        BatchNormRun r = parameters.run(l, px, chunk);
        r.relu = relu;
        r.residual = pr ? pr + (r.x - px) : nullptr;
        r.y = py + (r.x - px);
        kernels.apply(r);
      },
      Walk::backwards);
}

namespace {

// Per sample and channel: sums of g and of g (x - mean), from the chunks' partial sums.
struct Sums {
  std::vector<double> g, gx;
};

Sums reduce(const NormLayout& l, const Parameters& parameters, const Tensor& x, const Tensor& y,
            const Tensor& dy, Mask mask, const Tensor& dresidual) {
  const BatchNormKernels& kernels = batch_norm_kernels();
  const Tensor buffer = scratch(l.chunks() * 2 * l.period);
  const float *px = x.data<float>(), *pdy = dy.data<float>();
  float *partial = buffer.data<float>(), *py = y.defined() ? y.data<float>() : nullptr,
        *pd = dresidual.defined() ? dresidual.data<float>() : nullptr;
  parallel_parts(l.chunks(), l.numel(), [&](int64_t chunk) {
    BatchNormRun r = parameters.run(l, px, chunk);
    const int64_t at = r.x - px;
    r.mask = mask;
    r.y = py ? py + at : nullptr;
    r.dy = pdy + at;
    r.dresidual = pd ? pd + at : nullptr;
    kernels.reduce(r, partial + chunk * 2 * l.period, partial + (chunk * 2 + 1) * l.period);
  });
  Sums sums{std::vector<double>(l.samples * l.channels),
            std::vector<double>(l.samples * l.channels)};
  constexpr int64_t block = 16;
  const int64_t blocks = (l.channels + block - 1) / block;
  parallel_parts(l.samples * blocks, l.chunks() * l.period, [&](int64_t part) {
    const int64_t s = part / blocks, first = part % blocks * block;
    for (int64_t c = first; c < std::min(l.channels, first + block); ++c) {
      double g = 0, gx = 0;
      for (int64_t chunk = s * l.chunks_per_sample; chunk < (s + 1) * l.chunks_per_sample;
           ++chunk) {
        g += folded(l, partial + chunk * 2 * l.period, c);
        gx += folded(l, partial + (chunk * 2 + 1) * l.period, c);
      }
      sums.g[s * l.channels + c] = g;
      sums.gx[s * l.channels + c] = gx;
    }
  });
  return sums;
}

// dx = scale g - (x - mean) slope - offset with slope = invstd^3 B / m, offset = invstd A / m, A =
// sum_n gain sum g, B = sum_n gain sum g (x - mean).
void corrections(const NormLayout& l, const Sums& sums, const Tensor& gain, const Tensor& invstd,
                 const Tensor& slope, const Tensor& offset) {
  const float* pg = gain.defined() ? gain.data<float>() : nullptr;
  const double m = double(l.samples * l.rows);
  for (int64_t c = 0; c < l.channels; ++c) {
    double a = 0, b = 0;
    for (int64_t s = 0; s < l.samples; ++s) {
      const int64_t at = s * l.channels + c;
      a += (pg ? pg[at] : 1.0f) * sums.g[at];
      b += (pg ? pg[at] : 1.0f) * sums.gx[at];
    }
    const double inv = invstd.data<float>()[c];
    slope.data<float>()[c] = float(inv * inv * inv * b / m);
    offset.data<float>()[c] = float(inv * a / m);
  }
}

void gradient(const NormLayout& l, const Parameters& parameters, const Tensor& slope,
              const Tensor& offset, const Tensor& x, const Tensor& y, const Tensor& dy, Mask mask,
              const Tensor& dx) {
  const BatchNormKernels& kernels = batch_norm_kernels();
  const Tensor slopes = tiled(l, 1, slope, 0, {}), offsets = tiled(l, 1, offset, 0, {});
  const float *px = x.data<float>(), *pdy = dy.data<float>();
  float *py = y.defined() ? y.data<float>() : nullptr, *pdx = dx.data<float>();
  parallel_parts(
      l.chunks(), l.numel(),
      [&](int64_t chunk) {
        BatchNormRun r = parameters.run(l, px, chunk);
        const int64_t at = r.x - px;
        r.mask = mask;
        r.y = py ? py + at : nullptr;
        r.dy = pdy + at;
        r.slope = slopes.data<float>();
        r.offset = offsets.data<float>();
        r.dx = pdx + at;
        kernels.gradient(r);
      },
      Walk::backwards);
}

}  // namespace

void batch_gradients(const NormLayout& l, const Tensor& x, const Tensor& gain, const Tensor& bias,
                     const Tensor& residual, const Tensor& mean, const Tensor& invstd,
                     const Tensor& y, const Tensor& dy, bool relu, bool batch,
                     const NormGradients& out) {
  const Parameters parameters(l, mean, invstd, gain, bias);
  Mask mask = !relu ? Mask::none : residual.defined() ? Mask::from_y : Mask::from_x;
  Tensor g = dy, slope, offset;
  if (out.dgain.defined() || out.dbias.defined() || out.dresidual.defined() ||
      (batch && out.dx.defined())) {
    const Sums sums = reduce(l, parameters, x, y, dy, mask, out.dresidual);
    if (out.dresidual.defined()) g = out.dresidual, mask = Mask::none;
    if (out.dbias.defined()) std::copy(sums.g.begin(), sums.g.end(), out.dbias.data<float>());
    if (out.dgain.defined())
      for (size_t i = 0; i < sums.gx.size(); ++i)
        out.dgain.data<float>()[i] =
            float(sums.gx[i] * invstd.data<float>()[int64_t(i) % l.channels]);
    if (batch) {
      slope = scratch(l.channels), offset = scratch(l.channels);
      corrections(l, sums, gain, invstd, slope, offset);
    }
  }
  if (out.dx.defined()) gradient(l, parameters, slope, offset, x, y, g, mask, out.dx);
}

Tensor invstd_of(const Tensor& var, double eps) {
  const Tensor result = Tensor::empty_like(var);
  for (int64_t c = 0; c < var.numel(); ++c)
    result.data<float>()[c] = float(1 / std::sqrt(double(var.data<float>()[c]) + eps));
  return result;
}

namespace {

double eps_of(const Attrs& attrs) { return attrs.number("eps", 1e-5); }

void train_forward(const ForwardCall& c) {
  const NormLayout l = NormLayout::plain(c.in[0].shape());
  batch_statistics(l, c.in[0], eps_of(c.attrs), c.out[1], c.out[2], c.out[3]);
  batch_apply(l, c.in[0], c.in[1], c.in[2], c.in[3], c.out[1], c.out[3],
              fused_relu("batch_norm", c.attrs), c.out[0]);
  update_running_statistics<float>(c, 4);
}
void train_backward(const BackwardCall& c) {
  batch_gradients(NormLayout::plain(c.dout[0].shape()), c.in[0], c.in[1], c.in[2], c.in[3],
                  c.out[1], c.out[3], c.out[0], c.dout[0], fused_relu("batch_norm", c.attrs), true,
                  {c.din[0], c.din[1], c.din[2], c.din[3]});
}
void eval_forward(const ForwardCall& c) {
  batch_apply(NormLayout::plain(c.in[0].shape()), c.in[0], c.in[1], c.in[2], c.in[5], c.in[3],
              invstd_of(c.in[4], eps_of(c.attrs)), fused_relu("batch_norm_eval", c.attrs),
              c.out[0]);
}
void eval_backward(const BackwardCall& c) {
  batch_gradients(NormLayout::plain(c.dout[0].shape()), c.in[0], c.in[1], c.in[2], c.in[5], c.in[3],
                  invstd_of(c.in[4], eps_of(c.attrs)), c.out[0], c.dout[0],
                  fused_relu("batch_norm_eval", c.attrs), false,
                  {c.din[0], c.din[1], c.din[2], c.din[5]});
}
void conditional_train_forward(const ForwardCall& c) {
  // The statistics do not care for samples: chunks over all rows are larger.
  batch_statistics(NormLayout::plain(c.in[0].shape()), c.in[0], eps_of(c.attrs), c.out[1], c.out[2],
                   c.out[3]);
  batch_apply(NormLayout::conditional(c.in[0].shape()), c.in[0], c.in[1], c.in[2], {}, c.out[1],
              c.out[3], fused_relu("cond_batch_norm", c.attrs), c.out[0]);
  update_running_statistics<float>(c, 3);
}
void conditional_train_backward(const BackwardCall& c) {
  batch_gradients(NormLayout::conditional(c.dout[0].shape()), c.in[0], c.in[1], c.in[2], {},
                  c.out[1], c.out[3], c.out[0], c.dout[0], fused_relu("cond_batch_norm", c.attrs),
                  true, {c.din[0], c.din[1], c.din[2], {}});
}
void conditional_eval_forward(const ForwardCall& c) {
  batch_apply(NormLayout::conditional(c.in[0].shape()), c.in[0], c.in[1], c.in[2], {}, c.in[3],
              invstd_of(c.in[4], eps_of(c.attrs)), fused_relu("cond_batch_norm_eval", c.attrs),
              c.out[0]);
}
void conditional_eval_backward(const BackwardCall& c) {
  batch_gradients(NormLayout::conditional(c.dout[0].shape()), c.in[0], c.in[1], c.in[2], {},
                  c.in[3], invstd_of(c.in[4], eps_of(c.attrs)), c.out[0], c.dout[0],
                  fused_relu("cond_batch_norm_eval", c.attrs), false,
                  {c.din[0], c.din[1], c.din[2], {}});
}

Kernel kernel(const char* op, ForwardFn forward, BackwardFn backward) {
  return {.op = op, .name = "cpu", .forward = forward, .backward = backward};
}
const RegisterKernel batch_norm(kernel("batch_norm", train_forward, train_backward));
const RegisterKernel batch_norm_eval(kernel("batch_norm_eval", eval_forward, eval_backward));
const RegisterKernel cond_batch_norm(kernel("cond_batch_norm", conditional_train_forward,
                                            conditional_train_backward));
const RegisterKernel cond_batch_norm_eval(kernel("cond_batch_norm_eval", conditional_eval_forward,
                                                 conditional_eval_backward));

}  // namespace
}  // namespace limbeck
