#include "gan/symmetric_eigen.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tensor/error.h"

namespace limbeck::gan {
namespace {

/// Reduces a (n x n, overwritten by the accumulated orthogonal matrix Q) to the tridiagonal Q^T A Q
/// = (diagonal, sub). sub[i] couples i-1 and i; sub[0] = 0. One Householder reflection I - u u^T /
/// h per row, from the last one up.
void tridiagonalise(std::vector<double>& a, int64_t n, std::vector<double>& diagonal,
                    std::vector<double>& sub) {
  auto at = [&](int64_t i, int64_t j) -> double& { return a[static_cast<size_t>(i * n + j)]; };
  std::vector<double> h_of(static_cast<size_t>(n), 0.0), p(static_cast<size_t>(n));
  for (int64_t i = n - 1; i > 0; --i) {
    double scale = 0, h = 0;
    for (int64_t k = 0; k < i; ++k) scale += std::abs(at(i, k));
    if (i == 1 || scale == 0) {
      sub[static_cast<size_t>(i)] = at(i, i - 1);
      continue;
    }
    for (int64_t k = 0; k < i; ++k) {
      at(i, k) /= scale;
      h += at(i, k) * at(i, k);
    }
    const double f = at(i, i - 1), g = f >= 0 ? -std::sqrt(h) : std::sqrt(h);
    sub[static_cast<size_t>(i)] = scale * g;
    h -= f * g;
    at(i, i - 1) = f - g;  // row i now holds u
    double up = 0;
    for (int64_t j = 0; j < i; ++j) {
      double sum = 0;
      for (int64_t k = 0; k <= j; ++k) sum += at(j, k) * at(i, k);
      for (int64_t k = j + 1; k < i; ++k) sum += at(k, j) * at(i, k);
      p[static_cast<size_t>(j)] = sum / h;
      up += p[static_cast<size_t>(j)] * at(i, j);
    }
    const double half = up / (2 * h);
    for (int64_t j = 0; j < i; ++j) p[static_cast<size_t>(j)] -= half * at(i, j);
    for (int64_t j = 0; j < i; ++j)  // A := A - u q^T - q u^T on the lower triangle
      for (int64_t k = 0; k <= j; ++k)
        at(j, k) -= at(i, j) * p[static_cast<size_t>(k)] + p[static_cast<size_t>(j)] * at(i, k);
    h_of[static_cast<size_t>(i)] = h;
  }
  sub[0] = 0;
  for (int64_t i = 0; i < n; ++i) {  // Q is built from the top left corner outwards
    const double h = h_of[static_cast<size_t>(i)];
    if (h != 0)
      for (int64_t j = 0; j < i; ++j) {
        double g = 0;
        for (int64_t k = 0; k < i; ++k) g += at(i, k) * at(k, j);
        for (int64_t k = 0; k < i; ++k) at(k, j) -= g / h * at(i, k);
      }
    diagonal[static_cast<size_t>(i)] = at(i, i);
    at(i, i) = 1;
    for (int64_t j = 0; j < i; ++j) at(j, i) = at(i, j) = 0;
  }
}

/// Implicit QL with Wilkinson's shift on (diagonal, sub), rotating the rows of `vt` (eigenvectors
/// as rows, for contiguous access).
void implicit_ql(std::vector<double>& d, std::vector<double>& e, std::vector<double>& vt,
                 int64_t n) {
  std::rotate(e.begin(), e.begin() + 1, e.end());  // e[i] now couples i and i + 1
  for (int64_t l = 0; l < n; ++l) {
    for (int iteration = 0;; ++iteration) {
      int64_t m = l;
      for (; m < n - 1; ++m) {
        const double around =
            std::abs(d[static_cast<size_t>(m)]) + std::abs(d[static_cast<size_t>(m + 1)]);
        if (std::abs(e[static_cast<size_t>(m)]) <= 2.2e-16 * around) break;
      }
      if (m == l) break;
      LIMBECK_CHECK(iteration < 60, "symmetric_eigen: no convergence for eigenvalue ", l, " of ",
                    n);
      double g = (d[static_cast<size_t>(l + 1)] - d[static_cast<size_t>(l)]) /
                 (2 * e[static_cast<size_t>(l)]);
      double r = std::hypot(g, 1.0);
      g = d[static_cast<size_t>(m)] - d[static_cast<size_t>(l)] +
          e[static_cast<size_t>(l)] / (g + std::copysign(r, g));
      double s = 1, c = 1, p = 0;
      int64_t i = m - 1;
      for (; i >= l; --i) {
        const double f = s * e[static_cast<size_t>(i)], b = c * e[static_cast<size_t>(i)];
        r = std::hypot(f, g);
        e[static_cast<size_t>(i + 1)] = r;
        if (r == 0) {  // underflow: split here
          d[static_cast<size_t>(i + 1)] -= p;
          e[static_cast<size_t>(m)] = 0;
          break;
        }
        s = f / r;
        c = g / r;
        g = d[static_cast<size_t>(i + 1)] - p;
        r = (d[static_cast<size_t>(i)] - g) * s + 2 * c * b;
        p = s * r;
        d[static_cast<size_t>(i + 1)] = g + p;
        g = c * r - b;
        double* lower = &vt[static_cast<size_t>(i * n)];
        double* upper = &vt[static_cast<size_t>((i + 1) * n)];
        for (int64_t k = 0; k < n; ++k) {
          const double x = upper[k];
          upper[k] = s * lower[k] + c * x;
          lower[k] = c * lower[k] - s * x;
        }
      }
      if (r == 0 && i >= l) continue;
      d[static_cast<size_t>(l)] -= p;
      e[static_cast<size_t>(l)] = g;
      e[static_cast<size_t>(m)] = 0;
    }
  }
}

void transpose(std::vector<double>& a, int64_t n) {
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < i; ++j)
      std::swap(a[static_cast<size_t>(i * n + j)], a[static_cast<size_t>(j * n + i)]);
}

}  // namespace

