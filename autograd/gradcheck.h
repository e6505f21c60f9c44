// gradcheck: compares the tape's gradients with central differences in f64.
//   auto report = gradcheck([](const Variables& v) { return conv2d(v[0], v[1]); }, {x, w});
//   if (!report.ok) std::cerr << report.message;
#pragma once
#include <functional>
#include <string>

#include "autograd/variable.h"

namespace limbeck {

struct GradcheckOptions {
  double step = 1e-6;  ///< central difference step, scaled by max(1, |x|)
  double relative =
      1e-6;  ///< |analytic - numeric| <= absolute + relative * max(|analytic|, |numeric|)
  double absolute = 1e-7;
  uint64_t seed = 0;  ///< of the random cotangent
  int64_t max_elements =
      0;  ///< check at most this many elements of each input, spread evenly; 0: all
};

struct GradcheckReport {
  bool ok = true;
  double worst = 0;     ///< largest |analytic - numeric| / (absolute + relative * ...)
  std::string message;  ///< which input, which element, both numbers
};

/// `f` maps f64 variables to one variable of any shape; inputs that do not require a gradient are
/// held constant. The cotangent is random (all-ones hides errors, for instance in softmax). Also
/// checks gradient shapes and that a second backward adds to the first.
GradcheckReport gradcheck(const std::function<Variable(const Variables&)>& f,
                          const std::vector<Variable>& inputs,
                          const GradcheckOptions& options = {});

}  // namespace limbeck
