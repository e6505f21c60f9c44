// Eigenvalues and eigenvectors of a real symmetric matrix, and its square root, in f64.
#pragma once
#include <cstdint>
#include <vector>

namespace limbeck::gan {

/// a = V diag(values) V^T; row-major n x n, vectors in the columns of `vectors`, values ascending.
struct SymmetricEigen {
  std::vector<double> values;
  std::vector<double> vectors;
};

/// Householder tridiagonalisation and the implicit QL method (Golub & Van Loan, "Matrix
/// Computations", 8.3; Bowdler, Martin, Reinsch, Wilkinson 1968). Only the lower triangle is read.
/// Throws when a value is not finite or QL does not converge.
SymmetricEigen symmetric_eigen(const std::vector<double>& a, int64_t n);

/// Principal square root of a symmetric positive semi-definite matrix; eigenvalues below zero
/// (rounding) count as zero.
std::vector<double> matrix_sqrt(const std::vector<double>& a, int64_t n);

/// Row-major n x n product.
std::vector<double> matrix_product(const std::vector<double>& a, const std::vector<double>& b,
                                   int64_t n);

}  // namespace limbeck::gan
