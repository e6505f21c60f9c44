// The packed matrix product: all transposes, leading dimensions wider than the rows, bias,
// accumulation, batches, use in a parallel region.
#include "ops_cpu/gemm.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "ops_cpu/isa.h"
#include "tensor/random.h"

namespace limbeck {
namespace {

std::vector<float> values(int64_t count, uint64_t seed) {
  Stream stream(seed);
  std::vector<float> v(count);
  for (float& x : v) x = static_cast<float>(stream.uniform(-1, 1));
  return v;
}

struct Size {
  int64_t m, n, k;
};

/// Runs one product with rows `gap` floats longer than needed and compares every element, and the
/// gaps, with the definition.
void check(Size s, bool ta, bool tb, bool bias, bool accumulate, int64_t gap) {
  const int64_t lda = (ta ? s.m : s.k) + gap, ldb = (tb ? s.k : s.n) + gap, ldc = s.n + gap;
  const std::vector<float> a = values((ta ? s.k : s.m) * lda, 1),
                           b = values((tb ? s.n : s.k) * ldb, 2), bias_values = values(s.n, 3);
  const std::vector<float> before = values(s.m * ldc, 4);
  std::vector<float> c = before;
  gemm({ta, tb, s.m, s.n, s.k, a.data(), lda, b.data(), ldb, c.data(), ldc,
        bias ? bias_values.data() : nullptr, accumulate});
  // k roundings, each of a sum that grows like sqrt(k)
  const double k = static_cast<double>(s.k),
               tolerance = std::max(2e-6 * std::sqrt(k + 4), 6e-8 * k);
  for (int64_t i = 0; i < s.m; ++i) {
    for (int64_t j = 0; j < s.n; ++j) {
      double sum = accumulate ? before[i * ldc + j] : bias ? bias_values[j] : 0;
      for (int64_t l = 0; l < s.k; ++l)
        sum += double(a[ta ? l * lda + i : i * lda + l]) * b[tb ? j * ldb + l : l * ldb + j];
      ASSERT_NEAR(c[i * ldc + j], sum, tolerance) << s.m << "x" << s.n << "x" << s.k << " ta " << ta
                                                  << " tb " << tb << " at " << i << "," << j;
    }
    for (int64_t j = s.n; j < ldc; ++j)
      ASSERT_EQ(c[i * ldc + j], before[i * ldc + j]) << "wrote beyond row " << i;
  }
}

TEST(Gemm, AllTransposesAndOddSizes) {
  for (Isa isa : {Isa::base, Isa::avx2, Isa::avx512}) {
    if (isa > best_isa()) continue;
    const ExecutionScope use(with(&Execution::isa, isa));
    for (Size s : {Size{1, 1, 1},
                   {5, 3, 7},
                   {8, 32, 16},
                   {9, 33, 300},
                   {97, 65, 31},
                   {200, 16, 513},
                   {3, 130, 2},
                   {7, 5, 8200},  // a sum in parts
                   {4, 5, 0}})
      for (int t = 0; t < 4; ++t) {
        check(s, t & 1, t & 2, false, false, 0);
        check(s, t & 1, t & 2, true, false, 3);
        check(s, t & 1, t & 2, false, true, 1);
      }
  }
}

TEST(Gemm, LargeEnoughForThreads) {
  for (int t = 0; t < 4; ++t) check({250, 170, 90}, t & 1, t & 2, true, false, 2);
}

TEST(Gemm, SameBitsForEveryThreadCountAndInsideParallelRegions) {
  const Size s{150, 140, 530};
  const std::vector<float> a = values(s.m * s.k, 5), b = values(s.k * s.n, 6);
  const int previous = omp_get_max_threads();
  std::vector<std::vector<float>> results;
  for (int threads : {1, 2, 3, 7}) {
    omp_set_num_threads(threads);
    results.emplace_back(s.m * s.n);
    gemm({false, false, s.m, s.n, s.k, a.data(), s.k, b.data(), s.n, results.back().data(), s.n});
  }
  omp_set_num_threads(previous);
  std::vector<std::vector<float>> inside(2, std::vector<float>(s.m * s.n));
#pragma omp parallel for num_threads(2)
  for (int i = 0; i < 2; ++i)
    gemm({false, false, s.m, s.n, s.k, a.data(), s.k, b.data(), s.n, inside[i].data(), s.n});
  results.insert(results.end(), inside.begin(), inside.end());
  for (const auto& r : results) EXPECT_EQ(r, results[0]);
}

TEST(Gemm, BatchEqualsSingleProducts) {
  const Size s{13, 21, 17};
  const int64_t count = 9;
  const std::vector<float> a = values(count * s.m * s.k, 7), b = values(s.k * s.n, 8);
  std::vector<float> batch(count * s.m * s.n), single(batch.size());
  const Gemm g{false, false, s.m, s.n, s.k, a.data(), s.k, b.data(), s.n, batch.data(), s.n};
  gemm_batch(g, count, s.m * s.k, 0, s.m * s.n);
  for (int64_t i = 0; i < count; ++i) {
    Gemm one = g;
    one.a += i * s.m * s.k;
    one.c = single.data() + i * s.m * s.n;
    gemm(one);
  }
  EXPECT_EQ(batch, single);
}

TEST(Isa, OverrideAppliesAndUnavailableSetsAreRefused) {
  {
    const ExecutionScope use(with(&Execution::isa, Isa::base));
    EXPECT_EQ(current_isa(), Isa::base);
  }
  EXPECT_LE(current_isa(), best_isa());
  if (best_isa() < Isa::avx512) {
    const ExecutionScope use(with(&Execution::isa, Isa::avx512));
    EXPECT_ANY_THROW(current_isa());
  }
}

}  // namespace
}  // namespace limbeck
