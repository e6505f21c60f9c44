// The engine of the tuned products and convolutions: C = A B^T in tiles, where A and B are read through functions that say where element
// (row, k) lies in memory ("implicit GEMM": the matrix of image windows is never stored).
//   c(m, n) = bias(n) + sum_k a(m, k) b(n, k)
// A Problem describes the matrices, for one or several independent items (groups, matrices of a batch, phases of a strided gradient); ops_cuda/
// gemm.cu and ops_cuda/conv2d_tuned.cu have them. It offers, on the device,
//   using A, B           sources (below)                          item(z)            an Item: a, b, m, n, k, out, bias of item z
//   row_offset(item, m)  of c(m, 0) from item.out, an int         column_stride      from c(m, n) to c(m, n + 1), an int
// and a Source, which is passed by value,
//   k_contiguous         whether four neighbouring k (or else four neighbouring rows) may lie side by side
//   row(r), step(k)      what is worth computing once for a row and once for a k (divisions)
//   at(row, step)        the address of the element, or null for one that counts as zero
//   data, vectors        any valid address; whether elements 4i .. 4i+3 along the contiguous axis are adjacent and 16-byte aligned
//
// Mapping: a block computes one tile of C (tiles of one row of tiles are neighbours in the grid: they share rows of A in the L2 cache) over
// one part of the sum (split-K). Shared memory, dynamic: `stages` slices of 16 k of both operands, f32, filled by asynchronous copies two
// slices ahead; 61440 bytes for the largest tile. One barrier per slice.
//   f32    each thread holds 8x8 (8x4, 4x4) sums and adds in the order of k
//   tf32, bf16   each warp holds 64x32 (32x32, 32x16) sums in fragments of tensor cores; operands are rounded on their way from shared memory
// Deterministic: the parts of a split sum go to a workspace, and a second kernel adds them, first to last. The number of parts depends on
// the sizes only. A slice of a block is 64 (rows + columns) bytes from memory and 32 rows columns FLOPs.
// Source: tiling as in Goto and van de Geijn 2008 and NVIDIA's CUTLASS documentation; division: Granlund and Montgomery 1994.
#pragma once
#include <algorithm>

#include "ops_cuda/instructions.h"
#include "ops_cuda/launch.h"
#include "ops_cuda/precision.h"
#include "ops_cuda/tuning.h"

#if defined(__CUDACC__)
#define LIMBECK_UNROLL _Pragma("unroll")
#define LIMBECK_DO_NOT_UNROLL _Pragma("unroll 1")
#else
#define LIMBECK_UNROLL
#define LIMBECK_DO_NOT_UNROLL
#endif
// A function of the inner loop that only touches registers, at indices the compiler sees: the shim's sanitizers have nothing to find there.
#if defined(LIMBECK_SIM) && defined(__clang__)
#define LIMBECK_IN_REGISTERS __attribute__((no_sanitize("address", "undefined")))
#elif defined(LIMBECK_SIM)
#define LIMBECK_IN_REGISTERS __attribute__((no_sanitize("address", "undefined"), optimize("O3")))
#else
#define LIMBECK_IN_REGISTERS
#endif

namespace limbeck::cuda {

/// Quotients of 0 <= n < 2^31 by one multiplication.
struct FastDivision {
  uint32_t multiplier = 1, shift = 0;
  int divisor = 1;

  FastDivision() = default;
  explicit FastDivision(int64_t d) : divisor(static_cast<int>(d)) {
    LIMBECK_CHECK(d >= 1 && d < int64_t{1} << 31, "FastDivision by ", d);
    while ((int64_t{1} << shift) < d) ++shift;
    multiplier = static_cast<uint32_t>((uint64_t{1} << 32) * ((uint64_t{1} << shift) - static_cast<uint64_t>(d)) / static_cast<uint64_t>(d) + 1);
  }
  __device__ int quotient(int n) const { return static_cast<int>((__umulhi(static_cast<unsigned>(n), multiplier) + static_cast<unsigned>(n)) >> shift); }
};

/// A stored matrix (Matrix in gemm.h); `inner` is the length of one term's k.
template <bool k_contiguous_>
struct StoredMatrix {
  static constexpr bool k_contiguous = k_contiguous_;
  using Row = int;
  using Step = int;
  const float* data = nullptr;
  bool vectors = false;
  int pitch = 0, term = 0;
  FastDivision inner;

