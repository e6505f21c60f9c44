// What a computation left behind (outputs, gradients, buffers), moved to the CPU, and its
// comparison with the same on another device.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "nn/module.h"
#include "tensor/random.h"

namespace limbeck {

struct Pass {
  std::vector<std::pair<std::string, Tensor>> values;

  void add(std::string name, const Tensor& t) {
    values.emplace_back(std::move(name), t.to(cpu).to(DType::f64));
  }
  /// Gradients and buffers of a module after a backward pass.
  void add(const std::string& prefix, const nn::Module& module) {
    for (const nn::Parameter& p : module.parameters())
      if (p.value.grad().defined()) add("gradient of " + prefix + p.name, p.value.grad());
    for (const nn::Buffer& b : module.buffers()) add("buffer " + prefix + b.name, b.value);
  }
};

/// Uniform numbers, the same for every type and device.
inline Tensor draw(const Shape& shape, uint64_t seed, DType dtype, Device device, double low = -1,
                   double high = 1) {
  const Tensor t = Tensor::empty(shape, DType::f32);
  Stream(seed).fill_uniform(t, low, high);
  return t.to(dtype).to(device);
}

/// Every element within `tolerance` of the largest of its tensor. What is zero in exact arithmetic
/// (a bias in front of a batch norm) is rounding noise on both sides: it is measured against a
/// thousandth of the largest number of all.
inline void expect_close(const Pass& found, const Pass& expected, double tolerance) {
  ASSERT_EQ(found.values.size(), expected.values.size());
  ASSERT_FALSE(found.values.empty());
  const auto largest = [](const Tensor& t) {
    double m = 0;
    for (const double x : t.span<double>()) m = std::max(m, std::abs(x));
    return m;
  };
  double overall = 0;
  for (const auto& [name, t] : expected.values) overall = std::max(overall, largest(t));
  EXPECT_GT(overall, 0);
  for (size_t i = 0; i < found.values.size(); ++i) {
    const auto& [name, a] = found.values[i];
    const auto& [other, b] = expected.values[i];
    ASSERT_EQ(name, other);
    ASSERT_EQ(a.shape(), b.shape()) << name;
    const double bound = tolerance * std::max(largest(b), 1e-3 * overall);
    for (int64_t j = 0; j < a.numel(); ++j) {
      const double difference = std::abs(a.data<double>()[j] - b.data<double>()[j]);
      EXPECT_LE(difference, bound) << name << " element " << j << ": " << a.data<double>()[j]
                                   << ", expected " << b.data<double>()[j];
      if (!(difference <= bound)) break;
    }
  }
}

}  // namespace limbeck
