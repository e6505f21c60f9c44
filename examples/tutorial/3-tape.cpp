// Station 3: the tape. A loss is computed, listed, and walked backwards.
#include <cstdio>
#include <map>
#include <string>

#include "autograd/functions.h"
#include "autograd/trace.h"

using namespace limbeck;

namespace {

/// The operator calls of a forward, with names for what went in and came out.
void print_calls(const OperatorTrace& trace,
                 std::map<const detail::VariableImpl*, std::string> names) {
  for (const OperatorCall& call : trace.calls()) {
    const auto out = names.emplace(call.outputs[0].impl(), "v" + std::to_string(names.size() - 3));
    std::string in;
    for (const Variable& v : call.inputs) in += (in.empty() ? "" : ", ") + names[v.impl()];
    std::printf("%s = %s(%s)  %s\n", out.first->second.c_str(), call.name.c_str(), in.c_str(),
                to_string(call.outputs[0].shape()).c_str());
  }
}

void print(const char* name, const Tensor& t) {
  std::printf("%s", name);
  for (int64_t i = 0; i < t.numel(); ++i) std::printf(" %.2f", t.at(i));
  std::printf("\n");
}

}  // namespace

int main() {
  const Variable x(Tensor::of<float>({1, 2, 3})), t(Tensor::of<float>({3, 5, 6}));
  const Variable w(Tensor::scalar(1.5), true), b(Tensor::scalar(0.5), true);
  const auto loss_of = [&] { return mean(square(w * x + b - t)); };

  OperatorTrace trace;
  const Variable loss = loss_of();
  print_calls(trace, {{w.impl(), "w"}, {x.impl(), "x"}, {b.impl(), "b"}, {t.impl(), "t"}});
  std::printf("loss %.4f\n", loss.item());
  loss.backward();
  print("dw", w.grad());
  print("db", b.grad());

  loss_of().backward();
  print("a second backward adds: dw", w.grad());
  const Variable late = loss_of();
  w.data().fill(0);
  try {
    late.backward();
  } catch (const Error& e) {
    std::printf("w changed under the tape: %s\n", e.what());
  }
  const NoGrad no_grad;
  std::printf("without a tape: requires_grad %s\n", loss_of().requires_grad() ? "yes" : "no");
}
