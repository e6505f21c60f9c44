// Straight lines beside numbers computed by hand and quantiles of tables.
#include "apps/line_fit.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tensor/error.h"

namespace limbeck::report {
namespace {

TEST(Regression, QuantilesOfStudentsT) {
  EXPECT_NEAR(student_t_95(1), 12.7062, 1e-3);
  EXPECT_NEAR(student_t_95(3), 3.18245, 1e-4);
  EXPECT_NEAR(student_t_95(10), 2.22814, 1e-4);
  EXPECT_NEAR(student_t_95(1000), 1.96234, 1e-4);
  EXPECT_THROW(student_t_95(0), Error);
}

TEST(Regression, ALineWithItsConfidence) {
  const LineFit exact = fit_line({1, 2, 4}, {3, 5, 9});
  EXPECT_NEAR(exact.intercept, 1, 1e-12);
  EXPECT_NEAR(exact.slope, 2, 1e-12);
  EXPECT_NEAR(exact.slope_half, 0, 1e-6);
  EXPECT_NEAR(exact.r_squared, 1, 1e-12);
  // By hand: slope 6 / 10, residuals -0.2 0.2 0.6 -1 0.4 (squares 1.6), s^2 = 1.6 / 3.
  const LineFit f = fit_line({1, 2, 3, 4, 5}, {1, 2, 3, 2, 4});
  EXPECT_NEAR(f.slope, 0.6, 1e-12);
  EXPECT_NEAR(f.intercept, 0.6, 1e-12);
  EXPECT_NEAR(f.r_squared, 36.0 / (10 * 5.2), 1e-12);
  EXPECT_NEAR(f.slope_half, 3.18245 * std::sqrt(1.6 / 3 / 10), 1e-4);
  EXPECT_NEAR(f.intercept_half, 3.18245 * std::sqrt(1.6 / 3 * (0.2 + 0.9)), 1e-4);
  EXPECT_TRUE(std::isnan(fit_line({1, 2, 3}, {4, 4, 4}).r_squared));
}

TEST(Regression, RefusesWhatHasNoLine) {
  EXPECT_THROW(fit_line({1, 2}, {1, 2}), Error);
  EXPECT_THROW(fit_line({1, 2, 3}, {1, 2}), Error);
  EXPECT_THROW(fit_line({2, 2, 2}, {1, 2, 3}), Error);
}

}  // namespace
}  // namespace limbeck::report
