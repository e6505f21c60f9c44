#include "nn/init.h"

#include <cmath>

#include "nn/layers.h"

namespace limbeck::nn::init {

int64_t fan_in(const Variable& weight) {
  LIMBECK_CHECK(weight.rank() >= 2, "fan_in: a weight needs two or more dimensions, found shape ", weight.shape());
  return weight.shape().numel(1, weight.rank());
}

int64_t fan_out(const Variable& weight) {
  LIMBECK_CHECK(weight.rank() >= 2, "fan_out: a weight needs two or more dimensions, found shape ", weight.shape());
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

void torch_default(const Variable& weight, const Variable& bias, int64_t fan_in, const Stream& stream) {
  const double bound = 1 / std::sqrt(static_cast<double>(std::max<int64_t>(fan_in, 1)));
  uniform(weight, bound, stream.fork("weight"));
  if (bias) uniform(bias, bound, stream.fork("bias"));
}

void kaiming_normal_fan_out(const Variable& weight, Stream stream) {
  normal(weight, 0, std::sqrt(2.0 / static_cast<double>(fan_out(weight))), stream);
}

void xavier_uniform(const Variable& weight, double gain, Stream stream) {
  uniform(weight, gain * std::sqrt(6.0 / static_cast<double>(fan_in(weight) + fan_out(weight))), stream);
}

void kaiming_normal_convolutions(Module& network, const Stream& stream) {
  network.visit([&](const std::string& name, Module& m) {
    if (auto* conv = dynamic_cast<Conv2d*>(&m)) kaiming_normal_fan_out(conv->weight, stream.fork(name + ".weight"));
  });
}

}  // namespace limbeck::nn::init
