// Gradients of a module's parameters against central differences, in f64.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "nn/module.h"

namespace limbeck::test {

/// `loss` is a scalar that depends on the module's parameters and nothing that moves between
/// calls. Up to `elements` of every parameter are checked; `skip` says of which none.
inline void expect_parameter_gradients(
    nn::Module& module, const std::function<Variable()>& loss, int64_t elements,
    const std::function<bool(const std::string&)>& skip = [](const std::string&) {
      return false;
    }) {
  module.zero_grad();
  loss().backward();
  for (const nn::Parameter& p : module.parameters()) {
    if (skip(p.name)) continue;
    ASSERT_TRUE(p.value.grad().defined()) << p.name;
    const Tensor exact = p.value.grad().clone();
    const int64_t n = exact.numel(), count = std::min(n, elements);
    for (int64_t k = 0; k < count; ++k) {
      const int64_t i = k * n / count;
      double& x = p.value.data().data<double>()[i];
      const double kept = x, step = 1e-6 * std::max(1.0, std::abs(kept));
      const auto at = [&](double value) {
        const NoGrad no_grad;
        x = value;
        return loss().item();
      };
      const double numeric = (at(kept + step) - at(kept - step)) / (2 * step);
      x = kept;
      EXPECT_NEAR(exact.at(i), numeric, 1e-7 + 1e-6 * std::abs(numeric))
          << p.name << " element " << i;
    }
  }
}

}  // namespace limbeck::test
