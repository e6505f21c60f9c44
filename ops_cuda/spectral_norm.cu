// spectral_norm and spectral_norm_fixed of a weight W viewed as [rows, rest]; contract in
// ops/spectral_norm.cpp.
//   spectral_norm: n times v = norm(u W), u = norm(v W^T), norm(a) = a / max(|a|_2, eps); sigma =
//   u W v^T;  w_sn = W / sigma
//   spectral_norm_fixed: u and v are given;                                               sigma =
//   u W v^T;  w_sn = W / sigma
//   u and v count as constants in both:  dW = (dw_sn - sum(dw_sn w_sn) u^T v) / sigma
// w, w_sn, dw_sn, dw [rows, rest]; u, u_new [rows]; v [rest]; sigma [1]. All outputs are
// overwritten. sigma never leaves the device: no host round trip, so the iteration can be part of a
// captured graph. Naive: one thread per column for u W, one per row for W v^T, one block for each
// norm, sums in double; 4 launches an iteration. Tuned (f32), 2 launches an iteration and 1 for the
// quotient, with the norms left out of the products:
//   a = u W       a block per 32 columns, its 8 warps share the rows, sums meet in shared memory
//   b = W a       a warp per row, lanes along the row (coalesced); the last block then has
//                 v = a / |a|, W v^T = b / |a|, u = W v^T / |W v^T|, sigma = u W v^T
// Backward: up to 512 blocks sum dw_sn w_sn, then every block of the second launch joins those sums
// in the same order. Shared memory 1 KiB. Deterministic. Bytes: W twice an iteration (from the
// second-level cache), W and w_sn once; backward reads dw_sn twice, w_sn once and writes dw. 4
// FLOPs an element and iteration. Source: Miyato et al., ICLR 2018, equations 8 to 12; BigGAN's
// layers.py.
#include <cmath>

#include "ops_cuda/last_block.h"
#include "ops_cuda/pointers.h"
#include "ops_cuda/register.h"
#include "ops_cuda/rows.h"

namespace limbeck::cuda {
namespace {

struct Matrix {
  int64_t rows, rest;
  explicit Matrix(const Shape& s) : rows(s[0]), rest(s.numel(1, s.rank())) {}
  LIMBECK_HD int64_t size() const { return rows * rest; }
};

// No more threads than elements, rounded up to warps.
unsigned threads_for(int64_t n) {
  return static_cast<unsigned>(std::min<int64_t>(256, ceil_div(n, 32) * 32));
}

// --- naive ---------------------------------------------------------------------------------------
template <class T>
__global__ void times_left(const T* u, const T* w, Matrix m, double* result) {
  const int64_t i = global_index();
  if (i >= m.rest) return;
  double sum = 0;
  for (int64_t r = 0; r < m.rows; ++r) sum += double(u[r]) * w[r * m.rest + i];
  result[i] = sum;
}

template <class T>
__global__ void times_right(const T* w, const T* v, Matrix m, double* result) {
  const int64_t r = global_index();
  if (r >= m.rows) return;
  double sum = 0;
  for (int64_t i = 0; i < m.rest; ++i) sum += double(w[r * m.rest + i]) * v[i];
  result[r] = sum;
}

// One block: result = a / max(|a|, eps).
template <class T>
__global__ void normalise(const double* a, int64_t n, double eps, T* result) {
  double square = 0;
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) square += a[i] * a[i];
  const double length = std::sqrt(block_sum(square)), norm = length > eps ? length : eps;
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) result[i] = T(a[i] / norm);
}

// One block: sigma = sum u wv.
template <class T>
__global__ void dot(const T* u, const double* wv, int64_t n, T* sigma) {
  double sum = 0;
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) sum += u[i] * wv[i];
  sum = block_sum(sum);
  if (threadIdx.x == 0) sigma[0] = T(sum);
}

template <class T>
__global__ void divide(const T* w, const T* sigma, int64_t n, T* w_sn) {
  const int64_t i = global_index();
  if (i < n) w_sn[i] = w[i] / sigma[0];
}

