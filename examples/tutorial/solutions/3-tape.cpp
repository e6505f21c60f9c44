// Exercise 3: y = x x + x at x = 3, and what detach() leaves of its gradient.
#include <cstdio>

#include "autograd/functions.h"

using namespace limbeck;

int main() {
  const Variable x(Tensor::scalar(3), true);
  (x * x + x).backward();
  std::printf("2 x + 1 = %.0f\n", x.grad().item());
  (x * x + x).backward();
  std::printf("after a second backward: %.0f\n", x.grad().item());
  x.zero_grad();
  (x * x.detach() + x).backward();
  std::printf("one factor detached: x + 1 = %.0f\n", x.grad().item());
}
