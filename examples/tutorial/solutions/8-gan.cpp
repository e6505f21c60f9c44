// Exercise 8: where the hinge loss leaves the discriminator without a gradient, and where it leaves
// the generator without one.
#include <cstdio>

#include "gan/losses.h"

using namespace limbeck;
using namespace limbeck::gan;

namespace {

double slope(Variable (*loss)(const Variable&), double s) {
  const Variable score(Tensor::full({1, 1}, s), true);
  loss(score).backward();
  return score.grad().item() + 0.0;  // no negative zeros
}
Variable on_real(const Variable& s) { return real_loss(AdversarialLoss::hinge, s); }
Variable on_fake(const Variable& s) { return fake_loss(AdversarialLoss::hinge, s); }
Variable of_generator(const Variable& s) { return generator_loss(AdversarialLoss::hinge, s); }

}  // namespace

int main() {
  for (const double s : {-1.5, -0.5, 0.5, 1.5})
    std::printf("score %4.1f: D on real %2.0f, D on fake %2.0f, G %2.0f\n", s, slope(on_real, s),
                slope(on_fake, s), slope(of_generator, s));
}