  __device__ Row row(int r) const { return k_contiguous ? r * pitch : r; }
  __device__ Step step(int k) const {
    const int s = inner.quotient(k), l = k - s * inner.divisor;
    return s * term + (k_contiguous ? l : l * pitch);
  }
  __device__ const float* at(Row row, Step step) const { return data + row + step; }
};

// --- tiles ------------------------------------------------------------------------------------------------------------------------
inline constexpr int slice = 16;  // k per stage
inline constexpr int stages = 3;

/// thread_*: sums of one thread (f32); warp_*: sums of one warp (tensor cores).
template <int rows_, int columns_, int thread_rows_, int thread_columns_, int warp_rows_, int warp_columns_>
struct TileShape {
  static constexpr int rows = rows_, columns = columns_, thread_rows = thread_rows_, thread_columns = thread_columns_;
  static constexpr int warp_rows = warp_rows_, warp_columns = warp_columns_;
  static constexpr int threads = rows / thread_rows * (columns / thread_columns);
  static constexpr int resident_blocks = 512 / threads;  // per multiprocessor: 128 registers for each thread
  static_assert(threads == 32 * (rows / warp_rows) * (columns / warp_columns));
};
using Tile128x128 = TileShape<128, 128, 8, 8, 64, 32>;
using Tile64x64 = TileShape<64, 64, 8, 4, 32, 32>;
using Tile128x32 = TileShape<128, 32, 8, 4, 32, 32>;
using Tile128x16 = TileShape<128, 16, 4, 4, 32, 16>;

/// One slice of an operand in shared memory, and how a block fills it. Lines lie along the contiguous axis: [row][k] or [k][row].
/// The padding of the lines keeps both the copies and the reads below free of bank conflicts: with [row][16 + 4], eight threads that read
/// 16 bytes of eight neighbouring rows touch all 32 banks, and so do the 32 lanes that read a fragment of 8 rows x 4 k; with [k][rows + 8]
/// the fragment of f32 words does, with [k][rows + 4] the one that takes pairs of k (bf16).
template <class Source, int rows, int threads, int padding>
struct OperandSlice {
  static constexpr bool k_contiguous = Source::k_contiguous;
  static constexpr int lines = k_contiguous ? rows : slice, length = k_contiguous ? slice : rows;
  static constexpr int pitch = length + (k_contiguous ? 4 : padding), floats = lines * pitch;
  static constexpr int vectors_per_line = length / 4, lines_at_once = threads / vectors_per_line;
  static constexpr int turns = (lines + lines_at_once - 1) / lines_at_once, kept_rows = k_contiguous ? turns : 1;
  static_assert(threads % vectors_per_line == 0 && floats % 4 == 0);

  const Source& source;
  const int first_row, limit;  // rows from `limit` on count as zero
  const int line, element;     // where this thread starts
  typename Source::Row row[kept_rows];

  __device__ OperandSlice(const Source& s, int first, int limit_)
      : source(s), first_row(first), limit(limit_), line(static_cast<int>(threadIdx.x) / vectors_per_line),
        element(static_cast<int>(threadIdx.x) % vectors_per_line * 4) {
    LIMBECK_UNROLL
    for (int i = 0; i < kept_rows; ++i) row[i] = source.row(first_row + (k_contiguous ? line + i * lines_at_once : element));
  }

