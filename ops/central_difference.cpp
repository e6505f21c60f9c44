#include "ops/central_difference.h"

#include <algorithm>
#include <cmath>

namespace limbeck {

double central_difference(double& x, double step, const std::vector<Tensor>& cotangents,
                          const std::function<std::vector<Tensor>()>& outputs) {
  const double original = x, h = step * std::max(1.0, std::abs(original));
  x = original + h;
  const double high = x;
  const std::vector<Tensor> above = outputs();
  x = original - h;
  const double low = x;
  const std::vector<Tensor> below = outputs();
  x = original;
  // One by one: most outputs do not depend on x at all and then add no rounding.
  double sum = 0;
  for (size_t j = 0; j < above.size(); ++j)
    if (cotangents[j].defined())
      for (int64_t i = 0; i < above[j].numel(); ++i)
        sum += (above[j].data<double>()[i] - below[j].data<double>()[i]) *
               cotangents[j].data<double>()[i];
  return sum / (high - low);
}

}  // namespace limbeck
