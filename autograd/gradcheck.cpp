#include "autograd/gradcheck.h"

#include <algorithm>
#include <cmath>

#include "ops/central_difference.h"
#include "tensor/random.h"

namespace limbeck {
namespace {

/// Fresh leaves with the inputs' values, so that the caller's variables stay untouched.
Variables leaves_of(const Variables& inputs) {
  Variables leaves;
  for (const Variable& v : inputs)
    leaves.push_back(v.defined() ? Variable(v.data().clone(), v.requires_grad()) : Variable());
  return leaves;
}

struct Checker {
  const std::function<Variable(const Variables&)>& f;
  const GradcheckOptions& options;
  Variables leaves;
  Tensor cotangent;
  GradcheckReport report;

  Tensors outputs() {
    const NoGrad no_grad;
    return {f(leaves).data()};
  }

  void check_input(size_t i, const Tensor& analytic) {
    const Tensor& data = leaves[i].data();
    const int64_t n = data.numel();
    const int64_t count = options.max_elements > 0 ? std::min(n, options.max_elements) : n;
    for (int64_t k = 0; k < count; ++k) {
      const int64_t e = k * n / count;
      const double numeric = central_difference(data.data<double>()[e], options.step, {cotangent},
                                                [this] { return outputs(); }),
                   exact = analytic.data<double>()[e];
      const double ratio =
          std::abs(exact - numeric) /
          (options.absolute + options.relative * std::max(std::abs(exact), std::abs(numeric)));
      if (ratio <= report.worst) continue;  // NaN falls through
      report.worst = ratio;
      if (!(ratio <= 1)) {
        report.ok = false;
        report.message = cat("input ", i, " element ", e, " of shape ", data.shape(), ": analytic ",
                             exact, ", numeric ", numeric);
      }
    }
  }
};

}  // namespace

GradcheckReport gradcheck(const std::function<Variable(const Variables&)>& f,
                          const Variables& inputs, const GradcheckOptions& options) {
  Checker c{f, options, leaves_of(inputs), {}, {}};
  for (size_t i = 0; i < inputs.size(); ++i)
    LIMBECK_CHECK(!c.leaves[i].requires_grad() || c.leaves[i].dtype() == DType::f64,
                  "gradcheck: input ", i, " is ", c.leaves[i].dtype(), "; expected f64");
  Variable y = f(c.leaves);
  LIMBECK_CHECK(
      y.requires_grad(),
      "gradcheck: the function's value does not depend on an input that requires a gradient");
  c.cotangent = Tensor::empty(y.shape(), DType::f64);
  Stream(options.seed).fill_uniform(c.cotangent, -1, 1);
  y.backward(c.cotangent);
  Tensors first;
  for (const Variable& v : c.leaves)
    first.push_back(v.requires_grad() ? v.grad().clone() : Tensor());
  f(c.leaves).backward(c.cotangent);
  for (size_t i = 0; i < inputs.size() && c.report.ok; ++i) {
    if (!c.leaves[i].requires_grad()) continue;
    if (!first[i].defined() || first[i].shape() != c.leaves[i].shape())
      return {
          false, INFINITY,
          cat("input ", i, ": gradient ", describe(first[i]), " for shape ", c.leaves[i].shape())};
    for (int64_t e = 0; e < first[i].numel(); ++e)
      if (std::abs(c.leaves[i].grad().at(e) - 2 * first[i].at(e)) >
          1e-12 * std::max(1.0, std::abs(first[i].at(e))))
        return {false, INFINITY,
                cat("input ", i, " element ", e, ": a second backward gave ",
                    c.leaves[i].grad().at(e), " instead of twice ", first[i].at(e))};
    c.check_input(i, first[i]);
  }
  return c.report;
}

}  // namespace limbeck
