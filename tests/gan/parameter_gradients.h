// Gradients of a network's parameters against central differences, in f64.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "nn/module.h"

namespace limbeck::gan {

/// `loss` is a scalar that depends on the network's parameters and nothing that moves between
/// calls. A few elements of every parameter are checked; `skip` says for which not.
inline void expect_parameter_gradients(
    nn::Module& net, const std::function<Variable()>& loss,
    const std::function<bool(const std::string&)>& skip = [](const std::string&) {
      return false;
    }) {
  constexpr double step = 1e-6;
  for (const nn::Parameter& p : net.parameters()) p.value.zero_grad();
  loss().backward();
  for (const nn::Parameter& p : net.parameters()) {
    if (skip(p.name)) continue;
    ASSERT_TRUE(p.value.grad().defined()) << p.name;
    const Tensor exact = p.value.grad().clone();
    const int64_t n = exact.numel(), count = std::min<int64_t>(n, 3);
    for (int64_t k = 0; k < count; ++k) {
      double& v = p.value.data().data<double>()[k * n / count];
      const double before = v;
      const NoGrad no_grad;
      v = before + step;
      const double above = loss().item();
      v = before - step;
      const double below = loss().item();
      v = before;
      const double numeric = (above - below) / (2 * step), analytic = exact.at(k * n / count);
      EXPECT_NEAR(analytic, numeric, 1e-7 + 1e-5 * std::abs(numeric)) << p.name << " " << k;
    }
  }
}

}  // namespace limbeck::gan
