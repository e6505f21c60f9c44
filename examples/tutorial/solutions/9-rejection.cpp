// Exercise 9: M of the example in closed form, and the share that is accepted.
//   ln r = ln 2 + x^2 / 2 - 2 (x - 1)^2 is largest at x = 4/3, where r = 2 e^(2/3)
#include <cmath>
#include <cstdio>
#include <numbers>

int main() {
  const double bound = 2 * std::exp(2.0 / 3);
  double share = 0;
  for (double x = -8; x < 8; x += 1e-3) {
    const double fake = std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi),
                 ratio = 2 * std::exp(x * x / 2 - 2 * (x - 1) * (x - 1));
    share += fake * ratio / bound * 1e-3;
  }
  std::printf("M %.3f, 1/M %.1f %%, integral of p_fake r/M %.1f %%\n", bound, 100 / bound,
              100 * share);
}
