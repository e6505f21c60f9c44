// Matrix products, the form to read first.
//   matmul  c[p] = op(a[p]) op(b[p]);  d op(a) = dc op(b)^T, d op(b) = op(a)^T dc, summed over the
//                                      axes of the batch along which an operand repeats
//   linear  y = x w^T + bias;          dx = dy w, dw = dy^T x, dbias = column sums of dy
// a [.., m, k] (stored [.., k, m] when transposed), b [.., k, n], c [.., m, n]; x [m, k], w [n, k],
// y [m, n]; row-major, results overwritten. With bf16 storage all of matmul is bf16, and x, y, dx,
// dy of linear; w, bias, their gradients and all sums stay f32. All of them are one kernel, c[p](i,
// j) = bias[j] + sum_{s,l} a[p, s](i, l) b[p, s](l, j), on matrices with free strides. One thread
// per element of c; no shared memory; deterministic: each thread adds in the order of s and l.
// FLOPs: 2 per product. Bytes: both operands from memory for every product, 8 bytes for 2 FLOPs,
// and only caches help; the tiles of implicit_gemm.h read each operand once per tile. Source:
// elementary.
#include "ops/matmul.h"

#include "ops_cuda/column_sums.h"
#include "ops_cuda/copy.h"
#include "ops_cuda/cublas.h"
#include "ops_cuda/gemm.h"
#include "ops_cuda/long_sum.h"
#include "ops_cuda/reduction.h"
#include "ops_cuda/register.h"

namespace limbeck::cuda {
namespace {

/// Element (r, c) of matrix (p, s) is data[p * item + s * term + r * row + c * column].
template <class T>
struct View {
  T* data;
  int64_t row, column, item = 0, term = 0;

