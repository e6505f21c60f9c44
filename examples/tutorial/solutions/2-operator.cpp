// Exercise 2: a cotangent that hides the missing second term of l2_normalize's backward.
//   y = x / |x|,  dx = (dy - y (dy . y)) / |x|,  wrong: dy / |x|
#include <cmath>
#include <cstdio>

#include "autograd/functions.h"

using namespace limbeck;

namespace {

void compare(const char* title, const Tensor& x, const Tensor& dy) {
  const Variable v(x, true);
  l2_normalize(v).backward(dy);
  const double length = std::hypot(x.at(0), x.at(1), x.at(2));
  std::printf("%s\n", title);
  for (int64_t i = 0; i < 3; ++i)
    std::printf("  right %6.3f  wrong %6.3f\n", v.grad().at(i), dy.at(i) / length);
}

}  // namespace

int main() {
  const Tensor x = Tensor::of<double>({2, 3, 6});  // |x| = 7
  compare("orthogonal to x", x, Tensor::of<double>({3, -2, 0}));
  compare("any other", x, Tensor::of<double>({1, 0, -1}));
}