  /// Starts copying k0 .. k0 + 15 into `to`; k from k_end on count as zero.
  __device__ void copy(float* to, int k0, int k_end) const {
    LIMBECK_UNROLL
    for (int turn = 0; turn < turns; ++turn) {
      const int l = line + turn * lines_at_once;
      if (lines % lines_at_once != 0 && l >= lines) break;
      float* const target = to + l * pitch + element;
      const int r = first_row + (k_contiguous ? l : element), k = k0 + (k_contiguous ? element : l);
      if (source.vectors) {
        const float* from = r < limit && k < k_end ? source.at(row[k_contiguous ? turn : 0], source.step(k)) : nullptr;
        copy_async16(target, from ? from : source.data, from != nullptr);
        continue;
      }
      LIMBECK_UNROLL
      for (int e = 0; e < 4; ++e) {
        const float* from = nullptr;
        if (k_contiguous) {
          if (r < limit && k + e < k_end) from = source.at(row[turn], source.step(k + e));
        } else {
          if (r + e < limit && k < k_end) from = source.at(source.row(r + e), source.step(k));
        }
        copy_async4(target + e, from ? from : source.data, from != nullptr);
      }
    }
  }

  static __device__ float value(const float* tile, int r, int k) { return k_contiguous ? tile[r * pitch + k] : tile[k * pitch + r]; }
};

// --- what happens with a slice ----------------------------------------------------------------------------------------------------
/// Fused multiply-adds. A thread's rows are t, t + spread, .. where lines run along k, and groups of four neighbours where they run along
/// the rows: each read of shared memory is 16 bytes of four k of a row, or of four rows of a k.
struct MultiplyF32 {
  static constexpr int padding = 8;

  template <class Tile, class SliceA, class SliceB>
  struct Sums {
    static constexpr int tr = Tile::thread_rows, tc = Tile::thread_columns, down = Tile::rows / tr, across = Tile::columns / tc;
    float sum[tr][tc] = {};

    template <class S, int spread>
    static __device__ int position(int i, int t) { return S::k_contiguous ? t + i * spread : (i / 4 * spread + t) * 4 + i % 4; }

    /// values[i][q]: position i0 + i, k + q.
    template <class S, int spread, int count>
    static __device__ void read(float (&values)[count][4], const float* tile, int i0, int t, int k) {
      if constexpr (S::k_contiguous) {
        LIMBECK_UNROLL
        for (int i = 0; i < count; ++i) {
          const auto v = load_vector<4>(tile + (t + (i0 + i) * spread) * S::pitch + k);
          LIMBECK_UNROLL
          for (int q = 0; q < 4; ++q) values[i][q] = v[q];
        }
      } else {
        LIMBECK_UNROLL
        for (int q = 0; q < 4; ++q)
          LIMBECK_UNROLL
          for (int i = 0; i < count; i += 4) {
            const auto v = load_vector<4>(tile + (k + q) * S::pitch + ((i0 + i) / 4 * spread + t) * 4);
            LIMBECK_UNROLL
            for (int e = 0; e < 4; ++e) values[i + e][q] = v[e];
          }
      }
    }

    /// sum[i0 + i][j0 + j] += left[i] . right[j], of 4 x 4 elements and 4 k.
    LIMBECK_IN_REGISTERS __device__ void multiply(const float (&left)[4][4], const float (&right)[4][4], int i0, int j0) {
      LIMBECK_UNROLL
      for (int q = 0; q < 4; ++q)
        LIMBECK_UNROLL
        for (int i = 0; i < 4; ++i)
          LIMBECK_UNROLL
          for (int j = 0; j < 4; ++j) sum[i0 + i][j0 + j] += left[i][q] * right[j][q];
    }

    __device__ void add(const float* a, const float* b) {
      const int x = static_cast<int>(threadIdx.x) % across, y = static_cast<int>(threadIdx.x) / across;
      LIMBECK_DO_NOT_UNROLL  // reading further ahead would need more than 128 registers
      for (int k = 0; k < slice; k += 4) {
        LIMBECK_UNROLL
        for (int i0 = 0; i0 < tr; i0 += 4) {
          float left[4][4];
          read<SliceA, down>(left, a, i0, y, k);
          LIMBECK_UNROLL
          for (int j0 = 0; j0 < tc; j0 += 4) {
            float right[4][4];
            read<SliceB, across>(right, b, j0, x, k);
            multiply(left, right, i0, j0);
          }
        }
      }
    }

