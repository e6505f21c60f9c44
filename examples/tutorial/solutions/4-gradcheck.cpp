// Exercise 4: relu where it has a kink, and beside it.
#include <cstdio>

#include "autograd/functions.h"
#include "autograd/gradcheck.h"

using namespace limbeck;

namespace {

void check(const char* where, double x) {
  const GradcheckReport report = gradcheck([](const Variables& v) { return relu(v[0]); },
                                           {Variable(Tensor::full({1}, x, DType::f64), true)});
  std::printf("%s: %s\n", where, report.ok ? "ok" : "differs");
}

}  // namespace

int main() {
  check("relu at 0", 0);
  check("relu at 0.1", 0.1);
  std::printf("the table says: keep away from %g\n", find_op("relu").kinks.at(0));
}