// One block: sum g w_sn.
template <class T>
__global__ void inner_product(const T* g, const T* w_sn, int64_t n, double* result) {
  double sum = 0;
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) sum += double(g[i]) * w_sn[i];
  sum = block_sum(sum);
  if (threadIdx.x == 0) result[0] = sum;
}

template <class T>
__global__ void weight_gradient(const T* g, const T* u, const T* v, const T* sigma,
                                const double* product, Matrix m, T* dw) {
  const int64_t i = global_index();
  if (i < m.size()) dw[i] = T((g[i] - product[0] * u[i / m.rest] * v[i % m.rest]) / sigma[0]);
}

template <class T>
void sigma_and_quotient(const Tensor& w, const T* u, const double* wv, T* sigma,
                        const Tensor& w_sn) {
  const Matrix m(w.shape());
  LAUNCH(dot<T>, 1, threads_for(m.rows), 0, stream_of(w))(u, wv, m.rows, sigma);
  LAUNCH(divide<T>, blocks_for(m.size()), 256, 0, stream_of(w))
  (w.data<T>(), sigma, m.size(), w_sn.data<T>());
}

template <class T>
void gradient(const Tensor& g, const Tensor& w_sn, const Tensor& u, const Tensor& v,
              const Tensor& sigma, const Tensor& dw) {
  if (!dw.defined()) return;
  const Matrix m(w_sn.shape());
  const Tensor product = workspace<double>(g, {1});
  LAUNCH(inner_product<T>, 1, threads_for(m.size()), 0, stream_of(g))
  (g.data<T>(), w_sn.data<T>(), m.size(), product.data<double>());
  LAUNCH(weight_gradient<T>, blocks_for(m.size()), 256, 0, stream_of(g))
  (g.data<T>(), u.data<T>(), v.data<T>(), sigma.data<T>(), product.data<double>(), m, dw.data<T>());
}

template <class T>
void iterated_forward(const ForwardCall& c) {
  const Tensor& w = c.in[0];
  const Matrix m(w.shape());
  const double eps = c.attrs.number("eps", 1e-12);
  T *u = c.out[1].data<T>(), *v = c.out[2].data<T>();
  const Tensor uw = workspace<double>(w, {m.rest}), wv = workspace<double>(w, {m.rows});
  const cudaStream_t stream = stream_of(w);
  const unsigned row_threads = threads_for(m.rows), column_threads = threads_for(m.rest);
  for (int64_t n = 0; n < c.attrs.integer("training_iterations", 1); ++n) {
    LAUNCH(times_left<T>, blocks_for(m.rest, column_threads), column_threads, 0, stream)
    (n == 0 ? c.in[1].data<T>() : u, w.data<T>(), m, uw.data<double>());
    LAUNCH(normalise<T>, 1, column_threads, 0, stream)(uw.data<double>(), m.rest, eps, v);
    LAUNCH(times_right<T>, blocks_for(m.rows, row_threads), row_threads, 0, stream)
    (w.data<T>(), v, m, wv.data<double>());
    LAUNCH(normalise<T>, 1, row_threads, 0, stream)(wv.data<double>(), m.rows, eps, u);
  }
  sigma_and_quotient<T>(w, u, wv.data<double>(), c.out[3].data<T>(), c.out[0]);
}

template <class T>
void iterated_backward(const BackwardCall& c) {
  gradient<T>(c.dout[0], c.out[0], c.out[1], c.out[2], c.out[3], c.din[0]);
}

template <class T>
void fixed_forward(const ForwardCall& c) {
  const Tensor& w = c.in[0];
  const Matrix m(w.shape());
  const Tensor wv = workspace<double>(w, {m.rows});
  LAUNCH(times_right<T>, blocks_for(m.rows), 256, 0, stream_of(w))
  (w.data<T>(), c.in[2].data<T>(), m, wv.data<double>());
  sigma_and_quotient<T>(w, c.in[1].data<T>(), wv.data<double>(), c.out[1].data<T>(), c.out[0]);
}

template <class T>
void fixed_backward(const BackwardCall& c) {
  gradient<T>(c.dout[0], c.out[0], c.in[1], c.in[2], c.out[1], c.din[0]);
}

const RegisterNaive spectral_norm("spectral_norm",
                                  LIMBECK_TYPES(iterated_forward, iterated_backward));