    template <class F>
    __device__ void for_each(F&& f) const {
      const int x = static_cast<int>(threadIdx.x) % across, y = static_cast<int>(threadIdx.x) / across;
      LIMBECK_UNROLL
      for (int i = 0; i < tr; ++i)
        LIMBECK_UNROLL
        for (int j = 0; j < tc; ++j) f(position<SliceA, down>(i, y), position<SliceB, across>(j, x), sum[i][j]);
    }
  };
};

/// Tensor cores; fragments as in instructions.h. Format says how many k one instruction takes and how words are made.
struct Tf32Format {
  static constexpr int k = 8, padding = 8;
  template <class S>
  static __device__ uint32_t word(const float* tile, int row, int quad, int half) { return to_tf32(S::value(tile, row, quad + 4 * half)); }
  static __device__ void multiply(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) { mma_tf32_k8(c, a, b); }
};
struct Bf16Format {
  static constexpr int k = 16, padding = 4;
  template <class S>
  static __device__ uint32_t word(const float* tile, int row, int quad, int half) {
    const int k0 = 2 * quad + 8 * half;
    if constexpr (S::k_contiguous) {
      const auto pair = load_vector<2>(tile + row * S::pitch + k0);
      return pack_bf16(pair[0], pair[1]);
    } else {
      return pack_bf16(S::value(tile, row, k0), S::value(tile, row, k0 + 1));
    }
  }
  static __device__ void multiply(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) { mma_bf16_k16(c, a, b); }
};

template <class Format>
struct MultiplyTensorCores {
  static constexpr int padding = Format::padding;

  template <class Tile, class SliceA, class SliceB>
  struct Sums {
    static constexpr int mi = Tile::warp_rows / 16, ni = Tile::warp_columns / 8, across = Tile::columns / Tile::warp_columns;
    float sum[mi][ni][4] = {};

    static __device__ int first_row() { return static_cast<int>(threadIdx.x) / 32 / across * Tile::warp_rows + static_cast<int>(threadIdx.x) % 32 / 4; }
    static __device__ int first_column() { return static_cast<int>(threadIdx.x) / 32 % across * Tile::warp_columns; }

    __device__ void add(const float* a, const float* b) {
      const int quad = static_cast<int>(threadIdx.x) % 4, row = first_row(), column = first_column() + static_cast<int>(threadIdx.x) % 32 / 4;
      LIMBECK_UNROLL
      for (int k = 0; k < slice; k += Format::k) {
        const float* const left = a + (SliceA::k_contiguous ? k : k * SliceA::pitch);
        const float* const right = b + (SliceB::k_contiguous ? k : k * SliceB::pitch);
        uint32_t x[mi][4], y[ni][2];
        LIMBECK_UNROLL
        for (int i = 0; i < mi; ++i)
          LIMBECK_UNROLL
          for (int e = 0; e < 4; ++e) x[i][e] = Format::template word<SliceA>(left, row + 16 * i + 8 * (e % 2), quad, e / 2);
        LIMBECK_UNROLL
        for (int j = 0; j < ni; ++j)
          LIMBECK_UNROLL
          for (int e = 0; e < 2; ++e) y[j][e] = Format::template word<SliceB>(right, column + 8 * j, quad, e);
        LIMBECK_UNROLL
        for (int i = 0; i < mi; ++i)
          LIMBECK_UNROLL
          for (int j = 0; j < ni; ++j) Format::multiply(sum[i][j], x[i], y[j]);
      }
    }

