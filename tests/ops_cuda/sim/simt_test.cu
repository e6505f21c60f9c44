// The SIMT shim runs correct kernels right in every order of threads, and finds the bugs that are
// planted here. A detector that nobody has seen fire proves nothing.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <string>

#include "ops_cuda/instructions.h"
#include "ops_cuda/sim/asan.h"
#include "tests/ops_cuda/errors.h"
#include "tests/ops_cuda/orders.h"

namespace limbeck::cuda {
namespace {

// What host code and kernels share in these tests: on the CPU plain arrays will do.
template <class T>
std::vector<T> counting(size_t n) {
  std::vector<T> v(n);
  std::iota(v.begin(), v.end(), T(0));
  return v;
}

/// Every order, the default included.
template <class F>
void in_all_orders(F&& f) {
  f("forward");
  for_each_order(f);
}

// --- correct kernels -----------------------------------------------------------------------------
__global__ void indices(int64_t* out) {
  const int64_t block =
      blockIdx.x + int64_t{gridDim.x} * (blockIdx.y + int64_t{gridDim.y} * blockIdx.z);
  const int64_t thread =
      threadIdx.x + int64_t{blockDim.x} * (threadIdx.y + int64_t{blockDim.y} * threadIdx.z);
  out[block * blockDim.x * blockDim.y * blockDim.z + thread] += block * 1000 + thread;
}

TEST(Simt, EveryThreadOfEveryBlockRunsOnce) {
  in_all_orders([](const char* order) {
    std::vector<int64_t> out(2 * 3 * 2 * 30, 0);
    LAUNCH(indices, dim3(2, 3, 2), dim3(5, 3, 2), 0, nullptr)(out.data());
    for (size_t i = 0; i < out.size(); ++i)
      EXPECT_EQ(out[i], int64_t(i / 30 * 1000 + i % 30)) << order;
  });
}

// Softmax of rows of 96: shared memory, barriers in a loop, shuffles.
template <bool with_barrier>
__global__ void softmax(const float* x, float* y, int columns) {
  SHARED(float, buffer, [128]);
  const int t = static_cast<int>(threadIdx.x);
  x += int64_t{blockIdx.x} * columns, y += int64_t{blockIdx.x} * columns;
  buffer[t] = t < columns ? x[t] : -INFINITY;
  __syncthreads();
  for (int half = 64; half > 0; half /= 2) {
    if (t < half) buffer[t] = buffer[t] > buffer[t + half] ? buffer[t] : buffer[t + half];
    __syncthreads();
  }
  const float top = buffer[0];
  if (with_barrier) __syncthreads();  // all have read buffer[0] before it is written again
  buffer[t] = t < columns ? std::exp(x[t] - top) : 0;
  __syncthreads();
  for (int half = 64; half > 0; half /= 2) {
    if (t < half) buffer[t] += buffer[t + half];
    __syncthreads();
  }
  if (t < columns) y[t] = std::exp(x[t] - top) / buffer[0];
}

double softmax_error(void (*kernel)(const float*, float*, int)) {
  constexpr int rows = 3, columns = 96;
  std::vector<float> x(rows * columns), y(rows * columns);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(std::sin(0.7 * double(i)) * 3);
  LAUNCH(kernel, rows, 128, 0, nullptr)(x.data(), y.data(), columns);
  double worst = 0;
  for (int r = 0; r < rows; ++r) {
    double top = -1e9, sum = 0;
    for (int c = 0; c < columns; ++c) top = std::max(top, double(x[r * columns + c]));
    for (int c = 0; c < columns; ++c) sum += std::exp(x[r * columns + c] - top);
    for (int c = 0; c < columns; ++c)
      worst =
          std::max(worst, std::abs(std::exp(x[r * columns + c] - top) / sum - y[r * columns + c]));
  }
  return worst;
}

TEST(Simt, BarriersAndSharedMemory) {
  in_all_orders([](const char* order) { EXPECT_LT(softmax_error(softmax<true>), 1e-6) << order; });
}

__global__ void sums(const float* x, float* y) {
  const float sum = block_sum(x[threadIdx.x]);
  y[threadIdx.x] = sum + block_sum(1.0f);  // twice: the buffer is used again
}

TEST(Simt, BlockSum) {
  in_all_orders([](const char* order) {
    const auto x = counting<float>(96);
    std::vector<float> y(96);
    LAUNCH(sums, 1, 96, 0, nullptr)(x.data(), y.data());
    for (float v : y) EXPECT_EQ(v, 95 * 96 / 2 + 96) << order;
  });
}

__global__ void warp_functions(int* out) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  int* o = out + threadIdx.x * 8;
  o[0] = __shfl_sync(full_warp, lane, 5);
  o[1] = __shfl_up_sync(full_warp, lane, 3);
  o[2] = __shfl_down_sync(full_warp, lane, 3, 8);
  o[3] = __shfl_xor_sync(full_warp, lane, 9);
  o[4] = static_cast<int>(__ballot_sync(full_warp, lane % 3 == 0));
  o[5] = __any_sync(full_warp, lane == 31) + 2 * __all_sync(full_warp, lane < 31);
  if (lane < 16) {
    o[6] = __shfl_xor_sync(0xffffu, lane, 1);  // half a warp
    __syncwarp(0xffffu);
  }
  o[7] = static_cast<int>(__shfl_sync(full_warp, 0.5 + lane, 2));  // eight bytes
}

TEST(Simt, WarpFunctions) {
  in_all_orders([](const char* order) {
    std::vector<int> out(64 * 8, -1);
    LAUNCH(warp_functions, 1, 64, 0, nullptr)(out.data());
    for (int t = 0; t < 64; ++t) {
      const int lane = t % 32, *o = &out[size_t(t) * 8];
      EXPECT_EQ(o[0], 5);
      EXPECT_EQ(o[1], lane < 3 ? lane : lane - 3);
      EXPECT_EQ(o[2], lane % 8 + 3 < 8 ? lane + 3 : lane);
      EXPECT_EQ(o[3], lane ^ 9);
      EXPECT_EQ(o[4], 0x49249249);
      EXPECT_EQ(o[5], 1);
      EXPECT_EQ(o[6], lane < 16 ? lane ^ 1 : -1) << order;
      EXPECT_EQ(o[7], 2);
    }
  });
}

__global__ void count(int* total, unsigned long long* wide, float* top) {
  atomicAdd(total, 1);
  atomicAdd(wide, 1ull << 40);
  atomicMax(total + 1, static_cast<int>(threadIdx.x));
  if (atomicCAS(total + 2, 0, 7) == 0) atomicExch(top, 3.0f);
}

TEST(Simt, Atomics) {
  int total[3] = {};
  unsigned long long wide = 0;
  float top = 0;
  LAUNCH(count, 4, 64, 0, nullptr)(total, &wide, &top);
  EXPECT_EQ(total[0], 256);
  EXPECT_EQ(total[1], 63);
  EXPECT_EQ(total[2], 7);
  EXPECT_EQ(wide, 256ull << 40);
  EXPECT_EQ(top, 3);
}

__global__ void reversed(const int* x, int* y) {
  SHARED_DYN(int, buffer);
  buffer[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  y[threadIdx.x] = buffer[blockDim.x - 1 - threadIdx.x];
}

TEST(Simt, DynamicSharedMemory) {
  const auto x = counting<int>(100);
  std::vector<int> y(100);
  LAUNCH(reversed, 1, 100, 100 * sizeof(int), nullptr)(x.data(), y.data());
  for (int i = 0; i < 100; ++i) EXPECT_EQ(y[size_t(i)], 99 - i);
}

// --- tensor cores: one warp multiplies 16 x K by K x 8, fragments loaded by the layout that ops_cu
template <int K>
__global__ void product_bf16(const float* a, const float* b, float* d) {
  const int g = static_cast<int>(threadIdx.x) / 4, t = static_cast<int>(threadIdx.x) % 4;
  uint32_t fa[K / 4], fb[K / 8];
  float c[4] = {1, 1, 1, 1};
  for (int step = 0; step < K / 8; ++step) {
    const int k = 8 * step + 2 * t;
    fa[2 * step] = pack_bf16(a[g * K + k], a[g * K + k + 1]);
    fa[2 * step + 1] = pack_bf16(a[(g + 8) * K + k], a[(g + 8) * K + k + 1]);
    fb[step] = pack_bf16(b[k * 8 + g], b[(k + 1) * 8 + g]);
  }
  if constexpr (K == 16)
    mma_bf16_k16(c, fa, fb);
  else
    mma_bf16_k8(c, fa, fb);
  for (int i = 0; i < 4; ++i) d[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = c[i];
}

__global__ void product_tf32(const float* a, const float* b, float* d) {
  const int g = static_cast<int>(threadIdx.x) / 4, t = static_cast<int>(threadIdx.x) % 4;
  const uint32_t fa[4] = {to_tf32(a[g * 8 + t]), to_tf32(a[(g + 8) * 8 + t]),
                          to_tf32(a[g * 8 + t + 4]), to_tf32(a[(g + 8) * 8 + t + 4])};
  const uint32_t fb[2] = {to_tf32(b[t * 8 + g]), to_tf32(b[(t + 4) * 8 + g])};
  float c[4] = {1, 1, 1, 1};
  mma_tf32_k8(c, fa, fb);
  for (int i = 0; i < 4; ++i) d[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = c[i];
}

void check_product(void (*kernel)(const float*, const float*, float*), int k) {
  in_all_orders([&](const char* order) {
    std::vector<float> a(size_t(16 * k)), b(size_t(8 * k)), d(128);
    for (size_t i = 0; i < a.size(); ++i)
      a[i] = float(int(i * 7 % 13) - 6);  // small integers: exact in every type
    for (size_t i = 0; i < b.size(); ++i) b[i] = float(int(i * 5 % 11) - 5);
    LAUNCH(kernel, 1, 32, 0, nullptr)(a.data(), b.data(), d.data());
    for (int r = 0; r < 16; ++r)
      for (int c = 0; c < 8; ++c) {
        float sum = 1;
        for (int i = 0; i < k; ++i) sum += a[size_t(r * k + i)] * b[size_t(i * 8 + c)];
        EXPECT_EQ(d[size_t(r * 8 + c)], sum) << order << " " << r << " " << c;
      }
  });
}

TEST(Simt, TensorCoreProducts) {
  check_product(product_bf16<16>, 16);
  check_product(product_bf16<8>, 8);
  check_product(product_tf32, 8);
}

TEST(Simt, RoundsToTf32) {
  EXPECT_EQ(std::bit_cast<float>(to_tf32(1 + 0x1p-10f)), 1 + 0x1p-10f);
  EXPECT_EQ(std::bit_cast<float>(to_tf32(1 + 0x1p-11f)), 1 + 0x1p-10f);  // ties away from zero
  EXPECT_EQ(std::bit_cast<float>(to_tf32(1 + 0x1p-12f)), 1.0f);
  EXPECT_EQ(std::bit_cast<float>(to_tf32(-INFINITY)), -INFINITY);
}

template <bool transposed>
__global__ void matrices(const uint16_t* x, uint32_t* y) {
  SHARED(uint16_t, tile, [32][8]);
  for (int i = 0; i < 8; ++i) tile[threadIdx.x][i] = x[threadIdx.x * 8 + i];
  __syncthreads();
  uint32_t r[4];
  if (transposed)
    load_matrices_transposed(r, tile[threadIdx.x]);
  else
    load_matrices(r, tile[threadIdx.x]);
  for (int m = 0; m < 4; ++m) y[m * 32 + threadIdx.x] = r[m];
}

TEST(Simt, LoadsMatrices) {
  const auto x = counting<uint16_t>(256);
  std::vector<uint32_t> y(128), z(128);
  LAUNCH(matrices<false>, 1, 32, 0, nullptr)(x.data(), y.data());
  LAUNCH(matrices<true>, 1, 32, 0, nullptr)(x.data(), z.data());
  for (unsigned m = 0; m < 4; ++m)
    for (unsigned lane = 0; lane < 32; ++lane) {
      const unsigned row = lane / 4, column = lane % 4 * 2;
      EXPECT_EQ(y[m * 32 + lane], (m * 64 + row * 8 + column) | (m * 64 + row * 8 + column + 1)
                                                                    << 16);
      EXPECT_EQ(z[m * 32 + lane], (m * 64 + column * 8 + row) | (m * 64 + (column + 1) * 8 + row)
                                                                    << 16);
    }
}

// --- asynchronous copies -------------------------------------------------------------------------
template <bool waits>
__global__ void staged(const float* x, float* y) {
  SHARED(float, tile, [2][128]);
  const int t = static_cast<int>(threadIdx.x);
  copy_async16(&tile[0][4 * t], x + 4 * t);
  commit_async();
  copy_async16(&tile[1][4 * t], x + 4 * t, t < 16);
  commit_async();
  if (waits) wait_async<1>();
  __syncthreads();
  const float first = tile[0][127 - t];
  wait_async<0>();
  __syncthreads();
  y[t] = first, y[32 + t] = tile[1][4 * t];
}

TEST(Simt, AsynchronousCopies) {
  in_all_orders([](const char* order) {
    const auto x = counting<float>(128);
    std::vector<float> y(64);
    LAUNCH(staged<true>, 1, 32, 0, nullptr)(x.data(), y.data());
    for (int t = 0; t < 32; ++t) {
      EXPECT_EQ(y[size_t(t)], 127 - t) << order;
      EXPECT_EQ(y[size_t(32 + t)], t < 16 ? 4 * t : 0) << order;
    }
  });
}

// --- planted bugs --------------------------------------------------------------------------------
// Reads what another warp wrote; __syncwarp is not enough.
__global__ void exchanges_between_warps(const float* x, float* y) {
  SHARED(float, buffer, [64]);
  buffer[threadIdx.x] = x[threadIdx.x];
  __syncwarp();
  y[threadIdx.x] = buffer[threadIdx.x ^ 32];
}

TEST(SimtFinds, MissingBarrier) {
  EXPECT_GT(softmax_error(softmax<false>), 1e-3);
  // Where the threads of different warps keep step by chance, only running one warp ahead shows it.
  const auto x = counting<float>(64);
  std::vector<float> y(64);
  in_all_orders([&](const char* order) {
    LAUNCH(exchanges_between_warps, 1, 64, 0, nullptr)(x.data(), y.data());
    EXPECT_EQ(std::isnan(y[0]), std::string(order) == "warp-depth-first") << order;
  });
}

TEST(SimtFinds, CopyReadBeforeItArrived) {
  const auto x = counting<float>(128);
  std::vector<float> y(64);
  LAUNCH(staged<false>, 1, 32, 0, nullptr)(x.data(), y.data());
  EXPECT_TRUE(std::isnan(y[0]));
}

__global__ void reads_unset(float* y) {
  SHARED(float, buffer, [32]);
  if (threadIdx.x < 16) buffer[threadIdx.x] = 1;
  __syncthreads();
  y[threadIdx.x] = buffer[threadIdx.x];
}

TEST(SimtFinds, UnsetSharedMemory) {
  float y[32];
  LAUNCH(reads_unset, 2, 32, 0, nullptr)(y);
  EXPECT_EQ(y[15], 1);
  EXPECT_TRUE(std::isnan(y[16]));
}

__global__ void leaves_early(float* y) {
  if (threadIdx.x >= 20) return;
  __syncthreads();
  y[threadIdx.x] = 1;
}
__global__ void two_barriers(float* y) {
  if (threadIdx.x < 16) {
    y[threadIdx.x] = 1;
    __syncthreads();
  } else {
    y[threadIdx.x] = 2;
    __syncthreads();
  }
}

TEST(SimtFinds, DivergentBarrier) {
  float y[32];
  in_all_orders([&](const char*) {
    EXPECT_ERROR(LAUNCH(leaves_early, dim3(1, 2), 32, 0, nullptr)(y),
                 "divergent __syncthreads at simt_test.cu:");
    EXPECT_ERROR(LAUNCH(leaves_early, 1, 32, 0, nullptr)(y),
                 "12 of 32 threads left the kernel before it [block (0, 0, 0)");
    EXPECT_ERROR(LAUNCH(two_barriers, 1, 32, 0, nullptr)(y),
                 "divergent __syncthreads: thread (0, 0, 0) waits at");
  });
}

__global__ void shuffle_after_exit(float* y) {
  if (threadIdx.x >= 20) return;
  y[threadIdx.x] = __shfl_down_sync(full_warp, y[threadIdx.x], 1);
}
__global__ void shuffle_in_a_branch(float* y) {
  if (threadIdx.x < 20)
    y[threadIdx.x] = __shfl_down_sync(full_warp, y[threadIdx.x], 1);
  else
    __syncthreads();
}
__global__ void shuffle_without_itself(float* y) {
  y[threadIdx.x] = __shfl_sync(0xffff0000u, y[threadIdx.x], 16);
}
__global__ void shuffle_from_outside(float* y) {
  if (threadIdx.x < 16) y[threadIdx.x] = __shfl_sync(0xffffu, y[threadIdx.x], 20);
}
__global__ void shuffle_in_small_block(float* y) { y[threadIdx.x] = warp_sum(y[threadIdx.x]); }
__global__ void masks_disagree(float* y) {
  y[threadIdx.x] = __shfl_sync(threadIdx.x < 16 ? 0xffffffffu : 0xfffffff0u, y[threadIdx.x], 16);
}

TEST(SimtFinds, WarpFunctionsWithAbsentLanes) {
  float y[32] = {};
  in_all_orders([&](const char*) {
    EXPECT_ERROR(LAUNCH(shuffle_after_exit, 1, 32, 0, nullptr)(y),
                 "__shfl_down_sync: the mask names lane ");
    EXPECT_ERROR(LAUNCH(shuffle_after_exit, 1, 32, 0, nullptr)(y), "which has left the kernel");
    EXPECT_ERROR(LAUNCH(shuffle_in_a_branch, 1, 32, 0, nullptr)(y),
                 "deadlock: 20 threads wait in a warp instruction");
    EXPECT_ERROR(LAUNCH(shuffle_without_itself, 1, 32, 0, nullptr)(y),
                 "calls with a mask that does not name it");
    EXPECT_ERROR(LAUNCH(shuffle_from_outside, 1, 32, 0, nullptr)(y),
                 "reads lane 20, which is not in the mask");
    EXPECT_ERROR(LAUNCH(shuffle_in_small_block, 1, 20, 0, nullptr)(y),
                 "the block has only 20 threads");
    EXPECT_ERROR(LAUNCH(masks_disagree, 1, 32, 0, nullptr)(y), "with mask 0x");
  });
}

__global__ void misaligned(const float* x, float* y, int shift) {
  const auto v = load_vector<4>(x + shift);
  store_vector(y, v);
}
__global__ void misaligned_copy(const float* x, float* y) {
  SHARED(float, tile, [8]);
  copy_async16(tile, x + 1);
  wait_async<0>();
  y[0] = tile[0];
}

TEST(SimtFinds, MisalignedVectorAccess) {
  alignas(16) float x[8] = {1, 2, 3, 4, 5, 6, 7, 8}, y[8] = {};
  LAUNCH(misaligned, 1, 1, 0, nullptr)(x, y, 4);
  EXPECT_EQ(y[3], 8);
  EXPECT_ERROR(LAUNCH(misaligned, 1, 1, 0, nullptr)(x, y, 1), "misaligned vector load");
  EXPECT_ERROR(LAUNCH(misaligned, 1, 1, 0, nullptr)(x, y + 2, 0), "misaligned vector store");
  EXPECT_ERROR(LAUNCH(misaligned_copy, 1, 1, 0, nullptr)(x, y),
               "misaligned asynchronous copy, source");
  EXPECT_TRUE(aligned_for(4, x, x + 4));
  EXPECT_FALSE(aligned_for(4, x, x + 2));
}

__global__ void nothing() {}
__global__ void too_much_shared(float* y) {
  SHARED(float, large, [12289]);
  large[0] = 0;
  y[0] = large[0];
}

TEST(SimtFinds, LaunchLimits) {
  EXPECT_ERROR(LAUNCH(nothing, 1, 1025, 0, nullptr)(),
               "kernel nothing: a block of 1025 x 1 x 1 threads; the limit is 1024");
  EXPECT_ERROR(LAUNCH(nothing, 1, dim3(1, 1, 65), 0, nullptr)(), "and 64 in z");
  EXPECT_ERROR(LAUNCH(nothing, dim3(1, 65536), 1, 0, nullptr)(),
               "the limits are 2147483647, 65535 and 65535");
  EXPECT_ERROR(LAUNCH(nothing, dim3(1, 1, 65536), 1, 0, nullptr)(),
               "the limits are 2147483647, 65535 and 65535");
  EXPECT_ERROR(LAUNCH(nothing, dim3(0), 1, 0, nullptr)(), "an empty grid");
  EXPECT_ERROR(LAUNCH(nothing, 1, 1, 200 << 10, nullptr)(), "bytes of dynamic shared memory");
  float y = 0;
  EXPECT_ERROR(LAUNCH(too_much_shared, 1, 1, 0, nullptr)(&y),
               "'large' makes 49156 bytes, the limit for static shared memory is 49152");
  EXPECT_ERROR(LAUNCH(reversed, 1, 1, 0, nullptr)(nullptr, nullptr),
               "launched without dynamic shared memory");
  EXPECT_NO_THROW(LAUNCH(nothing, 1, 1, 0, nullptr)());  // and goes on after all that
}

#if LIMBECK_ASAN
template <class T>
__global__ void overruns_shared(T* y, int i) {
  SHARED(T, buffer, [32]);
  T* p = buffer;  // a plain index into the array would be UBSan's find
  p[i] = 1;
  y[0] = buffer[0];
}
__global__ void overruns_global(float* y, int n) { y[global_index() + n] = 1; }

TEST(SimtFinds, OverrunUnderAddressSanitizer) {
  float y[4] = {};
  EXPECT_DEATH(LAUNCH(overruns_shared<float>, 1, 1, 0, nullptr)(y, 32), "heap-buffer-overflow");
  const Tensor t = Tensor::zeros({5}, DType::f32, Device{DeviceKind::cuda});
  EXPECT_DEATH(LAUNCH(overruns_global, 1, 1, 0, stream_of(t))(t.data<float>(), 5),
               "use-after-poison");  // behind the tensor, inside its block
  EXPECT_DEATH(
      {
        volatile float x = t.data<float>()[0];
        (void)x;
      },
      "use-after-poison");  // host code reads device memory
  EXPECT_NO_THROW(LAUNCH(overruns_global, 1, 1, 0, stream_of(t))(t.data<float>(), 4));
}
#endif

}  // namespace
}  // namespace limbeck::cuda
