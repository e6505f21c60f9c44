// attention on tensor cores, bf16; naive in ops_cuda/attention.cu, contract in ops/attention.cpp.
//   p = softmax_s(scale q k^T);  y = p v;  lse = log sum_s e^(scale q k_s)
//   dv_s = sum_l p dy_l;  ds = p (dy v_s - delta_l), delta_l = sum_e dy y;  dq = scale sum_s ds
//                         k_s;  dk_s = scale sum_l ds q
// q [N, L, d], k [N, S, d], v [N, S, e] -> y [N, L, e], all bf16, lse [N, L] f32. All outputs are
// overwritten. For even d <= 64 and even e <= 128; other sizes run in ops_cuda/attention_tuned.cu.
// Products take bf16 factors and sum in f32. Scores, maxima, sums and lse are f32; the weights (p,
// ds) are rounded to bf16 before the product with v, dy, k or q, as FlashAttention does: the error
// of that is the one of rounding those inputs (OpInput::weighted). A block is 4 warps and owns 64
// rows: queries (forward, dq), or keys (dk and dv). It walks over tiles of others, 64 keys
// (forward) or 32. A warp has 16 rows; its scores come out of one product in the layout in which
// the next one takes its left factor, so weights never leave registers.
//   forward   online softmax, per tile one rescaling by 2^(m - max(m, tile)); v arrives while q
//             k^T is computed, the next k during p v
//   backward  rows have two factors, x1 (q or k) and x2 (dy or v), and so have the others: w1 = x1
//             o1^T -> p, w2 = x2 o2^T -> ds;
//             result1 += ds o1 (dq or dk), with key rows result2 += p o2 (dv). One kernel for
//             both; the next tile arrives meanwhile.
// Shared memory: forward 36 KiB, backward 53 KiB (E = 128), lines padded by 16 bytes: no bank
// conflicts. No atomics: every sum has one owner and one order, at the price of 2 N L S (4 d + 3 e)
// FLOPs backward instead of (3 d + 2 e). Forward 2 N L S (d + e). Bytes: own rows once, others once
// per 64 rows (second-level cache). Source: Dao et al., FlashAttention, 2022, algorithms 1 and 4;
// Dao, FlashAttention-2, 2023, section 3 (rows over warps).
#include <cmath>
#include <limits>

#include "ops/attention.h"
#include "ops_cuda/attention_deltas.h"
#include "ops_cuda/instructions.h"
#include "ops_cuda/pointers.h"
#include "ops_cuda/register.h"

