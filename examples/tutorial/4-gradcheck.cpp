// Station 4: gradcheck finds a planted error, and why it differences in f64 with a step of 1e-6.
#include <cmath>
#include <cstdio>

#include "autograd/functions.h"
#include "autograd/gradcheck.h"

using namespace limbeck;

namespace {

/// x^3 with a backward of dy factor x^2: 3 is right.
Variable cube(const Variable& x, double factor) {
  const Tensor in = x.data(), out = Tensor::empty_like(in);
  for (int64_t i = 0; i < in.numel(); ++i) out.data<double>()[i] = in.at(i) * in.at(i) * in.at(i);
  return record("cube", {x}, out, [in, factor](const Tensor& dy) {
    const Tensor dx = Tensor::empty_like(in);
    for (int64_t i = 0; i < in.numel(); ++i)
      dx.data<double>()[i] = dy.at(i) * factor * in.at(i) * in.at(i);
    return Tensors{dx};
  });
}

void check(const char* name, double factor) {
  const Tensor x = Tensor::of<double>({0.5, -1, 2});
  const GradcheckReport report =
      gradcheck([factor](const Variables& v) { return cube(v[0], factor); }, {Variable(x, true)});
  std::printf("%s: %s %s\n", name, report.ok ? "ok" : "error,", report.message.c_str());
}

/// |central difference - slope| of x^3 at 1, where the slope is 3.
template <class T>
double difference_error(T step) {
  const T up = 1 + step, down = 1 - step;
  return std::abs(static_cast<double>((up * up * up - down * down * down) / (2 * step)) - 3);
}

}  // namespace

int main() {
  check("factor 3", 3);
  check("factor 3.001", 3.001);
  std::printf("\n    step  error in f64  error in f32\n");
  for (int i = 1; i <= 12; ++i) {
    const double step = std::pow(10.0, -i);
    std::printf("%8.0e%14.0e%14.0e\n", step, difference_error(step),
                difference_error(static_cast<float>(step)));
  }
}