const RegisterNaive spectral_norm_fixed("spectral_norm_fixed",
                                        LIMBECK_TYPES(fixed_forward, fixed_backward));

// --- tuned ---------------------------------------------------------------------------------------
constexpr int warps = 8;

// a = u W, not normalised. Block x: 32 columns; warp y takes rows y, y + 8, ..
__global__ void columns_product(const float* u, const float* w, Matrix m, float* a) {
  SHARED(float, partial, [warps][32]);
  const int lane = warp_lane(), warp = static_cast<int>(threadIdx.x) / 32;
  const int64_t column = static_cast<int64_t>(blockIdx.x) * 32 + lane;
  float sum = 0;
  if (column < m.rest)
    for (int64_t r = warp; r < m.rows; r += warps) sum += u[r] * w[r * m.rest + column];
  partial[warp][lane] = sum;
  __syncthreads();
  if (warp > 0 || column >= m.rest) return;
  for (int other = 1; other < warps; ++other) sum += partial[other][lane];
  a[column] = sum;
}

constexpr int row_threads = 32 * warps;  // of the kernels below; a warp per row

// b = W a.
__device__ void rows_product(const float* w, const float* a, Matrix m, float* b) {
  const int64_t r = static_cast<int64_t>(blockIdx.x) * warps + threadIdx.x / 32;
  if (r >= m.rows) return;
  float sum = 0;
  for (int64_t i = warp_lane(); i < m.rest; i += 32) sum += w[r * m.rest + i] * a[i];
  sum = warp_total(sum);
  if (warp_lane() == 0) b[r] = sum;
}

// The last block: v = a / |a|, b is divided by |a| (then it is W v^T), u = b / |b|, sigma = u b.
__global__ void iterate(const float* w, const float* a, Matrix m, float eps, float* b, float* u,
                        float* v, float* sigma, unsigned* counter) {
  rows_product(w, a, m, b);
  if (!last_of(gridDim.x, counter)) return;
  float square = 0;
  for (int64_t i = threadIdx.x; i < m.rest; i += row_threads) square += a[i] * a[i];
  const float length_a = std::sqrt(block_sum(square)), norm_a = length_a > eps ? length_a : eps;
  for (int64_t i = threadIdx.x; i < m.rest; i += row_threads) v[i] = a[i] / norm_a;
  square = 0;
  for (int64_t r = threadIdx.x; r < m.rows; r += row_threads) {
    const float wv = load_fresh(b + r) / norm_a;
    square += wv * wv;
  }
  square = block_sum(square);
  const float length_b = std::sqrt(square), norm_b = length_b > eps ? length_b : eps;
  for (int64_t r = threadIdx.x; r < m.rows; r += row_threads)
    u[r] = load_fresh(b + r) / norm_a / norm_b;
  if (threadIdx.x == 0) sigma[0] = square / norm_b;
}

// The last block: sigma = u b, b = W v.
__global__ void sigma_of(const float* w, const float* u, const float* v, Matrix m, float* b,
                         float* sigma, unsigned* counter) {
  rows_product(w, v, m, b);
  if (!last_of(gridDim.x, counter)) return;
  float sum = 0;
  for (int64_t i = threadIdx.x; i < m.rows; i += row_threads) sum += u[i] * load_fresh(b + i);
  sum = block_sum(sum);
  if (threadIdx.x == 0) sigma[0] = sum;
}

