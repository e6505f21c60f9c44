// The engine of the tuned products and convolutions: C = A B^T in tiles, where A and B are read
// through functions that say where element (row, k) lies in memory ("implicit GEMM": the matrix of
// image windows is never stored).
//   c(m, n) = bias(n) + sum_k a(m, k) b(n, k)
// A Problem describes the matrices, for one or several independent items (groups, matrices of a
// batch, phases of a strided gradient); ops_cuda/ gemm.cu and ops_cuda/conv2d_tuned.cu have them.
// It offers, on the device,
//   using A, B           Sources (operand_slices.h)               using Item, item(z)     a, b, m,
//                        n, k, out, bias of item z
//   a, b                 the operands, from which item(z) makes its own, of one width
//   row_offset(item, m)  of c(m, 0) from item.out, an int         column_stride           from
//                        c(m, n) to c(m, n + 1), an int
//   pairs                whether c(m, n) and c(m, n + 1), n even, are adjacent and aligned for one
//                        access (used where c is bf16)
// A, B and C are stored in f32 or in bf16 each; biases are f32. Operands stored in bf16 multiply on
// tensor cores, with f32 operands rounded to bf16; with both in f32 execution().products
// (precision.h) chooses. Sums are f32, rounded once where C is bf16.
//
// Mapping: a block computes one tile of C (tiles of one row of tiles are neighbours in the grid:
// they share rows of A in the L2 cache) over one part of the sum (split-K). Shared memory, dynamic:
// `stages` slices of both operands (operand_slices.h), filled by asynchronous copies two slices
// ahead; at most 61440 bytes, for the largest tile. One barrier per slice. What the warps do with a
// slice: tile_sums.h. No sum in f32 takes more than 8192 terms: longer ones are split. Where the
// parts of all rows would need more than 64 MiB, one launch follows another, for some rows each.
// Deterministic: the parts of a split sum go to a workspace (f32). Up to eight
// parts are added, first to last, by the block that finishes its tile's last part (last_block.h: no
// launch for very little work); more, as weight gradients have, by a second kernel whose eight
// warps share the parts of 32 results. The number of parts depends on the sizes only. Of each k a
// block reads (rows + columns) elements and does 2 rows columns FLOPs. Source: tiling as in Goto
// and van de Geijn 2008 and NVIDIA's CUTLASS documentation.
#pragma once
#include <algorithm>

#include "ops/execution.h"
#include "ops_cuda/last_block.h"
#include "ops_cuda/precision.h"
#include "ops_cuda/tile_sums.h"

namespace limbeck::cuda {

inline constexpr int stages = 3;

// --- kernels -------------------------------------------------------------------------------------
/// How one launch is cut. It computes m rows (of the items' largest, at most) from first_m on.
struct Plan {
  int first_m = 0, m = 0, n = 0, tiles_m = 0, tiles_n = 0, items = 0, parts = 1, k_per_part = 0;
  unsigned* counters =
      nullptr;  ///< one for each tile; null: whole sums, or a second kernel adds the parts
};

/// The slices of both operands and where a stage has them.
template <class Problem, class Tile, class Multiply, bool wide>
struct Stage {
  using A = OperandSlice<typename Problem::A, Tile::rows, Tile::threads, Multiply::slice,
                         Multiply::template padding<typename Problem::A>, wide>;
  using B = OperandSlice<typename Problem::B, Tile::columns, Tile::threads, Multiply::slice,
                         Multiply::template padding<typename Problem::B>, wide>;
  static constexpr int bytes = A::bytes + B::bytes;
  static_assert(A::bytes % 16 == 0 && bytes % 16 == 0);

