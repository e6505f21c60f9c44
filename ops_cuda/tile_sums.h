// What the warps of a tiled product (implicit_gemm.h) do with a slice of both operands in shared
// memory. A Multiply has
//   slice                terms k of a slice                padding<Source>    elements behind each
//                        line of an operand (operand_slices.h)
//   Sums<Tile, SliceA, SliceB>     the sums of one thread: add(a, b) a slice, for_each(f) calls
//                                  f(row, column, sum) in the tile
// and is one of
//   MultiplyF32                    each thread holds 8x8 (8x4, 4x4) sums and adds in the order of k
//   MultiplyTensorCores<Format>    each warp holds 64x32 (32x32, 32x16) sums in fragments of
//                                  tensor cores; f32 operands are rounded on their way
//                                  from shared memory to tf32 or bf16, operands stored in bf16 are
//                                  read as they are, by ldmatrix
// Bank conflicts (32 banks of 4 bytes). f32: with [row][16 + 4], eight threads that read 16 bytes
// of eight neighbouring rows touch all banks, and so do the 32 lanes that read a fragment of 8 rows
// x 4 k; with [k][rows + 8] the fragment of f32 words does, with [k][rows + 4] the one that takes
// pairs of k (bf16). Where the other operand is stored in bf16, f32 lines along k are [row][16 +
// 8]: half a warp reads 8 bytes of 4 rows, which start at banks 0, 24, 16, 8. bf16: ldmatrix reads
// eight rows of 16 bytes at once, and eight lines that are 16 bytes longer than a multiple of 32
// bytes start at eight different quarters of the 128 bytes: [row][16 + 8] at banks 0, 12, 24, 4,
// 16, 28, 8, 20, [row][32 + 8] at 0, 20, 8, 28, 16, 4, 24, 12, [k][128 + 8] and [k][64 + 8] at 0,
// 4, 8, .., 28, [k][32 + 8] and [k][16 + 8] as the first two. Source: tiling as in Goto and van de
// Geijn 2008 and NVIDIA's CUTLASS documentation.
#pragma once
#include "ops_cuda/operand_slices.h"

namespace limbeck::cuda {

/// thread_*: sums of one thread (f32); warp_*: sums of one warp (tensor cores).
template <int rows_, int columns_, int thread_rows_, int thread_columns_, int warp_rows_,
          int warp_columns_>
struct TileShape {
  static constexpr int rows = rows_, columns = columns_, thread_rows = thread_rows_,
                       thread_columns = thread_columns_;
  static constexpr int warp_rows = warp_rows_, warp_columns = warp_columns_;
  static constexpr int threads = rows / thread_rows * (columns / thread_columns);
  static constexpr int resident_blocks =
      512 / threads;  // per multiprocessor: 128 registers for each thread
  static_assert(threads == 32 * (rows / warp_rows) * (columns / warp_columns));
};
using Tile128x128 = TileShape<128, 128, 8, 8, 64, 32>;
using Tile64x64 = TileShape<64, 64, 8, 4, 32, 32>;
using Tile128x32 = TileShape<128, 32, 8, 4, 32, 32>;
using Tile128x16 = TileShape<128, 16, 4, 4, 32, 16>;

/// Fused multiply-adds. A thread's rows are t, t + spread, .. where lines run along k, and groups
/// of four neighbours where they run along the rows: each read of shared memory is 16 bytes of four
/// k of a row, or of four rows of a k.
struct MultiplyF32 {
  static constexpr int slice = 16;
  template <class Source>
  static constexpr int padding = Source::k_contiguous ? 4 : 8;

  template <class Tile, class SliceA, class SliceB>
  struct Sums {
    static constexpr int tr = Tile::thread_rows, tc = Tile::thread_columns, down = Tile::rows / tr,
                         across = Tile::columns / tc;
    float sum[tr][tc] = {};

    template <class S, int spread>
    static __device__ int position(int i, int t) {
      return S::k_contiguous ? t + i * spread : (i / 4 * spread + t) * 4 + i % 4;
    }

    /// values[i][q]: position i0 + i, k + q.
    template <class S, int spread, int count>
    static __device__ void read(float (&values)[count][4], const float* tile, int i0, int t,
                                int k) {
      if constexpr (S::k_contiguous) {
        LIMBECK_UNROLL
        for (int i = 0; i < count; ++i) {
          const auto v = load_vector<4>(tile + (t + (i0 + i) * spread) * S::pitch + k);
          LIMBECK_UNROLL
          for (int q = 0; q < 4; ++q) values[i][q] = v[q];
        }
      } else {
        LIMBECK_UNROLL
        for (int q = 0; q < 4; ++q) LIMBECK_UNROLL
        for (int i = 0; i < count; i += 4) {
          const auto v =
              load_vector<4>(tile + (k + q) * S::pitch + ((i0 + i) / 4 * spread + t) * 4);
          LIMBECK_UNROLL
          for (int e = 0; e < 4; ++e) values[i + e][q] = v[e];
        }
      }
    }

