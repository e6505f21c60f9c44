// attention, tuned (f32, bf16); naive in ops_cuda/attention.cu, contract in ops/attention.cpp.
//   p = softmax_s(scale q k^T);  y = p v;  lse = log sum_s e^(scale q k_s)
//   dv_s = sum_l p dy_l;  ds = p (dy v_s - delta_l), delta_l = sum_e dy y;  dq = scale sum_s ds
//                         k_s;  dk_s = scale sum_l ds q
// q [N, L, d], k [N, S, d], v [N, S, e] -> y [N, L, e] stored as f32 or bf16, lse [N, L] f32,
// arithmetic f32. All outputs are overwritten. Any sizes. All four sums have one form: for 64 rows
// (queries, or keys for dk and dv) walk over tiles of 32 others, compute the 64 x 32 weights (p or
// ds) from products over d (and e), and add weights x others to a 64 x E result in registers. No L
// x S matrix in memory, no atomics: every sum has one owner and one order. Results wider than 128
// columns are divided over grid.y, which recomputes the weights. bf16: what
// ops_cuda/attention_mma.cu does not take (odd or large sizes); the same kernels, half the bytes.
// Threads: 256 = 16 row groups x 16 column groups; a thread has 4 rows x 2 others of the weights
// and 4 rows x E/16 columns of the result, so a row lives in 16 neighbouring lanes: its maximum and
// sum are shuffles, and weights pass between lanes of one warp only. Forward: online softmax, per
// tile of keys one rescaling by e^(m - max(m, tile)) (Milakov and Gimelshein 2018). Shared memory:
// 37.5 KiB (chunks of 32 columns of both factors, the weights, the tile of others). Bytes: q, y
// once; k, v once per 64 queries (caches). FLOPs: 2 N L S (d + e) forward; backward 2 N L S (5 d +
// 3 e) of at least (3 d + 2 e): the products over e are computed twice, which costs less than
// exchanging ds between blocks in a fixed order. Deterministic. Source: Vaswani et al. 2017; Zhang
// et al., SAGAN, 2019; Dao et al., FlashAttention, 2022, algorithms 1 and 4.
#include <cmath>
#include <limits>

#include "ops/attention.h"
#include "ops_cuda/attention_deltas.h"
#include "ops_cuda/pointers.h"
#include "ops_cuda/register.h"

namespace limbeck::cuda {
namespace {

constexpr int row_tile = 64, other_tile = 32, chunk = 32, threads = 256, widest = 128;

// Rows of shared memory, padded so that four values start at a multiple of 16 bytes.
struct alignas(16) RowLine {
  float v[row_tile + 4];
};
struct alignas(16) OtherLine {
  float v[other_tile + 4];
};
template <int E>
struct alignas(16) ValueLine {
  float v[E];
};

/// One side of a product: `count` vectors of length `width` of one batch entry.
template <class S>
struct Side {
  const S* data;
  int64_t count, width;
};

__device__ inline int row_group() { return static_cast<int>(threadIdx.x) / 16; }
__device__ inline int column_group() { return static_cast<int>(threadIdx.x) % 16; }

/// Columns [w, w + chunk) of vectors first, first + 1, .. (zero beyond the end), transposed.
template <int lines, class Line, class S>
__device__ void load_transposed(Line* to, const Side<S>& side, int64_t first, int64_t w) {
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  for (int r = warp; r < lines; r += threads / 32)
    to[lane].v[r] = first + r < side.count && w + lane < side.width
                        ? float(side.data[(first + r) * side.width + w + lane])
                        : 0.0f;
}

struct Factors {
  RowLine* rows;      // [chunk]
  OtherLine* others;  // [chunk]
};

/// result[i][j] = row (4 row_group + i) times other (column_group + 16 j). All threads of the block
/// call it; ends with loaded chunks in use.
template <class S>
__device__ void products(float (&result)[4][2], const Factors& f, const Side<S>& rows,
                         int64_t first_row, const Side<S>& others, int64_t first_other) {
  for (auto& row : result) row[0] = row[1] = 0;
  for (int64_t w = 0; w < rows.width; w += chunk) {
    __syncthreads();
    load_transposed<row_tile>(f.rows, rows, first_row, w);
    load_transposed<other_tile>(f.others, others, first_other, w);
    __syncthreads();
    const int n = static_cast<int>(std::min<int64_t>(chunk, rows.width - w));
    for (int i = 0; i < n; ++i) {
      const auto a = load_vector<4>(f.rows[i].v + 4 * row_group());
      const float b0 = f.others[i].v[column_group()], b1 = f.others[i].v[column_group() + 16];
      for (int r = 0; r < 4; ++r) {
        result[r][0] = fmaf(a[r], b0, result[r][0]);
        result[r][1] = fmaf(a[r], b1, result[r][1]);
      }
    }
  }
}

/// Columns [first_column, first_column + E) of other_tile vectors; zero beyond the end.
template <int E, class S>
__device__ void load_values(ValueLine<E>* to, const Side<S>& values, int64_t first,
                            int64_t first_column) {
  for (int i = static_cast<int>(threadIdx.x); i < other_tile * E; i += threads) {
    const int64_t other = first + i / E, column = first_column + i % E;
    to[i / E].v[i % E] = other < values.count && column < values.width
                             ? static_cast<float>(values.data[other * values.width + column])
                             : 0.0f;
  }
}

/// The thread's part of the result: rows 4 row_group + i, columns column(j).
template <int E>
struct Accumulator {
  static constexpr int columns = E / 16, vector = columns < 4 ? columns : 4;
  float value[4][columns] = {};

