// Tuned matrix products (gemm.h) on the engine of implicit_gemm.h, which describes tiles, shared memory, determinism, FLOPs and bytes.
// Three arrangements of the operands are compiled: rows along k for both (x w^T), for the left one only (dy w), for none (dy^T x). The
// fourth, for the right one only, is the second with the operands exchanged: c^T = b a^T.
#include "ops_cuda/gemm.h"

#include <utility>

#include "ops_cuda/implicit_gemm.h"

namespace limbeck::cuda {
namespace {

template <bool a_along_k, bool b_along_k>
struct StoredProblem {
  using A = StoredMatrix<a_along_k>;
  using B = StoredMatrix<b_along_k>;
  struct Item {
    A a;
    B b;
    int m, n, k;
    float* out;
    const float* bias;
  };
  A a;
  B b;
  int m, n, k;
  float* c;
  const float* bias;
  int64_t a_item, b_item, c_item;
  int row_stride, column_stride;

  __device__ Item item(int z) const {
    Item i{a, b, m, n, k, c + z * c_item, bias ? bias + int64_t{z} * n : nullptr};
    i.a.data += z * a_item;
    i.b.data += z * b_item;
    return i;
  }
  __device__ int row_offset(const Item&, int row) const { return row * row_stride; }
};

bool fours(int64_t a, int64_t b) { return a % 4 == 0 && b % 4 == 0; }

/// `rows` of the operand, `k` of one term.
template <bool along_k>
StoredMatrix<along_k> stored(const Matrix& m, int64_t rows, int64_t k) {
  StoredMatrix<along_k> s;
  s.data = m.data;
  s.vectors = fours(m.pitch, along_k ? k : rows) && fours(m.item, m.term) && aligned_for(4, m.data);
  s.pitch = static_cast<int>(m.pitch);
  s.term = static_cast<int>(m.term);
  s.inner = FastDivision(std::max<int64_t>(1, k));
  return s;
}

template <bool a_along_k, bool b_along_k>
void run(const Product& p, const Tensor& to) {
  const int64_t k = p.terms * p.k;
  const StoredProblem<a_along_k, b_along_k> problem{stored<a_along_k>(p.a, p.m, p.k), stored<b_along_k>(p.b, p.n, p.k), static_cast<int>(p.m),
                                                    static_cast<int>(p.n), static_cast<int>(k), p.c, p.bias, p.a.item, p.b.item, p.c_item, static_cast<int>(p.c_row),
                                                    static_cast<int>(p.c_column)};
  run_products<Tile128x32, Tile64x64, Tile128x128>(problem, p.items, p.m, p.n, k, to);
}

/// c^T = b a^T.
Product exchanged(Product p) {
  LIMBECK_CHECK(!p.bias, "gemm: the bias of an exchanged product would lie along its rows");
  std::swap(p.a, p.b);
  std::swap(p.m, p.n);
  std::swap(p.c_row, p.c_column);
  return p;
}

}  // namespace

bool gemm_serves(int64_t m, int64_t n, int64_t k, int64_t items) {
  const int64_t limit = largest_product / std::max<int64_t>(1, items);
  return m < (1 << 24) && n < (1 << 24) && k < (1 << 24) && m * k <= limit && n * k <= limit && m * n <= limit;
}

void gemm(const Product& p, const Tensor& c_of) {
  const bool same = p.a.k_contiguous == p.b.k_contiguous;
  // A narrow tile is 128 rows tall: the longer side of the product belongs there.
  if ((same && !p.bias && p.m <= 32 && p.n > p.m) || (!p.a.k_contiguous && p.b.k_contiguous)) return gemm(exchanged(p), c_of);
  if (p.a.k_contiguous) return p.b.k_contiguous ? run<true, true>(p, c_of) : run<true, false>(p, c_of);
  run<false, false>(p, c_of);
}

}  // namespace limbeck::cuda