namespace limbeck::cuda {
namespace {

using Sizes = AttentionSizes<float>;

constexpr int warps = 4, threads = 32 * warps, row_tile = 16 * warps, key_tile = 64,
              other_tile = 32;
constexpr int widest_d = 64, widest_e = 128;
constexpr float log2_e = 1.4426950408889634f, ln_2 = 0.6931471805599453f,
                infinity = std::numeric_limits<float>::infinity();

/// A vector in shared memory; the eight lines that form a matrix start in different banks.
template <int W>
struct alignas(16) Line {
  bfloat16 v[W + 8];
};

/// `count` vectors of length `width` of one batch entry.
struct Side {
  const bfloat16* data;
  int64_t count, width;
};

__device__ inline int lane() { return static_cast<int>(threadIdx.x) % 32; }
__device__ inline int warp() { return static_cast<int>(threadIdx.x) / 32; }
// Of a 16 x 8 result, a lane has rows group() and group() + 8, columns pair() and pair() + 1
// (ops_cuda/instructions.h).
__device__ inline int group() { return lane() / 4; }
__device__ inline int pair() { return lane() % 4 * 2; }

template <int unit, int W>
__device__ void copy_units(Line<W>* to, int lines, const Side& from, int64_t first) {
  const int padded = static_cast<int>(ceil_div(from.width, 16)) * 16;
  for (int i = static_cast<int>(threadIdx.x); i < lines * (W / unit); i += threads) {
    const int line = i / (W / unit), column = i % (W / unit) * unit;
    if (column >= padded) continue;
    const bool valid = first + line < from.count && column < from.width;
    const bfloat16* source = valid ? from.data + (first + line) * from.width + column : from.data;
    if constexpr (unit == 8)
      copy_async16(to[line].v + column, source, valid);
    else if constexpr (unit == 4)
      copy_async8(to[line].v + column, source, valid);
    else
      copy_async4(to[line].v + column, source, valid);
  }
}

/// Starts copying vectors first, first + 1, ..; zeros beyond the last one, and beyond the width up
/// to a multiple of 16. `unit`: values per access.
template <int W>
__device__ void copy_lines(Line<W>* to, int lines, const Side& from, int64_t first, int unit) {
  if (unit == 8)
    copy_units<8>(to, lines, from, first);
  else if (unit == 4)
    copy_units<4>(to, lines, from, first);
  else
    copy_units<2>(to, lines, from, first);
}

/// result[n] += the warp's 16 rows times others 8n .. 8n + 7, over vectors of length `width`.
template <int W, int tiles>
__device__ void add_scores(float (&result)[tiles][4], const Line<W>* rows, const Line<W>* others,
                           int64_t width) {
  const int row = lane() % 16, row_k = lane() / 16 * 8, other = lane() % 8 + lane() / 16 * 8,
            other_k = lane() / 8 % 2 * 8;
  for (int k = 0; k < width; k += 16) {
    uint32_t a[4], b[4];
    load_matrices(a, rows[row].v + k + row_k);
    LIMBECK_UNROLL
    for (int n = 0; n < tiles; n += 2) {
      load_matrices(b, others[8 * n + other].v + k + other_k);
      mma_bf16_k16(result[n], a, {b[0], b[1]});
      mma_bf16_k16(result[n + 1], a, {b[2], b[3]});
    }
  }
}

/// result [16 x W] += weights [16 x 8 tiles], rounded, times as many others; columns beyond `width`
/// are left out.
template <int W, int tiles>
__device__ void add_weighted(float (&result)[W / 8][4], const float (&weights)[tiles][4],
                             const Line<W>* others, int64_t width) {
  const int other = lane() % 16, column = lane() / 16 * 8;
  LIMBECK_UNROLL
  for (int k = 0; k < tiles; k += 2) {
    const uint32_t a[4] = {pack_bf16(weights[k][0], weights[k][1]),
                           pack_bf16(weights[k][2], weights[k][3]),
                           pack_bf16(weights[k + 1][0], weights[k + 1][1]),
                           pack_bf16(weights[k + 1][2], weights[k + 1][3])};
    LIMBECK_UNROLL
    for (int n = 0; n < W / 8; n += 2) {
      if (8 * n >= width) continue;
      uint32_t b[4];
      load_matrices_transposed(b, others[8 * k + other].v + 8 * n + column);
      mma_bf16_k16(result[n], a, {b[0], b[1]});
      mma_bf16_k16(result[n + 1], a, {b[2], b[3]});
    }
  }
}

/// Rows first_row + group() and + 8 of the warp's part of a [rows, width] matrix.
template <int tiles>
__device__ void store_rows(bfloat16* to, const float (&result)[tiles][4], int64_t first_row,
                           int64_t rows, int64_t width) {
  LIMBECK_UNROLL
  for (int n = 0; n < tiles; ++n)
    for (int half = 0; half < 2; ++half) {
      const int64_t row = first_row + group() + 8 * half, column = 8 * n + pair();
      if (row < rows && column < width)
        store_floats(to + row * width + column,
                     Vector<float, 2>{{result[n][2 * half], result[n][2 * half + 1]}});
    }
}

// Over the four lanes that share a row.
__device__ float largest_of_row(float x) {
  for (int other = 2; other > 0; other /= 2) x = fmaxf(x, __shfl_xor_sync(full_warp, x, other));
  return x;
}
__device__ float sum_of_row(float x) {
  for (int other = 2; other > 0; other /= 2) x += __shfl_xor_sync(full_warp, x, other);
  return x;
}

/// The 64 rows of this block.
struct Block {
  int64_t entry, first_row;
  __device__ static Block of(int64_t rows) {
    const int64_t tiles = ceil_div(rows, row_tile);
    return {blockIdx.x / tiles, blockIdx.x % tiles * row_tile};
  }
};

/// Running maximum (of scores in powers of two) and sum of a lane's two rows; the sum is over this
/// lane's keys.
struct Softmax {
  float largest[2] = {-infinity, -infinity}, sum[2] = {};

