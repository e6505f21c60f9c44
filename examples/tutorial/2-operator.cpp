// Station 2: an operator, its backward, and a wrong backward that a cotangent of ones hides.
#include <cstdio>

#include "ops/central_difference.h"
#include "ops/op.h"
#include "tensor/random.h"

using namespace limbeck;

namespace {

const Op& softmax_op() { return find_op("softmax"); }

Tensor forward(const Tensor& x) { return run_forward(softmax_op(), {x}, {})[0]; }

Tensor backward(const Tensor& x, const Tensor& y, const Tensor& dy) {
  return run_backward(softmax_op(), {{}}, {y}, {dy}, {{x.shape(), x.dtype()}}, {true}, {})[0];
}

/// Right would be y (dy - sum dy y): here the mean of dy stands where its weighted sum belongs.
double wrong_backward(const Tensor& y, const Tensor& dy, int64_t i) {
  double mean = 0;
  for (int64_t k = 0; k < dy.numel(); ++k) mean += dy.at(k) / static_cast<double>(dy.numel());
  return y.at(i) * (dy.at(i) - mean);
}

void compare(const char* title, const Tensor& x, const Tensor& dy) {
  const Tensor y = forward(x), dx = backward(x, y, dy);
  std::printf("%s\n       x       y      dy      dx   slope   wrong\n", title);
  for (int64_t i = 0; i < x.numel(); ++i) {
    double& element = x.data<double>()[i];
    const double slope =
        central_difference(element, 1e-6, {dy}, [&] { return std::vector<Tensor>{forward(x)}; });
    std::printf("%8.3f%8.3f%8.3f%8.3f%8.3f%8.3f\n", x.at(i), y.at(i), dy.at(i), dx.at(i), slope,
                wrong_backward(y, dy, i));
  }
}

}  // namespace

int main() {
  const Op& op = softmax_op();
  std::printf("%s:\n%s\nbackward reads %zu inputs and %zu output\n\n", op.name.c_str(),
              op.formula.c_str(), op.saved_inputs.size(), op.saved_outputs.size());
  const Tensor x = Tensor::of<double>({0.5, -1, 2, 0, 1});
  compare("cotangent of ones", x, Tensor::full({5}, 1, DType::f64));
  const Tensor random = Tensor::empty({5}, DType::f64);
  Stream(3).fill_uniform(random, -1, 1);
  compare("random cotangent", x, random);
}
