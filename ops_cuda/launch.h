// How kernels are written and called. This file, ops_cuda/runtime.h and ops_cuda/instructions.h are
// the only ones that know that a .cu file is compiled twice: by nvcc for GPUs, and by the host
// compiler for the SIMT shim (ops_cuda/sim/), where each CUDA thread is a fiber.
//
//   template <class T> __global__ void scale(const T* x, T* y, int64_t n, T a) {
//     const int64_t i = global_index();
//     if (i < n) y[i] = a * x[i];
//   }
//   LAUNCH(scale<T>, blocks_for(n), 256, 0, stream_of(y))(x.data<T>(), y.data<T>(), n, a);    //
//   two template arguments: LAUNCH((f<A, B>), ..)
//
//   SHARED(float, tile, [32][33]);     shared memory of the block; unset elements are NaN in the
//                                      shim
//   SHARED_DYN(float, rows);           the dynamic part, of the size given to LAUNCH
//
// Rules of the house: guard the work and not the barrier (no return before __syncthreads), warp
// functions with their mask only, no inline assembly outside ops_cuda/native, no float atomics,
// results that depend on no order of threads.
#pragma once
#include <cstdint>
#include <type_traits>

#include "ops_cuda/runtime.h"

#if defined(LIMBECK_SIM)
#include "ops_cuda/sim/launch.h"
#else
#include "ops_cuda/native/launch.h"
#endif

#include "tensor/bfloat16.h"
#include "tensor/error.h"
#include "tensor/host_device.h"

#define SHARED(T, name, ...) LIMBECK_SHARED_IMPL(T, name, __VA_ARGS__)
#define SHARED_DYN(T, name) LIMBECK_SHARED_DYN_IMPL(T, name)
#define LAUNCH(kernel, grid, block, shared_bytes, stream) \
  (::limbeck::cuda::Launch{#kernel, kernel, grid, block, shared_bytes, stream})

// Loops whose bodies index registers: nvcc must unroll them.
#if defined(__CUDACC__)
#define LIMBECK_UNROLL _Pragma("unroll")
#define LIMBECK_DO_NOT_UNROLL _Pragma("unroll 1")
#else
#define LIMBECK_UNROLL
#define LIMBECK_DO_NOT_UNROLL
#endif

namespace limbeck::cuda {

template <class... P>
struct Launch {
  const char* name;
  void (*kernel)(P...);
  dim3 grid, block;
  size_t shared_bytes;
  cudaStream_t stream;

  Launch(const char* name_, void (*kernel_)(P...), dim3 grid_, dim3 block_, size_t shared_bytes_,
         cudaStream_t stream_)
      : name(name_),
        kernel(kernel_),
        grid(grid_),
        block(block_),
        shared_bytes(shared_bytes_),
        stream(stream_) {}
  void operator()(std::type_identity_t<P>... arguments) const {
    check_launch_limits(name, grid, block, shared_bytes);
    world::launch(name, kernel, grid, block, shared_bytes, stream, arguments...);
  }
};

LIMBECK_HD constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
/// One thread per element; n >= 1.
inline dim3 blocks_for(int64_t n, int64_t threads = 256) {
  LIMBECK_CHECK(n >= 1 && ceil_div(n, threads) <= 0x7fffffff, "a launch for ", n, " elements");
  return dim3(static_cast<unsigned>(ceil_div(n, threads)));
}
/// Number of this thread in a grid of one dimension.
__device__ inline int64_t global_index() {
  return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}

// --- vector loads: one instruction for 8 or 16 bytes ---------------------------------------------
template <class T, int N>
struct alignas(sizeof(T) * N) Vector {
  T v[N];
  __device__ T& operator[](int i) { return v[i]; }
  __device__ const T& operator[](int i) const { return v[i]; }
};
/// `p` must be a multiple of N elements; the shim says so where a GPU would fault.
template <int N, class T>
__device__ Vector<T, N> load_vector(const T* p) {
  world::check_alignment(p, sizeof(T) * N, "vector load");
  return *reinterpret_cast<const Vector<T, N>*>(p);
}
template <class T, int N>
__device__ void store_vector(T* p, const Vector<T, N>& v) {
  world::check_alignment(p, sizeof(T) * N, "vector store");
  *reinterpret_cast<Vector<T, N>*>(p) = v;
}
/// The same for memory that holds S (float, or bfloat16: half the bytes) where the arithmetic is
/// float.
template <int N, class S>
__device__ Vector<float, N> load_floats(const S* p) {
  if constexpr (std::is_same_v<S, float>) {
    return load_vector<N>(p);
  } else {
    const auto stored = load_vector<N>(p);
    Vector<float, N> v;
    for (int i = 0; i < N; ++i) v[i] = static_cast<float>(stored[i]);
    return v;
  }
}
template <class S, int N>
__device__ void store_floats(S* p, const Vector<float, N>& v) {
  if constexpr (std::is_same_v<S, float>) {
    store_vector(p, v);
  } else {
    Vector<S, N> stored;
    for (int i = 0; i < N; ++i) stored[i] = static_cast<S>(v[i]);
    store_vector(p, stored);
  }
}
/// Host side: may these pointers be read N elements at a time?
template <class... T>
bool aligned_for(int n, const T*... p) {
  return ((reinterpret_cast<uintptr_t>(p) % (sizeof(T) * static_cast<size_t>(n)) == 0) && ...);
}

// --- results over a warp and a block; the order of combinations is fixed -------------------------
inline constexpr unsigned full_warp = 0xffffffffu;
struct Plus {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};
/// combine(a, b) over the 32 lanes; right in lane 0.
template <class T, class Combine>
__device__ T warp_reduce(T x, Combine combine) {
  for (int delta = 16; delta > 0; delta /= 2) x = combine(x, __shfl_down_sync(full_warp, x, delta));
  return x;
}
template <class T>
__device__ T warp_sum(T x) {
  return warp_reduce(x, Plus());
}
/// Over all threads of a one-dimensional block (a multiple of 32 threads), in every thread.
/// Contains two barriers.
template <class T, class Combine>
__device__ T block_reduce(T x, Combine combine) {
  SHARED(T, partial, [32]);
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32,
            warps = static_cast<int>(blockDim.x) / 32;
  x = warp_reduce(x, combine);
  if (lane == 0) partial[warp] = x;
  __syncthreads();
  T result = partial[0];
  for (int w = 1; w < warps; ++w) result = combine(result, partial[w]);
  __syncthreads();  // before the next use of `partial`
  return result;
}
template <class T>
__device__ T block_sum(T x) {
  return block_reduce(x, Plus());
}

}  // namespace limbeck::cuda
