// isotonic beside brute force: of all ways to cut a row into runs of equal values, the admissible
// one nearest to it.
#include <gtest/gtest.h>

#include <limits>

#include "autograd/functions.h"

namespace limbeck {
namespace {

using Row = std::vector<double>;

/// The means of x over the runs that end where a bit of `cuts` is set.
Row means_of_runs(const Row& x, uint32_t cuts) {
  Row y;
  double sum = 0;
  size_t length = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    sum += x[i], ++length;
    if (i + 1 < x.size() && !(cuts >> i & 1)) continue;
    y.insert(y.end(), length, sum / static_cast<double>(length));
    sum = 0, length = 0;
  }
  return y;
}

Row nearest_of_all(const Row& x) {
  Row best;
  double least = std::numeric_limits<double>::infinity();
  for (uint32_t cuts = 0; cuts < (1u << (x.size() - 1)); ++cuts) {
    const Row y = means_of_runs(x, cuts);
    double distance = 0;
    bool falls = true;
    for (size_t i = 0; i < x.size(); ++i) {
      distance += (x[i] - y[i]) * (x[i] - y[i]);
      falls = falls && (i == 0 || y[i] <= y[i - 1] + 1e-12);
    }
    if (falls && distance < least) least = distance, best = y;
  }
  return best;
}

Variable isotonic(const Tensor& x) { return apply1("isotonic", {Variable(x, true)}); }

TEST(Isotonic, IsTheNearestOfAllCutsIntoRuns) {
  for (const int64_t n : {1, 2, 3, 5, 8, 11}) {
    Tensor x = Tensor::empty({20, n}, DType::f64);
    Stream(static_cast<uint64_t>(n)).fill_normal(x, 0, 2);
    for (int64_t i = 0; i < 5 * n; ++i)  // some rows with ties
      x.data<double>()[i] = std::round(x.data<double>()[i]);
    const Tensor y = isotonic(x).data();
    for (int64_t row = 0; row < 20; ++row) {
      const Row expected = nearest_of_all(x.rows(row, row + 1).to_vector<double>());
      for (int64_t i = 0; i < n; ++i)
        EXPECT_NEAR(y.at(row * n + i), expected[static_cast<size_t>(i)], 1e-12) << n << " " << row;
    }
  }
}

TEST(Isotonic, SharesTheGradientWithinARun) {
  const Variable x(Tensor::of<double>({5, 1, 3, 2.5, -1}), true);
  const Variable y = apply1("isotonic", {x});
  const Row expected{5, 6.5 / 3, 6.5 / 3, 6.5 / 3, -1};
  for (int64_t i = 0; i < 5; ++i)
    EXPECT_NEAR(y.data().at(i), expected[static_cast<size_t>(i)], 1e-12);
  sum(y * Variable(Tensor::of<double>({1, 2, 3, 7, 5}))).backward();
  EXPECT_EQ(x.grad().to_vector<double>(), (Row{1, 4, 4, 4, 5}));
}

TEST(Isotonic, RefusesWhatHasNoRows) {
  for (const Tensor& x : {Tensor::full({}, 1), Tensor::of<int64_t>({3, 1})}) {
    try {
      apply1("isotonic", {Variable(x)});
      FAIL() << "taken";
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find("isotonic: 'x'"), std::string::npos) << e.what();
    }
  }
}

}  // namespace
}  // namespace limbeck