SymmetricEigen symmetric_eigen(const std::vector<double>& a, int64_t n) {
  LIMBECK_CHECK(n > 0 && static_cast<int64_t>(a.size()) == n * n, "symmetric_eigen: ", a.size(),
                " entries for a ", n, " x ", n, " matrix");
  for (double v : a)
    LIMBECK_CHECK(std::isfinite(v), "symmetric_eigen: the matrix has an entry ", v);
  std::vector<double> q = a, d(static_cast<size_t>(n)), e(static_cast<size_t>(n));
  tridiagonalise(q, n, d, e);
  transpose(q, n);
  implicit_ql(d, e, q, n);
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int64_t i, int64_t j) {
    return d[static_cast<size_t>(i)] < d[static_cast<size_t>(j)];
  });
  SymmetricEigen result{std::vector<double>(static_cast<size_t>(n)),
                        std::vector<double>(static_cast<size_t>(n * n))};
  for (int64_t j = 0; j < n; ++j) {
    const int64_t from = order[static_cast<size_t>(j)];
    result.values[static_cast<size_t>(j)] = d[static_cast<size_t>(from)];
    for (int64_t k = 0; k < n; ++k)
      result.vectors[static_cast<size_t>(k * n + j)] = q[static_cast<size_t>(from * n + k)];
  }
  return result;
}

std::vector<double> matrix_sqrt(const std::vector<double>& a, int64_t n) {
  const SymmetricEigen eigen = symmetric_eigen(a, n);
  std::vector<double> left = eigen.vectors, right = eigen.vectors;
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j)
      left[static_cast<size_t>(i * n + j)] *=
          std::sqrt(std::max(0.0, eigen.values[static_cast<size_t>(j)]));
  transpose(right, n);
  return matrix_product(left, right, n);
}

std::vector<double> matrix_product(const std::vector<double>& a, const std::vector<double>& b,
                                   int64_t n) {
  std::vector<double> c(static_cast<size_t>(n * n), 0.0);
#pragma omp parallel for
  for (int64_t i = 0; i < n; ++i)
    for (int64_t k = 0; k < n; ++k) {
      const double x = a[static_cast<size_t>(i * n + k)];
      for (int64_t j = 0; j < n; ++j)
        c[static_cast<size_t>(i * n + j)] += x * b[static_cast<size_t>(k * n + j)];
    }
  return c;
}

}  // namespace limbeck::gan