// partial[b] = sum of g w over the elements of block b.
__global__ void inner_products(const float* g, const float* w_sn, int64_t n, float* partial) {
  float sum = 0;
  for (int64_t i = global_index(); i < n; i += static_cast<int64_t>(gridDim.x) * blockDim.x)
    sum += g[i] * w_sn[i];
  sum = block_sum(sum);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

// Every block joins the partial sums for itself. Block y: rows y, y + gridDim.y, ..; x: columns.
__global__ void weight_gradient_rows(const float* g, const float* u, const float* v,
                                     const float* sigma, const float* partial, int partials,
                                     Matrix m, float* dw) {
  float sum = 0;
  for (int i = static_cast<int>(threadIdx.x); i < partials; i += static_cast<int>(blockDim.x))
    sum += partial[i];
  const float product = block_sum(sum), inverse = 1 / sigma[0];
  const int64_t column = global_index();
  if (column >= m.rest) return;
  const float pv = product * v[column];
  for (int64_t r = blockIdx.y; r < m.rows; r += gridDim.y)
    dw[r * m.rest + column] = (g[r * m.rest + column] - pv * u[r]) * inverse;
}

void quotient(const Tensor& w, const float* sigma, const Tensor& w_sn) {
  LAUNCH(divide<float>, blocks_for(w.numel()), 256, 0, stream_of(w))
  (w.data<float>(), sigma, w.numel(), w_sn.data<float>());
}

void iterated_tuned(const ForwardCall& c) {
  const Tensor& w = c.in[0];
  const Matrix m(w.shape());
  const cudaStream_t stream = stream_of(w);
  float *u = c.out[1].data<float>(), *v = c.out[2].data<float>(), *sigma = c.out[3].data<float>();
  const Tensor a = workspace<float>(w, {m.rest}), b = workspace<float>(w, {m.rows});
  for (int64_t n = 0; n < c.attrs.integer("training_iterations", 1); ++n) {
    LAUNCH(columns_product, blocks_for(m.rest, 32), 32 * warps, 0, stream)
    (n == 0 ? c.in[1].data<float>() : u, w.data<float>(), m, a.data<float>());
    LAUNCH(iterate, blocks_for(m.rows, warps), row_threads, 0, stream)
    (w.data<float>(), a.data<float>(), m, static_cast<float>(c.attrs.number("eps", 1e-12)),
     b.data<float>(), u, v, sigma, block_counters(w, 1, stream));
  }
  quotient(w, sigma, c.out[0]);
}

void fixed_tuned(const ForwardCall& c) {
  const Tensor& w = c.in[0];
  const Matrix m(w.shape());
  const Tensor b = workspace<float>(w, {m.rows});
  const cudaStream_t stream = stream_of(w);
  float* sigma = c.out[1].data<float>();
  LAUNCH(sigma_of, blocks_for(m.rows, warps), row_threads, 0, stream)
  (w.data<float>(), c.in[1].data<float>(), c.in[2].data<float>(), m, b.data<float>(), sigma,
   block_counters(w, 1, stream));
  quotient(w, sigma, c.out[0]);
}

void gradient_tuned(const Tensor& g, const Tensor& w_sn, const Tensor& u, const Tensor& v,
                    const Tensor& sigma, const Tensor& dw) {
  if (!dw.defined()) return;
  const Matrix m(w_sn.shape());
  // A function of the shape alone, so that the result is the same on every GPU.
  const int64_t partials = std::clamp<int64_t>(m.size() / 2048, 1, 512);
  const Tensor partial = workspace<float>(g, {partials});
  LAUNCH(inner_products, static_cast<unsigned>(partials), 256, 0, stream_of(g))
  (g.data<float>(), w_sn.data<float>(), m.size(), partial.data<float>());
  const unsigned threads = threads_for(m.rest);
  const dim3 grid(blocks_for(m.rest, threads).x,
                  static_cast<unsigned>(std::clamp<int64_t>(m.rows / 4, 1, 65535)));
  LAUNCH(weight_gradient_rows, grid, threads, 0, stream_of(g))
  (g.data<float>(), u.data<float>(), v.data<float>(), sigma.data<float>(), partial.data<float>(),
   static_cast<int>(partials), m, dw.data<float>());
}

void iterated_gradient_tuned(const BackwardCall& c) {
  gradient_tuned(c.dout[0], c.out[0], c.out[1], c.out[2], c.out[3], c.din[0]);
}
void fixed_gradient_tuned(const BackwardCall& c) {
  gradient_tuned(c.dout[0], c.out[0], c.in[1], c.in[2], c.out[1], c.din[0]);
}

const RegisterTuned spectral_norm_tuned("spectral_norm", iterated_tuned, iterated_gradient_tuned);
const RegisterTuned spectral_norm_fixed_tuned("spectral_norm_fixed", fixed_tuned,
                                              fixed_gradient_tuned);

}  // namespace
}  // namespace limbeck::cuda
