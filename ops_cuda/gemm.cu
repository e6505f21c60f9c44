// Tuned matrix products (gemm.h) on the engine of implicit_gemm.h, which describes tiles, shared
// memory, determinism, FLOPs and bytes. Three arrangements of the operands are compiled: rows along
// k for both (x w^T), for the left one only (dy w), for none (dy^T x). The fourth, for the right
// one only, is the second with the operands exchanged: c^T = b a^T. With bf16 activations and f32
// weights only the first two occur, with bf16 operands and an f32 result (the gradient of a weight)
// only the third.
#include "ops_cuda/gemm.h"

#include <type_traits>
#include <utility>

#include "ops_cuda/implicit_gemm.h"

namespace limbeck::cuda {
namespace {

template <class TypeA, class TypeB, class TypeC, bool a_along_k, bool b_along_k>
struct StoredProblem {
  using A = StoredMatrix<TypeA, a_along_k>;
  using B = StoredMatrix<TypeB, b_along_k>;
  struct Item {
    A a;
    B b;
    int m, n, k;
    TypeC* out;
    const float* bias;
  };
  A a;
  B b;
  int m, n, k;
  TypeC* c;
  const float* bias;
  int64_t a_item, b_item, c_item;
  int row_stride, column_stride;
  bool pairs;

  __device__ Item item(int z) const {
    Item i{a, b, m, n, k, c + z * c_item, bias ? bias + int64_t{z} * n : nullptr};
    i.a.data += z * a_item;
    i.b.data += z * b_item;
    return i;
  }
  __device__ int row_offset(const Item&, int row) const { return row * row_stride; }
};

/// `rows` of the operand, `k` of one term.
template <bool along_k, class E>
StoredMatrix<E, along_k> stored(const Matrix<E>& m, int64_t rows, int64_t k) {
  StoredMatrix<E, along_k> s;
  s.data = m.data;
  s.width = copy_width(m.data, {m.pitch, along_k ? k : rows, m.item, m.term});
  s.pitch = static_cast<int>(m.pitch);
  s.term = static_cast<int>(m.term);
  s.inner = FastDivision(std::max<int64_t>(1, k));
  return s;
}

template <bool a_along_k, bool b_along_k, class A, class B, class C>
void run(const Product<A, B, C>& p, const Tensor& to) {
  const int64_t k = p.terms * p.k;
  const bool pairs = p.c_column == 1 && p.c_row % 2 == 0 && p.c_item % 2 == 0 && p.n % 2 == 0 &&
                     aligned_for(2, p.c);
  const StoredProblem<A, B, C, a_along_k, b_along_k> problem{stored<a_along_k>(p.a, p.m, p.k),
                                                             stored<b_along_k>(p.b, p.n, p.k),
                                                             static_cast<int>(p.m),
                                                             static_cast<int>(p.n),
                                                             static_cast<int>(k),
                                                             p.c,
                                                             p.bias,
                                                             p.a.item,
                                                             p.b.item,
                                                             p.c_item,
                                                             static_cast<int>(p.c_row),
                                                             static_cast<int>(p.c_column),
                                                             pairs};
  run_products<Tile128x32, Tile64x64, Tile128x128>(problem, p.items, p.m, p.n, k, to);
}

/// c^T = b a^T.
template <class A, class C>
Product<A, A, C> exchanged(Product<A, A, C> p) {
  LIMBECK_CHECK(!p.bias, "gemm: the bias of an exchanged product would lie along its rows");
  std::swap(p.a, p.b);
  std::swap(p.m, p.n);
  std::swap(p.c_row, p.c_column);
  return p;
}

}  // namespace

bool gemm_serves(int64_t m, int64_t n, int64_t k, int64_t items) {
  const int64_t limit = largest_product / std::max<int64_t>(1, items);
  return m < (1 << 24) && n < (1 << 24) && k < (1 << 24) && m * k <= limit && n * k <= limit &&
         m * n <= limit;
}

template <class A, class B, class C>
void gemm(const Product<A, B, C>& p, const Tensor& c_of) {
  constexpr bool gradient_of_weights = std::is_same_v<A, B> && !std::is_same_v<B, C>;
  if constexpr (gradient_of_weights) {
    if (p.a.k_contiguous && p.m == 1) {  // a single row lies along k and across it
      Product<A, B, C> across = p;
      across.a.k_contiguous = false, across.a.pitch = 1;
      return gemm(across, c_of);
    }
  }
  if constexpr (std::is_same_v<A, B>) {
    const bool same = p.a.k_contiguous == p.b.k_contiguous;
    // A narrow tile is 128 rows tall: the longer side of the product belongs there.
    if ((same && !p.bias && p.m <= 32 && p.n > p.m) || (!p.a.k_contiguous && p.b.k_contiguous))
      return gemm(exchanged(p), c_of);
    if (!p.a.k_contiguous) return run<false, false>(p, c_of);
  }
  LIMBECK_CHECK(p.a.k_contiguous && !gradient_of_weights,
                "gemm: operands of these types are not compiled in this arrangement");
  if constexpr (!gradient_of_weights)
    return p.b.k_contiguous ? run<true, true>(p, c_of) : run<true, false>(p, c_of);
}
template void gemm(const Product<float, float, float>&, const Tensor&);
template void gemm(const Product<bfloat16, float, bfloat16>&, const Tensor&);
template void gemm(const Product<bfloat16, bfloat16, float>&, const Tensor&);
template void gemm(const Product<bfloat16, bfloat16, bfloat16>&, const Tensor&);

}  // namespace limbeck::cuda
