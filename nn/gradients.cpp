#include "nn/gradients.h"

namespace limbeck::nn {

void clip_gradients(const std::vector<Parameter>& parameters, double max_norm) {
  LIMBECK_CHECK(max_norm > 0, "clip_gradients: expected a positive norm, found ", max_norm);
  const NoGrad no_grad;
  Variable squares;
  for (const Parameter& p : parameters) {
    if (!p.value.grad().defined()) continue;
    const Variable own = sum(square(Variable(p.value.grad())));
    squares = squares ? squares + own : own;
  }
  if (!squares) return;
  constexpr double largest = 1;  // gradients within the norm stay as they are
  const Variable one(Tensor::full({}, largest, squares.dtype(), squares.data().device()));
  const Variable factor = minimum(one * max_norm / (sqrt(squares) + 1e-6), one);
  for (const Parameter& p : parameters)
    if (p.value.grad().defined()) p.value.set_grad((Variable(p.value.grad()) * factor).data());
}

}  // namespace limbeck::nn