  /// Scores of keys first, first + 1, .. become weights; the result so far shrinks.
  template <int tiles, int columns>
  __device__ void weigh(float (&p)[tiles][4], float scale, int64_t first, int64_t keys,
                        float (&result)[columns][4]) {
    LIMBECK_UNROLL
    for (int half = 0; half < 2; ++half) {
      float bound = largest[half];
      LIMBECK_UNROLL
      for (int n = 0; n < tiles; ++n)
        for (int i = 2 * half; i < 2 * half + 2; ++i) {
          p[n][i] = first + 8 * n + pair() + i % 2 < keys ? scale * p[n][i] : -infinity;
          bound = fmaxf(bound, p[n][i]);
        }
      bound = largest_of_row(bound);
      const float shrink = std::exp2(largest[half] - bound);
      sum[half] *= shrink;
      LIMBECK_UNROLL
      for (int n = 0; n < tiles; ++n)
        for (int i = 2 * half; i < 2 * half + 2; ++i)
          sum[half] += p[n][i] = std::exp2(p[n][i] - bound);
      LIMBECK_UNROLL
      for (int n = 0; n < columns; ++n)
        for (int i = 2 * half; i < 2 * half + 2; ++i) result[n][i] *= shrink;
      largest[half] = bound;
    }
  }
};

template <int E>
__global__ void __launch_bounds__(threads, 3)
    forward_rows(const bfloat16* q, const bfloat16* k, const bfloat16* v, Sizes s, int unit,
                 bfloat16* y, float* lse) {
  SHARED(Line<widest_d>, query_lines, [row_tile]);
  SHARED(Line<widest_d>, key_lines, [key_tile]);
  SHARED(Line<E>, value_lines, [key_tile]);
  const Block block = Block::of(s.queries);
  const Side queries{q + block.entry * s.queries * s.d, s.queries, s.d},
      keys{k + block.entry * s.keys * s.d, s.keys, s.d},
      values{v + block.entry * s.keys * s.e, s.keys, s.e};
  Softmax softmax;
  float result[E / 8][4] = {};
  copy_lines(query_lines, row_tile, queries, block.first_row, unit);
  copy_lines(key_lines, key_tile, keys, 0, unit);
  commit_async();
  for (int64_t first = 0; first < s.keys; first += key_tile) {
    wait_async<0>();
    __syncthreads();  // the keys are here, and the last tile's values are no longer read
    copy_lines(value_lines, key_tile, values, first, unit);
    commit_async();
    float p[key_tile / 8][4] = {};
    add_scores(p, query_lines + 16 * warp(), key_lines, s.d);
    softmax.weigh(p, s.scale * log2_e, first, s.keys, result);
    wait_async<0>();
    __syncthreads();  // the values are here, and the keys are no longer read
    if (first + key_tile < s.keys) copy_lines(key_lines, key_tile, keys, first + key_tile, unit);
    commit_async();
    add_weighted(result, p, value_lines, s.e);
  }
  const int64_t first_row = block.first_row + 16 * warp();
  for (int half = 0; half < 2; ++half) {
    const float z = sum_of_row(softmax.sum[half]), inverse = 1 / z;
    LIMBECK_UNROLL
    for (int n = 0; n < E / 8; ++n)
      for (int i = 2 * half; i < 2 * half + 2; ++i) result[n][i] *= inverse;
    const int64_t row = first_row + group() + 8 * half;
    if (pair() == 0 && row < s.queries)
      lse[block.entry * s.queries + row] = ln_2 * softmax.largest[half] + std::log(z);
  }
  store_rows(y + block.entry * s.queries * s.e, result, first_row, s.queries, s.e);
}

/// The two factors of rows and others: queries have q and dy, keys have k and v.
struct Factors {
  Side one, two;
};

struct Saved {
  const bfloat16 *q, *k, *v, *dy;
  const float *lse, *delta;
  __device__ Factors queries(int64_t entry, const Sizes& s) const {
    return {{q + entry * s.queries * s.d, s.queries, s.d},
            {dy + entry * s.queries * s.e, s.queries, s.e}};
  }
  __device__ Factors keys(int64_t entry, const Sizes& s) const {
    return {{k + entry * s.keys * s.d, s.keys, s.d}, {v + entry * s.keys * s.e, s.keys, s.e}};
  }
};

template <int E>
struct BackwardMemory {
  Line<widest_d> row_one[row_tile], other_one[2][other_tile];
  Line<E> row_two[row_tile], other_two[2][other_tile];
  float lse[2][other_tile], delta[2][other_tile];  // of the others, when they are queries
};

/// Starts copying tile `at` (first, first + 1, ..) of the others.
template <bool key_rows, int E>
__device__ void copy_others(BackwardMemory<E>& m, int at, const Factors& others, const float* lse,
                            const float* delta, int64_t first, int unit) {
  if (first < others.one.count) {
    copy_lines(m.other_one[at], other_tile, others.one, first, unit);
    copy_lines(m.other_two[at], other_tile, others.two, first, unit);
    const int i = static_cast<int>(threadIdx.x);
    if (key_rows && i < other_tile) {
      const bool valid = first + i < others.one.count;
      copy_async4(&m.lse[at][i], valid ? lse + first + i : lse, valid);
      copy_async4(&m.delta[at][i], valid ? delta + first + i : delta, valid);
    }
  }
  commit_async();
}

/// dq of 64 queries, or dk and dv (either may be null) of 64 keys.
template <bool key_rows, int E>
__global__ void __launch_bounds__(threads, key_rows&& E > 64 ? 2 : 3)
    backward_rows(Saved saved, Sizes s, int unit, bfloat16* gradient_one, bfloat16* gradient_two) {
  SHARED_DYN(BackwardMemory<E>, memory);
  const Block block = Block::of(key_rows ? s.keys : s.queries);
  const Factors rows = key_rows ? saved.keys(block.entry, s) : saved.queries(block.entry, s);
  const Factors others = key_rows ? saved.queries(block.entry, s) : saved.keys(block.entry, s);
  const float *lse = saved.lse + block.entry * s.queries,
              *delta = saved.delta + block.entry * s.queries;
  const int64_t first_row = block.first_row + 16 * warp();
  float row_lse[2] = {}, row_delta[2] = {};
  for (int half = 0; half < 2; ++half)
    if (const int64_t row = first_row + group() + 8 * half; !key_rows && row < s.queries)
      row_lse[half] = lse[row], row_delta[half] = delta[row];
  float one[widest_d / 8][4] = {};
  [[maybe_unused]] float two[key_rows ? E / 8 : 2][4] = {};
  copy_lines(memory->row_one, row_tile, rows.one, block.first_row, unit);
  copy_lines(memory->row_two, row_tile, rows.two, block.first_row, unit);
  copy_others<key_rows>(*memory, 0, others, lse, delta, 0, unit);
  int at = 0;
  for (int64_t first = 0; first < others.one.count; first += other_tile, at = 1 - at) {
    copy_others<key_rows>(*memory, 1 - at, others, lse, delta, first + other_tile, unit);
    wait_async<1>();
    __syncthreads();
    float p[other_tile / 8][4] = {}, ds[other_tile / 8][4] = {};
    add_scores(p, memory->row_one + 16 * warp(), memory->other_one[at], s.d);
    add_scores(ds, memory->row_two + 16 * warp(), memory->other_two[at], s.e);
    LIMBECK_UNROLL
    for (int n = 0; n < other_tile / 8; ++n)
      for (int i = 0; i < 4; ++i) {
        const int other = 8 * n + pair() + i % 2;
        const float log_sum = key_rows ? memory->lse[at][other] : row_lse[i / 2],
                    mean = key_rows ? memory->delta[at][other] : row_delta[i / 2];
        p[n][i] = first + other < others.one.count
                      ? std::exp2((s.scale * p[n][i] - log_sum) * log2_e)
                      : 0.0f;
        ds[n][i] = s.scale * p[n][i] * (ds[n][i] - mean);
      }
    add_weighted(one, ds, memory->other_one[at], s.d);
    if constexpr (key_rows) add_weighted(two, p, memory->other_two[at], s.e);
    __syncthreads();  // before the tile is overwritten
  }
  const int64_t count = rows.one.count;
  if (gradient_one)
    store_rows(gradient_one + block.entry * count * s.d, one, first_row, count, s.d);
  if constexpr (key_rows)
    if (gradient_two)
      store_rows(gradient_two + block.entry * count * s.e, two, first_row, count, s.e);
}

dim3 grid(int64_t batch, int64_t rows) { return blocks_for(batch * ceil_div(rows, row_tile), 1); }

/// How many values a copy may take at once.
template <class... T>
int unit_for(const Sizes& s, const T*... pointers) {
  for (const int unit : {8, 4})
    if (s.d % unit == 0 && s.e % unit == 0 && aligned_for(unit, pointers...)) return unit;
  return 2;
}

bool supports(const Tensors& in, const Attrs& attrs) {
  const Sizes s(in, attrs);
  return s.d % 2 == 0 && s.e % 2 == 0 && s.d <= widest_d && s.e <= widest_e &&
         aligned_for(2, in[0].data<bfloat16>(), in[1].data<bfloat16>(), in[2].data<bfloat16>());
}

template <int E>
void launch_forward(const ForwardCall& c, const Sizes& s) {
  const bfloat16 *q = c.in[0].data<bfloat16>(), *k = c.in[1].data<bfloat16>(),
                 *v = c.in[2].data<bfloat16>();
  LAUNCH(forward_rows<E>, grid(s.batch, s.queries), threads, 0, stream_of(c.in[0]))
  (q, k, v, s, unit_for(s, q, k, v), c.out[0].data<bfloat16>(), c.out[1].data<float>());
}

void forward(const ForwardCall& c) {
  const Sizes s(c.in, c.attrs);
  if (s.batch * s.queries == 0) return;
  if (s.e <= 64)
    launch_forward<64>(c, s);
  else
    launch_forward<widest_e>(c, s);
}

template <bool key_rows, int E>
void launch_backward(const Saved& saved, const Sizes& s, const Tensor& one, const Tensor& two,
                     const Tensor& like) {
  const int64_t rows = key_rows ? s.keys : s.queries;
  if (!(one.defined() || two.defined()) || s.batch * rows == 0) return;
  LAUNCH((backward_rows<key_rows, E>), grid(s.batch, rows), threads, sizeof(BackwardMemory<E>),
         stream_of(like))
  (saved, s, unit_for(s, saved.q, saved.k, saved.v, saved.dy), optional_data<bfloat16>(one),
   optional_data<bfloat16>(two));
}

void backward(const BackwardCall& c) {
  const Sizes s(c.in, c.attrs);
  const Tensor dy = aligned_for(2, c.dout[0].data<bfloat16>()) ? c.dout[0] : c.dout[0].clone();
  const Tensor delta = attention_deltas<bfloat16>(c.out[0], dy);
  const Saved saved{c.in[0].data<bfloat16>(), c.in[1].data<bfloat16>(), c.in[2].data<bfloat16>(),
                    dy.data<bfloat16>(),      c.out[1].data<float>(),   delta.data<float>()};
  const auto launch_query =
      s.e <= 64 ? launch_backward<false, 64> : launch_backward<false, widest_e>;
  const auto launch_key = s.e <= 64 ? launch_backward<true, 64> : launch_backward<true, widest_e>;
  launch_query(saved, s, c.din[0], Tensor(), dy);
  launch_key(saved, s, c.din[1], c.din[2], dy);
}

const RegisterTuned attention("attention", {forward, backward}, supports, DType::bf16, "cuda-mma",
                              3);

}  // namespace
}  // namespace limbeck::cuda
