#include "kd/ranks.h"

namespace limbeck::kd {
namespace {

/// [n, K, 1] and [n, 1, K]: entry i beside entry j.
std::pair<Variable, Variable> sides(const Variable& x) {
  const int64_t n = x.size(0), k = x.size(1);
  return {reshape(x, {n, k, 1}), reshape(x, {n, 1, k})};
}

}  // namespace

Variable exact_ranks(const Variable& x) {
  const NoGrad no_grad;
  const auto [i, j] = sides(Variable(x.data()));
  const Variable one(Tensor::full({}, 1, x.dtype(), x.data().device()));
  const Variable half_or_none = where(equal(i.data(), j.data()), one * 0.5, one * 0.0);
  return sum(where(greater(i.data(), j.data()), one, half_or_none), {2}) + 0.5;
}

Variable soft_ranks(const Variable& x, double softness) {
  const auto [i, j] = sides(x);
  return sum(sigmoid((i - j) * (1 / softness)), {2}) + 0.5;
}

Tensor descending_ranks(int64_t k, const Tensor& like) {
  std::vector<double> ranks;
  for (int64_t rank = k; rank > 0; --rank) ranks.push_back(static_cast<double>(rank));
  return Tensor::of(ranks).to(like.dtype()).to(like.device());
}

Variable projected_ranks(const Variable& x, double eps, const Tensor& descending) {
  const auto [sorted, order] = topk(x * (1 / eps), x.size(1));
  const Variable ranks = sorted - apply1("isotonic", {sorted - Variable(descending)});
  const Variable nothing(Tensor::zeros(x.shape(), x.dtype(), x.data().device()));
  return scatter_add(nothing, order, ranks);
}

Variable standardised_rows(const Variable& x) {
  return (x - mean(x, {1}, true)) / sqrt(var(x, {1}, false, true) + 1e-12);
}

}  // namespace limbeck::kd
