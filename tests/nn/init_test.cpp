#include "nn/init.h"

#include <gtest/gtest.h>

namespace limbeck {
namespace {

/// Largest deviation of the Gram matrix of the shorter side from the identity.
double deviation_from_orthonormal(const Tensor& w) {
  const int64_t rows = w.size(0), columns = w.numel() / rows;
  const bool tall = rows > columns;
  double worst = 0;
  for (int64_t a = 0; a < std::min(rows, columns); ++a)
    for (int64_t b = 0; b <= a; ++b) {
      double dot = 0;
      for (int64_t k = 0; k < std::max(rows, columns); ++k)
        dot += tall ? w.at(k * columns + a) * w.at(k * columns + b)
                    : w.at(a * columns + k) * w.at(b * columns + k);
      worst = std::max(worst, std::abs(dot - (a == b)));
    }
  return worst;
}

TEST(Init, OrthogonalRowsOrColumns) {
  for (const Shape& shape : {Shape{8, 3, 3, 5}, Shape{40, 7}, Shape{6, 6}}) {
    const Variable w(Tensor::zeros(shape, DType::f64), true);
    nn::init::orthogonal(w, Stream(4));
    EXPECT_LT(deviation_from_orthonormal(w.data()), 1e-12) << shape;
  }
}

}  // namespace
}  // namespace limbeck