    template <class F>
    __device__ void for_each(F&& f) const {
      const int row = first_row(), column = first_column() + 2 * (static_cast<int>(threadIdx.x) % 4);
      LIMBECK_UNROLL
      for (int i = 0; i < mi; ++i)
        LIMBECK_UNROLL
        for (int e = 0; e < 4; e += 2)
          LIMBECK_UNROLL
          for (int j = 0; j < ni; ++j) {
            f(row + 16 * i + 4 * e, column + 8 * j, sum[i][j][e]);
            f(row + 16 * i + 4 * e, column + 8 * j + 1, sum[i][j][e + 1]);
          }
    }
  };
};

// --- kernels ----------------------------------------------------------------------------------------------------------------------
/// How one launch is cut. m is the largest of the items'.
struct Plan {
  int m = 0, n = 0, tiles_m = 0, tiles_n = 0, items = 0, parts = 1, k_per_part = 0;
};

template <class Problem, class Tile, class Multiply>
__global__ void __launch_bounds__(Tile::threads, Tile::resident_blocks) product_tiles_kernel(Problem problem, Plan plan, float* workspace) {
  using SliceA = OperandSlice<typename Problem::A, Tile::rows, Tile::threads, Multiply::padding>;
  using SliceB = OperandSlice<typename Problem::B, Tile::columns, Tile::threads, Multiply::padding>;
  constexpr int stage_floats = SliceA::floats + SliceB::floats;
  SHARED_DYN(float, shared);
  int rest = static_cast<int>(blockIdx.x);
  const int n0 = rest % plan.tiles_n * Tile::columns;
  rest /= plan.tiles_n;
  const int m0 = rest % plan.tiles_m * Tile::rows;
  rest /= plan.tiles_m;
  const int part = rest % plan.parts, z = rest / plan.parts;
  const auto item = problem.item(z);
  if (m0 >= item.m) return;  // the whole block: phases differ in size
  const SliceA a(item.a, m0, item.m);
  const SliceB b(item.b, n0, item.n);
  const int k_begin = part * plan.k_per_part, k_end = item.k < k_begin + plan.k_per_part ? item.k : k_begin + plan.k_per_part;
  const int slices = k_end > k_begin ? (k_end - k_begin + slice - 1) / slice : 0;
  const auto fetch = [&](int i) {
    float* const stage = shared + i % stages * stage_floats;
    if (i < slices) {
      a.copy(stage, k_begin + i * slice, k_end);
      b.copy(stage + SliceA::floats, k_begin + i * slice, k_end);
    }
    commit_async();  // empty groups too, so that counting them stays right at the end
  };
  for (int i = 0; i < stages - 1; ++i) fetch(i);
  typename Multiply::template Sums<Tile, SliceA, SliceB> sums;
  for (int i = 0; i < slices; ++i) {
    wait_async<stages - 2>();
    __syncthreads();  // slice i is here for all threads, and all have done with slice i - 1, whose place the next copy takes
    fetch(i + stages - 1);
    const float* const stage = shared + i % stages * stage_floats;
    sums.add(stage, stage + SliceA::floats);
  }
  wait_async<0>();
  // One way out for whole sums and for parts of them: two would hold twice as many registers.
  const bool whole = plan.parts == 1;
  float* const to = whole ? item.out : workspace + (part * plan.items + z) * plan.m * plan.n;  // split() keeps the workspace small
  const float* const bias = whole ? item.bias : nullptr;
  const int column_stride = whole ? problem.column_stride : 1;
  sums.for_each([&](int r, int c, float v) {
    const int m = m0 + r, n = n0 + c;
    if (m < item.m && n < item.n) to[(whole ? problem.row_offset(item, m) : m * plan.n) + n * column_stride] = bias ? v + bias[n] : v;
  });
}

template <class Problem>
__global__ void sum_parts_kernel(Problem problem, Plan plan, const float* workspace) {
  const int64_t i = global_index(), size = int64_t{plan.items} * plan.m * plan.n;
  if (i >= size) return;
  const int n = static_cast<int>(i % plan.n), m = static_cast<int>(i / plan.n % plan.m);
  const auto item = problem.item(static_cast<int>(i / plan.n / plan.m));
  if (m >= item.m) return;
  float sum = 0;
  for (int part = 0; part < plan.parts; ++part) sum += workspace[part * size + i];
  item.out[problem.row_offset(item, m) + n * problem.column_stride] = item.bias ? sum + item.bias[n] : sum;
}

// --- host side --------------------------------------------------------------------------------------------------------------------
/// Products count elements in 32 bits, with room for tiles that reach past the end.
inline constexpr int64_t largest_product = int64_t{1} << 30;

/// Parts of the sum: as many as give a large GPU two blocks per multiprocessor, of at least four slices each, in a workspace of at most
/// 64 MiB. Small images with many channels, and weight gradients, have few tiles and long sums.
inline void split(Plan& plan, int k) {
  const int64_t blocks = int64_t{plan.items} * plan.tiles_m * plan.tiles_n, slices = ceil_div(std::max(k, 1), slice);
  int64_t parts = std::min(int64_t{264} / blocks, slices / 4);
  if (product_tuning().parts) parts = product_tuning().parts;
  parts = std::min({parts, slices, (int64_t{1} << 24) / (int64_t{plan.items} * plan.m * plan.n)});
  parts = std::max<int64_t>(parts, 1);
  plan.k_per_part = static_cast<int>(ceil_div(slices, parts) * slice);
  plan.parts = static_cast<int>(ceil_div(slices * slice, plan.k_per_part));
}

template <class Tile, class Multiply, class Problem>
void launch_product(const Problem& problem, Plan plan, int k, const Tensor& to) {
  using SliceA = OperandSlice<typename Problem::A, Tile::rows, Tile::threads, Multiply::padding>;
  using SliceB = OperandSlice<typename Problem::B, Tile::columns, Tile::threads, Multiply::padding>;
  constexpr size_t shared = sizeof(float) * stages * (SliceA::floats + SliceB::floats);
  plan.tiles_m = static_cast<int>(ceil_div(plan.m, Tile::rows));
  plan.tiles_n = static_cast<int>(ceil_div(plan.n, Tile::columns));
  split(plan, k);
  const int64_t outputs = int64_t{plan.items} * plan.m * plan.n;
  const Tensor workspace = plan.parts > 1 ? Tensor::empty({plan.parts, outputs}, DType::f32, to.device()) : Tensor();
  float* const parts = workspace ? workspace.data<float>() : nullptr;
  const dim3 grid = blocks_for(int64_t{plan.items} * plan.parts * plan.tiles_m * plan.tiles_n, 1);
  LAUNCH((product_tiles_kernel<Problem, Tile, Multiply>), grid, Tile::threads, shared, stream_of(to))(problem, plan, parts);
  if (workspace) LAUNCH(sum_parts_kernel<Problem>, blocks_for(outputs), 256, 0, stream_of(to))(problem, plan, parts);
}

/// The tile for a product of m x n sums per item: not much wider than n, and the largest one only where there are tiles enough of it.
inline int choose_tile(int64_t m, int64_t n, int64_t items) {
  if (product_tuning().tile) return product_tuning().tile;
  if (n <= 16) return 128016;
  if (n <= 32) return 128032;
  return n > 64 && ceil_div(m, 128) * ceil_div(n, 128) * items >= 132 ? 128128 : 64064;
}

/// Runs `items` products of up to m x n sums of up to k terms with one of Tiles; the first one serves where the wanted one is not compiled.
template <class... Tiles, class Problem>
void run_products(const Problem& problem, int64_t items, int64_t m, int64_t n, int64_t k, const Tensor& to) {
  if (items == 0 || m == 0 || n == 0) return;
  LIMBECK_CHECK(items * m <= largest_product && items * n <= largest_product && k <= largest_product, "product of ", items, " x ", m, " x ", n, " x ", k);
  const Plan plan{.m = static_cast<int>(m), .n = static_cast<int>(n), .items = static_cast<int>(items)};
  const auto with = [&]<class Tile>(Tile) {
    switch (product_precision()) {
      case Precision::f32: return launch_product<Tile, MultiplyF32>(problem, plan, static_cast<int>(k), to);
      case Precision::tf32: return launch_product<Tile, MultiplyTensorCores<Tf32Format>>(problem, plan, static_cast<int>(k), to);
      case Precision::bf16: return launch_product<Tile, MultiplyTensorCores<Bf16Format>>(problem, plan, static_cast<int>(k), to);
    }
  };
  const int wanted = choose_tile(m, n, items);
  const bool found = ((Tiles::rows * 1000 + Tiles::columns == wanted && (with(Tiles{}), true)) || ...);
  if (!found) [&]<class First, class... Rest>(First, Rest...) { with(First{}); }(Tiles{}...);
}

}  // namespace limbeck::cuda