  __device__ T& at(int64_t p, int64_t s, int64_t r, int64_t c) const {
    return data[p * item + s * term + r * row + c * column];
  }
  View transposed() const { return {data, column, row, item, term}; }
};
struct Sizes {
  int64_t m, n, k, items = 1, terms = 1;
};

template <class T, class A, class B, class C>
__global__ void product_kernel(View<const A> a, View<const B> b, const T* bias, View<C> c,
                               Sizes s) {
  const int64_t e = global_index();
  if (e >= s.items * s.m * s.n) return;
  const int64_t j = e % s.n, i = e / s.n % s.m, p = e / (s.n * s.m);
  LongSum<T> sum(bias ? bias[j] : T(0));
  for (int64_t t = 0; t < s.terms; ++t)
    for (int64_t l = 0; l < s.k; ++l) sum.add(T(a.at(p, t, i, l)) * T(b.at(p, t, l, j)));
  c.at(p, 0, i, j) = C(sum.value());
}

/// Element i of copies that are to be added.
template <class T>
struct CopyTerm {
  const T* copies;
  __device__ T operator()(int64_t i) const { return copies[i]; }
};

/// T: of biases and sums.
template <class T, class A, class B, class C>
void product(View<const A> a, View<const B> b, const T* bias, View<C> c, const Sizes& s,
             cudaStream_t stream) {
  const int64_t count = s.items * s.m * s.n;
  if (count == 0) return;
  LAUNCH((product_kernel<T, A, B, C>), blocks_for(count), 256, 0, stream)(a, b, bias, c, s);
}

// --- matmul --------------------------------------------------------------------------------------
/// op(t) as a view of what a run takes of it.
template <class V, class T>
View<V> view_of(T* data, bool transpose, int64_t rows, int64_t columns,
                const MatmulRun::Side& side) {
  T* const first = data + side.first;
  return transpose ? View<V>{first, 1, rows, side.item, side.term}
                   : View<V>{first, columns, 1, side.item, side.term};
}

/// The type of partial results: those of bf16 stay f32 until they are added.
template <class T>
using Part = std::conditional_t<std::is_same_v<T, double>, double, float>;

/// Runs the products whose sums are `to`, `multiply(run, first element)`. Where several of them add
/// up to the same matrices, each writes a copy of `to`, and the copies are added, first to last.
template <class T, class Multiply>
void each_run(const MatmulSizes& s, MatmulResult result, const Tensor& to,
              const Multiply& multiply) {
  if (to.numel() == 0) return;
  if (s.batch == 0) return to.fill(0);  // nothing is added to it
  const std::vector<MatmulRun> runs = matmul_runs(s.axes, result);
  const int64_t parts = runs.front().parts, n = to.numel();
  if (parts == 1) {
    for (const MatmulRun& run : runs) multiply(run, to.data<T>());
    return;
  }
  const Tensor copies = workspace<Part<T>>(to, {parts, n});
  for (const MatmulRun& run : runs) multiply(run, copies.data<Part<T>>() + run.part * n);
  sum_groups<Part<T>, T>(groups_of({parts, n}, {1, n}), CopyTerm<Part<T>>{copies.data<Part<T>>()},
                         to);
}

template <class Pointer>
using Target = std::remove_pointer_t<Pointer>;

template <class T, class Run>
void matmul_forward(const ForwardCall& c) {
  const MatmulSizes s = matmul_sizes(c.in[0].shape(), c.in[1].shape(), c.attrs);
  const T *a = c.in[0].data<T>(), *b = c.in[1].data<T>();
  each_run<T>(s, MatmulResult::c, c.out[0], [&](const MatmulRun& r, auto* to) {
    Run::product(view_of<const T>(a, s.transpose_a, s.m, s.k, r.a),
                 view_of<const T>(b, s.transpose_b, s.k, s.n, r.b),
                 view_of<Target<decltype(to)>>(to, false, s.m, s.n, r.c),
                 Sizes{s.m, s.n, s.k, r.items, r.terms}, c.out[0]);
  });
}

template <class T, class Run>
void matmul_backward(const BackwardCall& c) {
  const MatmulSizes s = matmul_sizes(c.in[0].shape(), c.in[1].shape(), c.attrs);
  const T* d = c.dout[0].data<T>();
  if (c.din[0])
    each_run<T>(s, MatmulResult::a, c.din[0], [&](const MatmulRun& r, auto* to) {
      const auto b = view_of<const T>(c.in[1].data<T>(), s.transpose_b, s.k, s.n, r.b);
      Run::product(view_of<const T>(d, false, s.m, s.n, r.c), b.transposed(),
                   view_of<Target<decltype(to)>>(to, s.transpose_a, s.m, s.k, r.a),
                   Sizes{s.m, s.k, s.n, r.items, r.terms}, c.din[0]);
    });
  if (c.din[1])
    each_run<T>(s, MatmulResult::b, c.din[1], [&](const MatmulRun& r, auto* to) {
      const auto a = view_of<const T>(c.in[0].data<T>(), s.transpose_a, s.m, s.k, r.a);
      Run::product(a.transposed(), view_of<const T>(d, false, s.m, s.n, r.c),
                   view_of<Target<decltype(to)>>(to, s.transpose_b, s.k, s.n, r.b),
                   Sizes{s.k, s.n, s.m, r.items, r.terms}, c.din[1]);
    });
}

// --- linear --------------------------------------------------------------------------------------
/// x, y and their gradients are stored in S; w, bias and theirs in T.
template <class S, class T, class Run>
void linear_forward(const ForwardCall& c) {
  const auto [m, n, k] = linear_sizes(c.in[0].shape(), c.in[1].shape());
  const T* bias = c.in.size() > 2 && c.in[2] ? c.in[2].data<T>() : nullptr;
  Run::product(View<const S>{c.in[0].data<S>(), k, 1}, View<const T>{c.in[1].data<T>(), 1, k},
               View<S>{c.out[0].data<S>(), n, 1}, Sizes{m, n, k}, c.out[0], bias);
}

template <class S, class T, class Run>
void linear_backward(const BackwardCall& c) {
  const auto [m, n, k] = linear_sizes(c.in[0].shape(), c.in[1].shape());
  const View<const S> x{c.in[0].data<S>(), k, 1}, dy{c.dout[0].data<S>(), n, 1};
  const View<const T> w{c.in[1].data<T>(), k, 1};
  if (c.din[0]) Run::product(dy, w, View<S>{c.din[0].data<S>(), k, 1}, Sizes{m, k, n}, c.din[0]);
  if (c.din[1])
    Run::product(dy.transposed(), x, View<T>{c.din[1].data<T>(), k, 1}, Sizes{n, k, m}, c.din[1]);
  if (c.din.size() > 2 && c.din[2]) Run::column_sums(dy.data, m, n, c.din[2]);
}

// --- the forms -----------------------------------------------------------------------------------
template <class T>
struct Naive {
  template <class A, class B, class C>
  static void product(View<const A> a, View<const B> b, View<C> c, const Sizes& s, const Tensor& to,
                      const T* bias = nullptr) {
    cuda::product<T>(a, b, bias, c, s, stream_of(to));
  }
  static void column_sums(const T* d, int64_t rows, int64_t columns, const Tensor& sum) {
    column_sums_naive<T>(d, rows, columns, sum);
  }
};

/// Of a and b, one of the two strides is 1 for matrices that are stored whole.
template <class T>
Matrix<T> matrix_of(const View<const T>& v, bool k_is_column) {
  const bool columns_adjacent = v.column == 1;
  return {.data = v.data,
          .k_contiguous = columns_adjacent == k_is_column,
          .pitch = columns_adjacent ? v.row : v.column,
          .item = v.item,
          .term = v.term};
}

template <class A, class B, class C>
Product<A, B, C> product_of(const View<const A>& a, const View<const B>& b, const float* bias,
                            const View<C>& c, const Sizes& s) {
  return {.a = matrix_of(a, true),
          .b = matrix_of(b, false),
          .bias = bias,
          .c = c.data,
          .c_row = c.row,
          .c_column = c.column,
          .c_item = c.item,
          .m = s.m,
          .n = s.n,
          .k = s.k,
          .items = s.items,
          .terms = s.terms};
}

struct Tuned {
  template <class A, class B, class C>
  static void product(View<const A> a, View<const B> b, View<C> c, const Sizes& s, const Tensor& to,
                      const float* bias = nullptr) {
    gemm(product_of(a, b, bias, c, s), to);
  }
  template <class S>
  static void column_sums(const S* d, int64_t rows, int64_t columns, const Tensor& sum) {
    cuda::column_sums(d, rows, columns, sum);
  }
};

/// bf16 data: no naive kernel stands behind this one, so it serves sizes that the tiles do not
/// count, too.
struct TunedBf16 : Tuned {
  template <class A, class B, class C>
  static void product(View<const A> a, View<const B> b, View<C> c, const Sizes& s, const Tensor& to,
                      const float* bias = nullptr) {
    if (gemm_serves(s.m, s.n, s.k, s.items * s.terms))
      Tuned::product(a, b, c, s, to, bias);
    else
      cuda::product<float>(a, b, bias, c, s, stream_of(to));
  }
  /// Into a partial result of matmul; the tiles that write f32 are compiled for linear only.
  static void product(View<const bfloat16> a, View<const bfloat16> b, View<float> c, const Sizes& s,
                      const Tensor& to) {
    if (to.dtype() == DType::f32)
      product<bfloat16, bfloat16, float>(a, b, c, s, to, nullptr);
    else
      cuda::product<float>(a, b, static_cast<const float*>(nullptr), c, s, stream_of(to));
  }
};

struct Cublas : Tuned {
  template <class S, class C>
  static void product(View<const S> a, View<const S> b, View<C> c, const Sizes& s, const Tensor& to,
                      const float* bias = nullptr) {
    cublas::gemm(product_of(a, b, bias, c, s), to);
  }
  /// Activations times weights [k, n], which are rounded to bf16 first.
  static void product(View<const bfloat16> a, View<const float> b, View<bfloat16> c, const Sizes& s,
                      const Tensor& to, const float* bias = nullptr) {
    const Tensor rounded = Tensor::empty({s.k * s.n}, DType::bf16, to.device());
    if (rounded.numel())
      convert_elements(rounded.raw(), DType::bf16, b.data, DType::f32, rounded.numel(),
                       stream_of(to));
    product(a, View<const bfloat16>{rounded.data<bfloat16>(), b.row, b.column}, c, s, to, bias);
  }
};

bool small_enough(const Tensors& in, const Attrs& attrs) {
  const MatmulSizes s = matmul_sizes(in[0].shape(), in[1].shape(), attrs);
  return gemm_serves(s.m, s.n, s.k, s.batch);
}
bool small_enough_linear(const Tensors& in, const Attrs&) {
  const LinearSizes s = linear_sizes(in[0].shape(), in[1].shape());
  return gemm_serves(s.m, s.n, s.k, 1);
}

bool cublas_serves(const Tensors& in, const Attrs& attrs) {
  const MatmulSizes s = matmul_sizes(in[0].shape(), in[1].shape(), attrs);
  return s.axes.size() <= 1 && cublas::serves(s.m, s.n, s.k, s.batch, in[0].dtype());
}
bool cublas_serves_linear(const Tensors& in, const Attrs&) {
  const LinearSizes s = linear_sizes(in[0].shape(), in[1].shape());
  return cublas::serves(s.m, s.n, s.k, 1, in[0].dtype());
}

template <class T, class Run>
constexpr Functions matmul_functions{matmul_forward<T, Run>, matmul_backward<T, Run>};
template <class S, class T, class Run>
constexpr Functions linear_functions{linear_forward<S, T, Run>, linear_backward<S, T, Run>};

const RegisterNaive matmul_naive("matmul", matmul_functions<float, Naive<float>>,
                                 matmul_functions<double, Naive<double>>);
const RegisterNaive linear_naive("linear", linear_functions<float, float, Naive<float>>,
                                 linear_functions<double, double, Naive<double>>);
const RegisterTuned matmul_tuned("matmul", matmul_functions<float, Tuned>, small_enough);
const RegisterTuned linear_tuned("linear", linear_functions<float, float, Tuned>,
                                 small_enough_linear);
const RegisterTuned matmul_bf16("matmul", matmul_functions<bfloat16, TunedBf16>, nullptr,
                                DType::bf16);
const RegisterTuned linear_bf16("linear", linear_functions<bfloat16, float, TunedBf16>, nullptr,
                                DType::bf16);

Kernel by_cublas(const char* op, DType type, Functions f,
                 bool (*supports)(const Tensors&, const Attrs&)) {
  return {.op = op,
          .device = DeviceKind::cuda,
          .name = "cublas",
          .dtype = type,
          .forward = f.forward,
          .backward = f.backward,
          .priority = -1,
          .supports = supports,
          .missing = cublas::missing,
          .library = cublas::description};
}
const RegisterKernel matmul_cublas(by_cublas("matmul", DType::f32, matmul_functions<float, Cublas>,
                                             cublas_serves));
const RegisterKernel linear_cublas(by_cublas("linear", DType::f32,
                                             linear_functions<float, float, Cublas>,
                                             cublas_serves_linear));
const RegisterKernel matmul_cublas_bf16(by_cublas("matmul", DType::bf16,
                                                  matmul_functions<bfloat16, Cublas>,
                                                  cublas_serves));
const RegisterKernel linear_cublas_bf16(by_cublas("linear", DType::bf16,
                                                  linear_functions<bfloat16, float, Cublas>,
                                                  cublas_serves_linear));

}  // namespace
}  // namespace limbeck::cuda
