// Vector kernels of the optimiser steps; see optimizer_kernels.h. Plain loops that the compiler
// vectorises.
#include "ops_cpu/optimizer_kernels.h"

namespace limbeck::LIMBECK_ISA {
namespace {

template <bool nesterov, bool first>
void sgd_as(const SgdRun& r, int64_t begin, int64_t end) {
  float* __restrict w = r.w;
  float* __restrict v = r.v;
  const float* __restrict grad = r.g;
  const float lr = r.lr, momentum = r.momentum, decay = r.decay;
  for (int64_t i = begin; i < end; ++i) {
    const float g = grad[i] + decay * w[i];
    const float velocity = first ? g : momentum * v[i] + g;  // a first step never reads v
    v[i] = velocity;
    w[i] -= lr * (nesterov ? g + momentum * velocity : velocity);
  }
}

void sgd(const SgdRun& r, int64_t begin, int64_t end) {
  if (r.first)
    r.nesterov ? sgd_as<true, true>(r, begin, end) : sgd_as<false, true>(r, begin, end);
  else
    r.nesterov ? sgd_as<true, false>(r, begin, end) : sgd_as<false, false>(r, begin, end);
}

void adam(const AdamRun& r, int64_t begin, int64_t end) {
  float* __restrict w = r.w;
  float* __restrict m = r.m;
  float* __restrict v = r.v;
  const float* __restrict grad = r.g;
  const float b1 = r.beta1, b2 = r.beta2, decay = r.decay, step = r.step_size,
              root = r.inverse_root, eps = r.eps, keep = r.keep;
  const float c1 = r.rest1, c2 = r.rest2;
  for (int64_t i = begin; i < end; ++i) {
    const float g = grad[i] + decay * w[i];
    m[i] = b1 * m[i] + c1 * g;
    v[i] = b2 * v[i] + c2 * g * g;
    w[i] = keep * w[i] - step * m[i] / (__builtin_sqrtf(v[i]) * root + eps);
  }
}

void blend(float* __restrict to, const float* __restrict from, float a, float b, int64_t begin,
           int64_t end) {
  for (int64_t i = begin; i < end; ++i) to[i] = a * to[i] + b * from[i];
}

}  // namespace

const OptimizerKernels& optimizer_kernels() {
  static constexpr OptimizerKernels table{sgd, adam, blend};
  return table;
}

}  // namespace limbeck::LIMBECK_ISA
