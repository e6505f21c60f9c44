// Exercise 10: with centred logits and a high temperature, T^2 KL is half the squared difference of
// the logits, averaged over the classes (Hinton et al. 2015, section 2.1).
#include <cstdio>

#include "autograd/functions.h"

using namespace limbeck;

int main() {
  const Tensor teacher = Tensor::of<float>({4, 1, 0, -2, -3}, {1, 5}),
               student = Tensor::of<float>({1, 2, -1, 0, -2}, {1, 5});
  const double limit = mse_loss(student, teacher).item() / 2;
  for (const double t : {1.0, 4.0, 16.0, 64.0})
    std::printf("T %2.0f: T^2 KL %.3f, limit %.3f\n", t,
                distillation_loss(student, teacher, t).item(), limit);
}