    /// sum[i0 + i][j0 + j] += left[i] . right[j], of 4 x 4 elements and 4 k.
    LIMBECK_IN_REGISTERS __device__ void multiply(const float (&left)[4][4],
                                                  const float (&right)[4][4], int i0, int j0) {
      LIMBECK_UNROLL
      for (int q = 0; q < 4; ++q) LIMBECK_UNROLL
      for (int i = 0; i < 4; ++i) LIMBECK_UNROLL
      for (int j = 0; j < 4; ++j) sum[i0 + i][j0 + j] += left[i][q] * right[j][q];
    }

    __device__ void add(const float* a, const float* b) {
      const int x = static_cast<int>(threadIdx.x) % across,
                y = static_cast<int>(threadIdx.x) / across;
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
      const int x = static_cast<int>(threadIdx.x) % across,
                y = static_cast<int>(threadIdx.x) / across;
      LIMBECK_UNROLL
      for (int i = 0; i < tr; ++i) LIMBECK_UNROLL
      for (int j = 0; j < tc; ++j)
        f(position<SliceA, down>(i, y), position<SliceB, across>(j, x), sum[i][j]);
    }
  };
};

/// Tensor cores; fragments as in instructions.h. A Format says how many k one instruction takes and
/// how the words of a fragment are made: `left` of 16 rows x k, `right` of two times 8 columns x k,
/// at row or column i, j of the warp's. FormatOfWords makes them one by one.
template <class Format>
struct FormatOfWords {
  static constexpr int slice = 16;

  template <class S>
  static __device__ void left(uint32_t (&x)[4], const float* tile, int first_row, int i, int k) {
    const int quad = static_cast<int>(threadIdx.x) % 4,
              row = first_row + static_cast<int>(threadIdx.x) % 32 / 4;
    LIMBECK_UNROLL
    for (int e = 0; e < 4; ++e)
      x[e] = Format::template word<S>(at_k<S>(tile, k), row + i + 8 * (e % 2), quad, e / 2);
  }
  template <class S>
  static __device__ void right(uint32_t (&y)[2], uint32_t (&z)[2], const float* tile,
                               int first_column, int j, int k) {
    const int quad = static_cast<int>(threadIdx.x) % 4,
              column = first_column + static_cast<int>(threadIdx.x) % 32 / 4;
    LIMBECK_UNROLL
    for (int e = 0; e < 2; ++e)
      y[e] = Format::template word<S>(at_k<S>(tile, k), column + j, quad, e);
    LIMBECK_UNROLL
    for (int e = 0; e < 2; ++e)
      z[e] = Format::template word<S>(at_k<S>(tile, k), column + j + 8, quad, e);
  }

 protected:
  template <class S>
  static __device__ const float* at_k(const float* tile, int k) {
    return tile + (S::k_contiguous ? k : k * S::pitch);
  }
  template <class S>
  static __device__ float value(const float* tile, int r, int k) {
    return S::k_contiguous ? tile[r * S::pitch + k] : tile[k * S::pitch + r];
  }
};

struct Tf32Format : FormatOfWords<Tf32Format> {
  static constexpr int k = 8;
  template <class Source>
  static constexpr int padding = Source::k_contiguous ? 4 : 8;
  template <class S>
  static __device__ uint32_t word(const float* tile, int row, int quad, int half) {
    return to_tf32(value<S>(tile, row, quad + 4 * half));
  }
  static __device__ void multiply(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    mma_tf32_k8(c, a, b);
  }
};
struct Bf16Format : FormatOfWords<Bf16Format> {
  static constexpr int k = 16;
  template <class Source>
  static constexpr int padding = 4;
  template <class S>
  static __device__ uint32_t word(const float* tile, int row, int quad, int half) {
    const int k0 = 2 * quad + 8 * half;
    if constexpr (S::k_contiguous) {
      const auto pair = load_vector<2>(tile + row * S::pitch + k0);
      return pack_bf16(pair[0], pair[1]);
    } else {
      return pack_bf16(value<S>(tile, row, k0), value<S>(tile, row, k0 + 1));
    }
  }
  static __device__ void multiply(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    mma_bf16_k16(c, a, b);
  }
};

template <class Source>
inline constexpr bool is_stored_in_bf16 = std::is_same_v<typename Source::Element, bfloat16>;

/// One or both operands are stored in bf16, the other one in f32. With half the bytes, slices hold
/// twice the terms: half as many barriers.
template <class A, class B>
struct StoredBf16Format {
  static constexpr int k = 16, slice = is_stored_in_bf16<A> && is_stored_in_bf16<B> ? 32 : 16;
  template <class Source>
  static constexpr int padding = is_stored_in_bf16<Source> || Source::k_contiguous ? 8 : 4;