  float* const memory;  // ptxas spills with bytes here
  __device__ Stage(float* shared, int i) : memory(shared + i % stages * (bytes / 4)) {}
  __device__ typename A::Element* a() const {
    return reinterpret_cast<typename A::Element*>(memory);
  }
  __device__ typename B::Element* b() const {
    return reinterpret_cast<typename B::Element*>(memory + A::bytes / 4);
  }
};

template <class Problem>
using OutOf = std::remove_pointer_t<decltype(Problem::Item::out)>;

/// Writes c(m, n) and, where it is inside, c(m, n + 1).
__device__ inline void store_pair(float* to, int stride, bool second, bool, float v, float w) {
  to[0] = v;
  if (second) to[stride] = w;
}
__device__ inline void store_pair(bfloat16* to, int stride, bool second, bool adjacent, float v,
                                  float w) {
  const uint32_t word = pack_bf16(v, w);
  if (adjacent) return store_vector(reinterpret_cast<uint32_t*>(to), Vector<uint32_t, 1>{word});
  to[0].bits = static_cast<uint16_t>(word);
  if (second) to[stride].bits = static_cast<uint16_t>(word >> 16);
}

/// c(first_m + row, n) from the parts begin, begin + step, .. of its sum.
__device__ inline float part_of_sum(const Plan& plan, const float* workspace, int z, int row, int n,
                                    int begin, int step) {
  const int64_t all = int64_t{plan.items} * plan.m * plan.n;
  const float* const first = workspace + (int64_t{z} * plan.m + row) * plan.n + n;
  float sum = 0;
  for (int part = begin; part < plan.parts; part += step) sum += load_fresh(first + part * all);
  return sum;
}

/// The results of one tile from its parts, by one block.
template <class Problem, class Tile>
__device__ void join_parts(const Problem& problem, const Plan& plan,
                           const typename Problem::Item& item, const float* workspace, int z,
                           int m0, int n0) {
  LIMBECK_DO_NOT_UNROLL
  for (int i = static_cast<int>(threadIdx.x); i < Tile::rows * Tile::columns; i += Tile::threads) {
    const int m = m0 + i / Tile::columns, n = n0 + i % Tile::columns;
    if (m >= item.m || n >= item.n) continue;
    const float sum = part_of_sum(plan, workspace, z, m - plan.first_m, n, 0, 1);
    item.out[problem.row_offset(item, m) + n * problem.column_stride] =
        OutOf<Problem>(item.bias ? sum + item.bias[n] : sum);
  }
}

template <class Problem, class Tile, class Multiply, bool wide>
__global__ void __launch_bounds__(Tile::threads, Tile::resident_blocks)
    product_tiles_kernel(Problem problem, Plan plan, float* workspace) {
  using Slices = Stage<Problem, Tile, Multiply, wide>;
  using SliceA = typename Slices::A;
  using SliceB = typename Slices::B;
  SHARED_DYN(float, shared);
  int rest = static_cast<int>(blockIdx.x);
  const int n0 = rest % plan.tiles_n * Tile::columns;
  rest /= plan.tiles_n;
  const int m0 = plan.first_m + rest % plan.tiles_m * Tile::rows;
  rest /= plan.tiles_m;
  const int part = rest % plan.parts, z = rest / plan.parts;
  const auto item = problem.item(z);
  if (m0 >= item.m) return;  // the whole block: phases differ in size
  const SliceA a(item.a, m0, item.m);
  const SliceB b(item.b, n0, item.n);
  const int k_begin = part * plan.k_per_part,
            k_end = item.k < k_begin + plan.k_per_part ? item.k : k_begin + plan.k_per_part;
  const int slices =
      k_end > k_begin ? (k_end - k_begin + Multiply::slice - 1) / Multiply::slice : 0;
  const auto fetch = [&](int i) {
    if (i < slices) {
      const Slices to(shared, i);
      a.copy(to.a(), k_begin + i * Multiply::slice, k_end);
      b.copy(to.b(), k_begin + i * Multiply::slice, k_end);
    }
    commit_async();  // empty groups too, so that counting them stays right at the end
  };
  for (int i = 0; i < stages - 1; ++i) fetch(i);
  typename Multiply::template Sums<Tile, SliceA, SliceB> sums;
  for (int i = 0; i < slices; ++i) {
    wait_async<stages - 2>();
    // slice i is here for all threads, and all have done with slice i - 1, whose place the next
    // copy takes
    __syncthreads();
    fetch(i + stages - 1);
    const Slices from(shared, i);
    sums.add(from.a(), from.b());
  }
  wait_async<0>();
  // One way out for whole sums and for parts of them: two would hold twice as many registers.
  const bool whole = plan.parts == 1;
  // rows_of_launch() keeps the workspace small
  float* const parts = whole ? nullptr : workspace + (part * plan.items + z) * plan.m * plan.n;
  const float* const bias = whole ? item.bias : nullptr;
  const int column_stride = whole ? problem.column_stride : 1;
  if constexpr (std::is_same_v<OutOf<Problem>, float>) {
    float* const to = whole ? item.out : parts;
    sums.for_each([&](int r, int c, float v) {
      const int m = m0 + r, n = n0 + c;
      if (m < item.m && n < item.n)
        to[(whole ? problem.row_offset(item, m) : (m - plan.first_m) * plan.n) +
           n * column_stride] = bias ? v + bias[n] : v;
    });
  } else {
    sums.for_each_pair([&](int r, int c, float v, float w) {
      const int m = m0 + r, n = n0 + c;
      if (m >= item.m || n >= item.n) return;
      const bool second = n + 1 < item.n;
      const int place =
          (whole ? problem.row_offset(item, m) : (m - plan.first_m) * plan.n) + n * column_stride;
      if (bias) {
        v += bias[n];
        if (second) w += bias[n + 1];
      }
      if (whole)
        store_pair(item.out + place, column_stride, second, problem.pairs, v, w);
      else
        store_pair(parts + place, column_stride, second, false, v, w);
    });
  }
  if (plan.counters &&
      last_of(static_cast<unsigned>(plan.parts),
              plan.counters + (z * plan.tiles_m + (m0 - plan.first_m) / Tile::rows) * plan.tiles_n +
                  n0 / Tile::columns))
    join_parts<Problem, Tile>(problem, plan, item, workspace, z, m0, n0);
}

inline constexpr int sharing_warps = 8;

/// A block has 32 results side by side; warp w adds parts w, w + 8, .., and then the first warp the
/// eight sums.
template <class Problem>
__global__ void __launch_bounds__(32 * sharing_warps)
    sum_parts_kernel(Problem problem, Plan plan, const float* workspace) {
  SHARED(float, partial, [sharing_warps][32]);
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int64_t i = static_cast<int64_t>(blockIdx.x) * 32 + lane,
                size = int64_t{plan.items} * plan.m * plan.n;
  const int n = static_cast<int>(i % plan.n), row = static_cast<int>(i / plan.n % plan.m),
            m = plan.first_m + row, z = static_cast<int>((i < size ? i : 0) / plan.n / plan.m);
  const auto item = problem.item(z);
  const bool inside = i < size && m < item.m;
  partial[warp][lane] =
      inside ? part_of_sum(plan, workspace, z, row, n, warp, sharing_warps) : 0.0f;
  __syncthreads();
  if (warp > 0 || !inside) return;
  float sum = 0;
  for (int w = 0; w < sharing_warps; ++w) sum += partial[w][lane];
  item.out[problem.row_offset(item, m) + n * problem.column_stride] =
      OutOf<Problem>(item.bias ? sum + item.bias[n] : sum);
}

// --- host side -----------------------------------------------------------------------------------
/// Products count elements in 32 bits, with room for tiles that reach past the end.
inline constexpr int64_t largest_product = int64_t{1} << 30;

/// Terms that one float sum takes.
inline constexpr int64_t longest_part = 8192;
/// Floats of the workspace.
inline constexpr int64_t workspace_limit = int64_t{1} << 24;

/// Parts of the sum: as many as give a large GPU two blocks per multiprocessor, of at least four
/// slices each, in the workspace, and as long sums ask for. Small images with many channels, and
/// weight gradients, have few tiles and long sums.
inline void split(Plan& plan, int k, int slice) {
  const int64_t blocks = int64_t{plan.items} * plan.tiles_m * plan.tiles_n,
                outputs = int64_t{plan.items} * plan.m * plan.n,
                slices = ceil_div(std::max(k, 1), slice);
  int64_t parts = std::min({264 / blocks, slices / 4, workspace_limit / outputs});
  parts = std::max(parts, ceil_div(k, longest_part));
  if (execution().cuts.parts) parts = execution().cuts.parts;
  parts = std::clamp<int64_t>(parts, 1, slices);
  plan.k_per_part = static_cast<int>(ceil_div(slices, parts) * slice);
  plan.parts = static_cast<int>(ceil_div(slices * slice, plan.k_per_part));
}

/// Rows that one launch computes, so that its parts fit the workspace: whole tiles, all rows where
/// sums are not split.
template <class Tile>
int rows_of_launch(const Plan& plan) {
  if (plan.parts == 1) return plan.m;
  const int64_t a_row = int64_t{plan.parts} * plan.items * plan.n,
                tiles = std::max<int64_t>(1, workspace_limit / a_row / Tile::rows);
  return static_cast<int>(std::min<int64_t>(plan.m, tiles * Tile::rows));
}

template <bool wide, class Tile, class Multiply, class Problem>
void launch_rows(const Problem& problem, Plan plan, const Tensor& workspace, const Tensor& to) {
  plan.tiles_m = static_cast<int>(ceil_div(plan.m, Tile::rows));
  float* const parts = workspace ? workspace.data<float>() : nullptr;
  const int64_t tiles = int64_t{plan.items} * plan.tiles_m * plan.tiles_n;
  const cudaStream_t stream = stream_of(to);
  if (plan.parts > 1 && plan.parts <= sharing_warps && tiles <= most_block_groups)
    plan.counters = block_counters(to, tiles, stream);
  constexpr size_t shared = size_t{stages} * Stage<Problem, Tile, Multiply, wide>::bytes;
  LAUNCH((product_tiles_kernel<Problem, Tile, Multiply, wide>), blocks_for(tiles * plan.parts, 1),
         Tile::threads, shared, stream)
  (problem, plan, parts);
  if (plan.parts > 1 && !plan.counters)
    LAUNCH(sum_parts_kernel<Problem>, blocks_for(int64_t{plan.items} * plan.m * plan.n, 32),
           32 * sharing_warps, 0, stream)
  (problem, plan, parts);
}

template <bool wide, class Tile, class Multiply, class Problem>
void launch_product(const Problem& problem, Plan plan, int k, const Tensor& to) {
  plan.tiles_m = static_cast<int>(ceil_div(plan.m, Tile::rows));
  plan.tiles_n = static_cast<int>(ceil_div(plan.n, Tile::columns));
  split(plan, k, Multiply::slice);
  const int rows = rows_of_launch<Tile>(plan), end = plan.m;
  const Tensor workspace = plan.parts > 1
                               ? Tensor::empty({plan.parts, int64_t{plan.items} * rows * plan.n},
                                               DType::f32, to.device())
                               : Tensor();
  for (; plan.first_m < end; plan.first_m += rows) {
    plan.m = std::min(rows, end - plan.first_m);
    launch_rows<wide, Tile, Multiply>(problem, plan, workspace, to);
  }
}

template <class Tile, class Multiply, class Problem>
void launch_product(const Problem& problem, const Plan& plan, int k, const Tensor& to) {
  const bool wide = problem.a.width == largest_copy<typename Problem::A::Element> &&
                    problem.b.width == largest_copy<typename Problem::B::Element>;
  wide ? launch_product<true, Tile, Multiply>(problem, plan, k, to)
       : launch_product<false, Tile, Multiply>(problem, plan, k, to);
}

/// The tile for a product of m x n sums per item: not much wider than n, and the largest one only
/// where there are tiles enough of it.
inline int choose_tile(int64_t m, int64_t n, int64_t items) {
  if (execution().cuts.tile) return execution().cuts.tile;
  if (n <= 16) return 128016;
  if (n <= 32) return 128032;
  return n > 64 && ceil_div(m, 128) * ceil_div(n, 128) * items >= 132 ? 128128 : 64064;
}

/// Operands in bf16 multiply as they are stored, f32 in the process's precision.
template <class Tile, class Problem>
void launch_in_precision(const Problem& problem, const Plan& plan, int k, const Tensor& to) {
  using A = typename Problem::A;
  using B = typename Problem::B;
  if constexpr (is_stored_in_bf16<A> || is_stored_in_bf16<B>) {
    launch_product<Tile, MultiplyTensorCores<StoredBf16Format<A, B>>>(problem, plan, k, to);
  } else {
    switch (execution().products) {
      case Precision::f32: return launch_product<Tile, MultiplyF32>(problem, plan, k, to);
      case Precision::tf32:
        return launch_product<Tile, MultiplyTensorCores<Tf32Format>>(problem, plan, k, to);
      case Precision::bf16:
        return launch_product<Tile, MultiplyTensorCores<Bf16Format>>(problem, plan, k, to);
    }
  }
}

/// Runs `items` products of up to m x n sums of up to k terms with one of Tiles; the first one
/// serves where the wanted one is not compiled.
template <class... Tiles, class Problem>
void run_products(const Problem& problem, int64_t items, int64_t m, int64_t n, int64_t k,
                  const Tensor& to) {
  if (items == 0 || m == 0 || n == 0) return;
  LIMBECK_CHECK(
      items * m <= largest_product && items * n <= largest_product && k <= largest_product,
      "product of ", items, " x ", m, " x ", n, " x ", k);
  const Plan plan{
      .m = static_cast<int>(m), .n = static_cast<int>(n), .items = static_cast<int>(items)};
  const auto with = [&]<class Tile>(Tile) {
    launch_in_precision<Tile>(problem, plan, static_cast<int>(k), to);
  };
  const int wanted = choose_tile(m, n, items);
  const bool found =
      ((Tiles::rows * 1000 + Tiles::columns == wanted && (with(Tiles{}), true)) || ...);
  if (!found) [&]<class First, class... Rest>(First, Rest...) { with(First{}); }(Tiles{}...);
}

}  // namespace limbeck::cuda
