#include "nn/init.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "nn/layers.h"

namespace limbeck::nn::init {

int64_t fan_in(const Variable& weight) {
  LIMBECK_CHECK(weight.rank() >= 2, "fan_in: a weight needs two or more dimensions, found shape ",
                weight.shape());
  return weight.shape().numel(1, weight.rank());
}

int64_t fan_out(const Variable& weight) {
  LIMBECK_CHECK(weight.rank() >= 2, "fan_out: a weight needs two or more dimensions, found shape ",
                weight.shape());
  return weight.size(0) * weight.shape().numel(1, weight.rank() - 1);
}

void constant(const Variable& v, double value) {
  v.data().fill(value);
  v.data().bump_version();
}

void normal(const Variable& v, double mean, double deviation, Stream stream) {
  stream.fill_normal(v.data(), mean, deviation);
  v.data().bump_version();
}

void uniform(const Variable& v, double bound, Stream stream) {
  stream.fill_uniform(v.data(), -bound, bound);
  v.data().bump_version();
}

void torch_default(const Variable& weight, const Variable& bias, int64_t fan_in,
                   const Stream& stream) {
  const double bound = 1 / std::sqrt(static_cast<double>(std::max<int64_t>(fan_in, 1)));
  uniform(weight, bound, stream.fork("weight"));
  if (bias) uniform(bias, bound, stream.fork("bias"));
}

void kaiming_normal_fan_out(const Variable& weight, Stream stream) {
  normal(weight, 0, std::sqrt(2.0 / static_cast<double>(fan_out(weight))), stream);
}

void xavier_uniform(const Variable& weight, double gain, Stream stream) {
  uniform(weight, gain * std::sqrt(6.0 / static_cast<double>(fan_in(weight) + fan_out(weight))),
          stream);
}

void orthogonal(const Variable& weight, Stream stream) {
  const Tensor& w = weight.data();
  const int64_t rows = w.size(0), columns = w.numel() / std::max<int64_t>(rows, 1);
  const bool tall = rows > columns;
  const int64_t count = tall ? columns : rows, length = tall ? rows : columns;
  const Tensor basis = Tensor::empty({count, length}, DType::f64);
  stream.fill_normal(basis);
  for (int64_t i = 0; i < count; ++i) {
    double* v = basis.data<double>() + i * length;
    // Twice: one pass of Gram-Schmidt loses orthogonality when a vector nearly lies in the span of
    // the others.
    for (int pass = 0; pass < 2; ++pass)
      for (int64_t j = 0; j < i; ++j) {
        const double* u = basis.data<double>() + j * length;
        const double overlap = std::inner_product(v, v + length, u, 0.0);
        for (int64_t k = 0; k < length; ++k) v[k] -= overlap * u[k];
      }
    const double norm = std::sqrt(std::inner_product(v, v + length, v, 0.0));
    for (int64_t k = 0; k < length; ++k) v[k] /= norm;
  }
  const Tensor filled = (tall ? permuted(basis, std::array{1, 0}) : basis).reshape(w.shape());
  w.copy_from(filled.to(w.dtype()));
}

void kaiming_normal_convolutions(Module& network, const Stream& stream) {
  network.visit([&](const std::string& name, Module& m) {
    if (auto* conv = dynamic_cast<Conv2d*>(&m))
      kaiming_normal_fan_out(conv->weight, stream.fork(name + ".weight"));
  });
}

}  // namespace limbeck::nn::init