  /// Matrices of load_matrices: rows 0-7 and 8-15 of k 0-7, then of k 8-15.
  template <class S>
  static __device__ void left(uint32_t (&x)[4], const typename S::Element* tile, int first_row,
                              int i, int k0) {
    if constexpr (std::is_same_v<typename S::Element, bfloat16>) {
      const int lane = static_cast<int>(threadIdx.x) % 32;
      if constexpr (S::k_contiguous)
        load_matrices(
            x, tile + (first_row + lane % 16) * S::pitch + lane / 16 * 8 + i * S::pitch + k0);
      else
        load_matrices_transposed(x, tile + (lane / 16 * 8 + lane % 8) * S::pitch + first_row +
                                        lane / 8 % 2 * 8 + k0 * S::pitch + i);
    } else {
      Bf16Format::left<S>(x, tile, first_row, i, k0);
    }
  }
  /// Matrices: k 0-7 and 8-15 of columns 0-7, then of columns 8-15.
  template <class S>
  static __device__ void right(uint32_t (&y)[2], uint32_t (&z)[2], const typename S::Element* tile,
                               int first_column, int j, int k0) {
    if constexpr (std::is_same_v<typename S::Element, bfloat16>) {
      const int lane = static_cast<int>(threadIdx.x) % 32;
      uint32_t both[4];
      if constexpr (S::k_contiguous)
        load_matrices(both, tile + (first_column + lane / 16 * 8 + lane % 8) * S::pitch +
                                lane / 8 % 2 * 8 + j * S::pitch + k0);
      else
        load_matrices_transposed(
            both, tile + lane % 16 * S::pitch + first_column + lane / 16 * 8 + k0 * S::pitch + j);
      y[0] = both[0], y[1] = both[1], z[0] = both[2], z[1] = both[3];
    } else {
      Bf16Format::right<S>(y, z, tile, first_column, j, k0);
    }
  }
  static __device__ void multiply(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    mma_bf16_k16(c, a, b);
  }
};

template <class Format>
struct MultiplyTensorCores {
  static constexpr int slice = Format::slice;
  template <class Source>
  static constexpr int padding = Format::template padding<Source>;

  template <class Tile, class SliceA, class SliceB>
  struct Sums {
    static constexpr int mi = Tile::warp_rows / 16, ni = Tile::warp_columns / 8,
                         across = Tile::columns / Tile::warp_columns;
    static_assert(ni % 2 == 0);
    float sum[mi][ni][4] = {};

    static __device__ int first_row() {
      return static_cast<int>(threadIdx.x) / 32 / across * Tile::warp_rows;
    }
    static __device__ int first_column() {
      return static_cast<int>(threadIdx.x) / 32 % across * Tile::warp_columns;
    }

    __device__ void add(const typename SliceA::Element* a, const typename SliceB::Element* b) {
      const int row = first_row(), column = first_column();
      LIMBECK_UNROLL
      for (int k = 0; k < slice; k += Format::k) {
        uint32_t x[mi][4], y[ni][2];
        LIMBECK_UNROLL
        for (int i = 0; i < mi; ++i) Format::template left<SliceA>(x[i], a, row, 16 * i, k);
        LIMBECK_UNROLL
        for (int j = 0; j < ni; j += 2)
          Format::template right<SliceB>(y[j], y[j + 1], b, column, 8 * j, k);
        LIMBECK_UNROLL
        for (int i = 0; i < mi; ++i) LIMBECK_UNROLL
        for (int j = 0; j < ni; ++j) Format::multiply(sum[i][j], x[i], y[j]);
      }
    }

    /// f(row, column, sum, sum of column + 1); columns are even.
    template <class F>
    __device__ void for_each_pair(F&& f) const {
      const int row = first_row() + static_cast<int>(threadIdx.x) % 32 / 4,
                column = first_column() + 2 * (static_cast<int>(threadIdx.x) % 4);
      LIMBECK_UNROLL
      for (int i = 0; i < mi; ++i) LIMBECK_UNROLL
      for (int e = 0; e < 4; e += 2) LIMBECK_UNROLL
      for (int j = 0; j < ni; ++j)
        f(row + 16 * i + 4 * e, column + 8 * j, sum[i][j][e], sum[i][j][e + 1]);
    }
    template <class F>
    __device__ void for_each(F&& f) const {
      for_each_pair([&](int r, int c, float v, float w) {
        f(r, c, v);
        f(r, c + 1, w);
      });
    }
  };
};

}  // namespace limbeck::cuda
