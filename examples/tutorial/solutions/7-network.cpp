// Exercise 7: SGD with momentum by hand beside nn::SGD, on (w - target)^2.
#include <cstdio>

#include "nn/layers.h"
#include "nn/optim.h"

using namespace limbeck;

int main() {
  nn::Linear layer(1, 1, false);
  layer.weight.data().fill(1);
  nn::SGD sgd(layer.parameters(), {.lr = 0.1, .momentum = 0.9, .weight_decay = 0.01});
  double w = 1, v = 0;
  for (int step = 1; step <= 5; ++step) {
    sgd.zero_grad();
    square(layer.weight - 3.0).backward(Tensor::full({1, 1}, 1));
    sgd.step();
    const double g = 2 * (w - 3) + 0.01 * w;
    v = step == 1 ? g : 0.9 * v + g;
    w -= 0.1 * v;
    std::printf("step %d  by hand %.4f  nn::SGD %.4f\n", step, w, layer.weight.item());
  }
}
