// Exercise 5: F(2, 3), two outputs of a filter with three taps from four products instead of six.
#include <array>
#include <cstdio>

namespace {

using Four = std::array<double, 4>;
using Three = std::array<double, 3>;
using Two = std::array<double, 2>;

Two directly(const Four& d, const Three& g) {
  return {d[0] * g[0] + d[1] * g[1] + d[2] * g[2], d[1] * g[0] + d[2] * g[1] + d[3] * g[2]};
}

Two by_winograd(const Four& d, const Three& g) {
  const Four transformed_input = {d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]},
             transformed_filter = {g[0], (g[0] + g[1] + g[2]) / 2, (g[0] - g[1] + g[2]) / 2, g[2]};
  Four m;
  for (size_t i = 0; i < 4; ++i) m[i] = transformed_input[i] * transformed_filter[i];
  return {m[0] + m[1] + m[2], m[1] - m[2] - m[3]};
}

}  // namespace

int main() {
  const Four d = {1, 2, 4, 8};
  const Three g = {3, -1, 0.5};
  const Two y = directly(d, g), z = by_winograd(d, g);
  std::printf("directly, 6 products: %g %g\nWinograd, 4 products: %g %g\n", y[0], y[1], z[0], z[1]);
}
