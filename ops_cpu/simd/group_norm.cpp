// Vector kernels of group normalisation; see group_norm_kernels.h. A sample is small enough to stay
// in cache over the passes. Float sums run over one piece (up to 4096 channels of one group at one
// pixel; for gamma and beta 256 pixels of one channel); pieces add in double.
#include "ops_cpu/group_norm_kernels.h"

namespace limbeck::LIMBECK_ISA {
namespace {

constexpr int64_t longest = 4096, pixel_block = 256;

/// Calls f(first channel, last + 1) for the pieces of a group of `width`.
template <class F>
inline __attribute__((always_inline)) void each_piece(int64_t width, F&& f) {
  if (width <= longest) return f(0, width);
  for (int64_t i = 0; i < width; i += longest) f(i, i + longest < width ? i + longest : width);
}

void statistics(const GroupNormRun& r, int64_t group) {
  const int64_t pitch = r.groups * r.width;
  const double n = double(r.pixels * r.width);
  double total = 0, squares = 0;
  for (int64_t p = 0; p < r.pixels; ++p) {
    const float* x = r.x + p * pitch + group * r.width;
    each_piece(r.width, [&](int64_t begin, int64_t end) {
      float s = 0;
#pragma omp simd reduction(+ : s)
      for (int64_t i = begin; i < end; ++i) s += x[i];
      total += s;
    });
  }
  const float mean = float(total / n);
  for (int64_t p = 0; p < r.pixels; ++p) {
    const float* x = r.x + p * pitch + group * r.width;
    each_piece(r.width, [&](int64_t begin, int64_t end) {
      float s = 0;
#pragma omp simd reduction(+ : s)
      for (int64_t i = begin; i < end; ++i) s += (x[i] - mean) * (x[i] - mean);
      squares += s;
    });
  }
  r.mean[group] = mean;
  r.invstd[group] = float(1 / __builtin_sqrt(squares / n + r.eps));
}

void forward(const GroupNormRun& r) {
  for (int64_t group = 0; group < r.groups; ++group) statistics(r, group);
  for (int64_t p = 0; p < r.pixels; ++p)
    for (int64_t group = 0; group < r.groups; ++group) {
      const int64_t c = group * r.width, at = p * r.groups * r.width + c;
      const float mean = r.mean[group], invstd = r.invstd[group];
      const float* __restrict x = r.x + at;
      float* __restrict y = r.y + at;
      for (int64_t i = 0; i < r.width; ++i) y[i] = (x[i] - mean) * invstd;
      if (r.gamma)
        for (int64_t i = 0; i < r.width; ++i) y[i] *= r.gamma[c + i];
      if (r.beta)
        for (int64_t i = 0; i < r.width; ++i) y[i] += r.beta[c + i];
    }
}

// What one pixel of a group adds: h = gamma dy and h xhat to the returned sums, dy and dy xhat to
// dbeta and dgamma.
struct PixelSums {
  double h = 0, hx = 0;
};
inline __attribute__((always_inline)) PixelSums add_pixel(const GroupNormRun& r, int64_t group,
                                                          int64_t pixel, float* __restrict dbeta,
                                                          float* __restrict dgamma) {
  const int64_t c = group * r.width, at = pixel * r.groups * r.width + c;
  const float *x = r.x + at, *dy = r.dy + at, *gamma = r.gamma ? r.gamma + c : nullptr;
  const float mean = r.mean[group], invstd = r.invstd[group];
  PixelSums sums;
  each_piece(r.width, [&](int64_t begin, int64_t end) {
    float h = 0, hx = 0;
#pragma omp simd reduction(+ : h, hx)
    for (int64_t i = begin; i < end; ++i) {
      const float g = dy[i] * (gamma ? gamma[i] : 1.0f);
      h += g;
      hx += g * ((x[i] - mean) * invstd);
    }
    sums.h += h;
    sums.hx += hx;
  });
  for (int64_t i = 0; i < r.width; ++i) {
    dbeta[i] += dy[i];
    dgamma[i] += dy[i] * ((x[i] - mean) * invstd);
  }
  return sums;
}

// Gradient of one group: sums of h = gamma dy and h xhat, then dx = invstd (h - mean h - xhat
// mean(h xhat)).
void group_gradient(const GroupNormRun& r, int64_t group) {
  const int64_t pitch = r.groups * r.width, c = group * r.width;
  const float mean = r.mean[group], invstd = r.invstd[group];
  const float* gamma = r.gamma ? r.gamma + c : nullptr;
  float *dbeta = r.room, *dgamma = r.room + r.width;
  double sum_h = 0, sum_hx = 0;
  for (int64_t first = 0; first < r.pixels; first += pixel_block) {
    for (int64_t i = 0; i < 2 * r.width; ++i) r.room[i] = 0;
    for (int64_t p = first; p < r.pixels && p < first + pixel_block; ++p) {
      const PixelSums sums = add_pixel(r, group, p, dbeta, dgamma);
      sum_h += sums.h;
      sum_hx += sums.hx;
    }
    for (int64_t i = 0; i < r.width; ++i) {
      r.dbeta[c + i] += dbeta[i];
      r.dgamma[c + i] += dgamma[i];
    }
  }
  if (!r.dx) return;
  const double n = double(r.pixels * r.width);
  const float mean_h = float(sum_h / n), mean_hx = float(sum_hx / n);
  for (int64_t p = 0; p < r.pixels; ++p) {
    const float *x = r.x + p * pitch + c, *dy = r.dy + p * pitch + c;
    float* __restrict dx = r.dx + p * pitch + c;
#pragma omp simd
    for (int64_t i = 0; i < r.width; ++i)
      dx[i] =
          invstd * (dy[i] * (gamma ? gamma[i] : 1.0f) - mean_h - (x[i] - mean) * invstd * mean_hx);
  }
}

void gradient(const GroupNormRun& r) {
  for (int64_t group = 0; group < r.groups; ++group) group_gradient(r, group);
}

}  // namespace

const GroupNormKernels& group_norm_kernels() {
  static constexpr GroupNormKernels table{forward, gradient};
  return table;
}

}  // namespace limbeck::LIMBECK_ISA