  __device__ static int column(int j) {
    return j / vector * 16 * vector + column_group() * vector + j % vector;
  }
  __device__ void scale_row(int i, float factor) {
    for (int j = 0; j < columns; ++j) value[i][j] *= factor;
  }
  /// value += weights x values.
  __device__ void add(const RowLine* weights, const ValueLine<E>* values) {
    for (int o = 0; o < other_tile; ++o) {
      const auto w = load_vector<4>(weights[o].v + 4 * row_group());
      for (int j = 0; j < columns; j += vector) {
        const auto x = load_vector<vector>(values[o].v + column(j));
        for (int i = 0; i < 4; ++i)
          for (int l = 0; l < vector; ++l) value[i][j + l] = fmaf(w[i], x[l], value[i][j + l]);
      }
    }
  }
  template <class S>
  __device__ void store(S* result, int64_t first_row, int64_t rows, int64_t first_column,
                        int64_t width) const {
    for (int i = 0; i < 4; ++i) {
      const int64_t row = first_row + 4 * row_group() + i;
      for (int j = 0; j < columns; ++j)
        if (row < rows && first_column + column(j) < width)
          result[row * width + first_column + column(j)] = static_cast<S>(value[i][j]);
    }
  }
};

/// The thread's weights, to the lanes of its warp that need them.
__device__ void store_weights(RowLine* weights, const float (&p)[4][2]) {
  for (int j = 0; j < 2; ++j)
    store_vector(weights[column_group() + 16 * j].v + 4 * row_group(),
                 Vector<float, 4>{{p[0][j], p[1][j], p[2][j], p[3][j]}});
}

// Over the 16 lanes that share a row.
__device__ float largest_of_row(float x) {
  for (int other = 8; other > 0; other /= 2) x = fmaxf(x, __shfl_xor_sync(full_warp, x, other));
  return x;
}
__device__ float sum_of_row(float x) {
  for (int other = 8; other > 0; other /= 2) x += __shfl_xor_sync(full_warp, x, other);
  return x;
}

using Sizes = AttentionSizes<float>;

/// The 64 rows and the columns of this block.
struct Block {
  int64_t entry, first_row, first_column;
  template <int E>
  __device__ static Block of(int64_t rows) {
    const int64_t tiles = ceil_div(rows, row_tile);
    return {blockIdx.x / tiles, blockIdx.x % tiles * row_tile,
            static_cast<int64_t>(blockIdx.y) * E};
  }
};

template <class S, int E>
__global__ void __launch_bounds__(threads)
    forward_tile(const S* q, const S* k, const S* v, Sizes s, S* y, float* lse) {
  SHARED(RowLine, row_lines, [chunk]);
  SHARED(OtherLine, other_lines, [chunk]);
  SHARED(RowLine, weights, [other_tile]);
  SHARED(ValueLine<E>, values, [other_tile]);
  const auto block = Block::of<E>(s.queries);
  const Side<S> queries{q + block.entry * s.queries * s.d, s.queries, s.d},
      keys{k + block.entry * s.keys * s.d, s.keys, s.d},
      value{v + block.entry * s.keys * s.e, s.keys, s.e};
  Accumulator<E> result;
  float largest[4], sum[4] = {};  // sum: of this lane's keys
  for (float& m : largest) m = -std::numeric_limits<float>::infinity();
  for (int64_t first = 0; first < s.keys; first += other_tile) {
    float p[4][2];
    products(p, {row_lines, other_lines}, queries, block.first_row, keys, first);
    __syncthreads();  // the last tile's values are no longer read
    load_values<E>(values, value, first, block.first_column);
    for (int i = 0; i < 4; ++i) {
      for (int j = 0; j < 2; ++j)
        p[i][j] = first + column_group() + 16 * j < s.keys
                      ? s.scale * p[i][j]
                      : -std::numeric_limits<float>::infinity();
      const float bound = fmaxf(largest[i], largest_of_row(fmaxf(p[i][0], p[i][1]))),
                  shrink = std::exp(largest[i] - bound);
      for (int j = 0; j < 2; ++j) p[i][j] = std::exp(p[i][j] - bound);
      sum[i] = sum[i] * shrink + (p[i][0] + p[i][1]);
      result.scale_row(i, shrink);
      largest[i] = bound;
    }
    store_weights(weights, p);
    __syncthreads();
    result.add(weights, values);
  }
  for (int i = 0; i < 4; ++i) {
    const float z = sum_of_row(sum[i]);
    result.scale_row(i, 1 / z);
    const int64_t row = block.first_row + 4 * row_group() + i;
    if (blockIdx.y == 0 && column_group() == 0 && row < s.queries)
      lse[block.entry * s.queries + row] = largest[i] + std::log(z);
  }
  result.store(y + block.entry * s.queries * s.e, block.first_row, s.queries, block.first_column,
               s.e);
}

/// What a backward kernel sums: dq (rows are queries, weights ds, others k), dk (keys, ds, q), dv
/// (keys, p, dy).
enum class Sum { dq, dk, dv };

template <class S>
struct Saved {
  const S *q, *k, *v, *dy;
  const float *lse, *delta;
};

template <class S, int E, Sum which>
__global__ void __launch_bounds__(threads) backward_tile(Saved<S> saved, Sizes s, S* gradient) {
  SHARED(RowLine, row_lines, [chunk]);
  SHARED(OtherLine, other_lines, [chunk]);
  SHARED(RowLine, weights, [other_tile]);
  SHARED(ValueLine<E>, values, [other_tile]);
  constexpr bool by_query = which == Sum::dq;
  const int64_t rows = by_query ? s.queries : s.keys, other_count = by_query ? s.keys : s.queries;
  const auto block = Block::of<E>(rows);
  const int64_t query0 = block.entry * s.queries, key0 = block.entry * s.keys;
  const Side<S> q{saved.q + query0 * s.d, s.queries, s.d}, k{saved.k + key0 * s.d, s.keys, s.d},
      v{saved.v + key0 * s.e, s.keys, s.e}, dy{saved.dy + query0 * s.e, s.queries, s.e};
  const Side<S> value = which == Sum::dq ? k : which == Sum::dk ? q : dy;
  Accumulator<E> result;
  for (int64_t first = 0; first < other_count; first += other_tile) {
    float p[4][2], dp[4][2];
    products(p, {row_lines, other_lines}, by_query ? q : k, block.first_row, by_query ? k : q,
             first);
    if constexpr (which != Sum::dv)
      products(dp, {row_lines, other_lines}, by_query ? dy : v, block.first_row, by_query ? v : dy,
               first);
    __syncthreads();  // the last tile's values are no longer read
    load_values<E>(values, value, first, block.first_column);
    for (int i = 0; i < 4; ++i)
      for (int j = 0; j < 2; ++j) {
        const int64_t row = block.first_row + 4 * row_group() + i,
                      other = first + column_group() + 16 * j;
        const int64_t query = query0 + (by_query ? row : other);
        float weight = 0;
        if (row < rows && other < other_count) {
          weight = std::exp(s.scale * p[i][j] - saved.lse[query]);
          if constexpr (which != Sum::dv) weight *= s.scale * (dp[i][j] - saved.delta[query]);
        }
        p[i][j] = weight;
      }
    store_weights(weights, p);
    __syncthreads();
    result.add(weights, values);
  }
  const int64_t width = value.width;
  result.store(gradient + block.entry * rows * width, block.first_row, rows, block.first_column,
               width);
}

// body(E): the columns of a block, for a result of `width` columns.
template <class Body>
void by_width(int64_t width, Body&& body) {
  if (width <= 32)
    body(std::integral_constant<int, 32>{});
  else if (width <= 64)
    body(std::integral_constant<int, 64>{});
  else
    body(std::integral_constant<int, widest>{});
}

dim3 grid(int64_t batch, int64_t rows, int64_t width, int columns) {
  const int64_t parts = std::max<int64_t>(1, ceil_div(width, columns));
  LIMBECK_CHECK(parts <= 65535, "attention: ", width, " columns are too many");
  return dim3(blocks_for(batch * ceil_div(rows, row_tile), 1).x, static_cast<unsigned>(parts));
}

template <class S, int E>
void launch_forward(const ForwardCall& c, const Sizes& s) {
  LAUNCH((forward_tile<S, E>), grid(s.batch, s.queries, s.e, E), threads, 0, stream_of(c.in[0]))
  (c.in[0].data<S>(), c.in[1].data<S>(), c.in[2].data<S>(), s, c.out[0].data<S>(),
   c.out[1].data<float>());
}

template <class S>
void forward(const ForwardCall& c) {
  const Sizes s(c.in, c.attrs);
  if (s.batch * s.queries == 0) return;
  by_width(s.e, [&](auto columns) { launch_forward<S, decltype(columns)::value>(c, s); });
}

template <class S, int E, Sum which>
void launch_gradient(const Saved<S>& saved, const Sizes& s, const Tensor& gradient) {
  LAUNCH((backward_tile<S, E, which>), grid(s.batch, gradient.size(1), gradient.size(2), E),
         threads, 0, stream_of(gradient))
  (saved, s, gradient.data<S>());
}

template <class S, Sum which>
void compute_gradient(const Saved<S>& saved, const Sizes& s, const Tensor& gradient) {
  if (!gradient.defined() || gradient.numel() == 0) return;
  by_width(gradient.size(2), [&](auto columns) {
    launch_gradient<S, decltype(columns)::value, which>(saved, s, gradient);
  });
}

template <class S>
void backward(const BackwardCall& c) {
  const Sizes s(c.in, c.attrs);
  const Tensor &dy = c.dout[0], delta = attention_deltas<S>(c.out[0], dy);
  const Saved<S> saved{c.in[0].data<S>(), c.in[1].data<S>(),      c.in[2].data<S>(),
                       dy.data<S>(),      c.out[1].data<float>(), delta.data<float>()};
  compute_gradient<S, Sum::dq>(saved, s, c.din[0]);
  compute_gradient<S, Sum::dk>(saved, s, c.din[1]);
  compute_gradient<S, Sum::dv>(saved, s, c.din[2]);
}

const RegisterTuned attention("attention", forward<float>, backward<float>);
const RegisterTuned attention_bf16("attention", forward<bfloat16>, backward<bfloat16>, nullptr,
                                   DType::bf16);

}  // namespace
}  // namespace limbeck::cuda
