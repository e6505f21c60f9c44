// A GPU's execution model on the CPU: CUDA kernel source is compiled by the host compiler and each
// thread of a block runs as a fiber. A thread parks at __syncthreads and at warp instructions; a
// block's barrier opens when all its threads wait there, a warp instruction when all lanes of its
// mask do. What a GPU would punish or ignore silently is an error here, with kernel, block and
// thread:
//   divergent barriers, lanes that left or disagree about a mask, misaligned vector accesses,
//   launch limits, unset shared memory (NaN).
// Races show by running threads in several orders (see Order). Host code calls kernels through
// LAUNCH (ops_cuda/launch.h) only.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <source_location>
#include <string>
#include <type_traits>

// --- CUDA's names --------------------------------------------------------------------------------
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)

struct uint3 {
  unsigned x = 0, y = 0, z = 0;
};
struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(16) double2 {
  double x, y;
};
struct alignas(8) int2 {
  int x, y;
};
struct alignas(16) int4 {
  int x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};

// Set before a thread continues; plain variables, so that a debugger can say `break file.cu:40 if
// threadIdx.x == 3`.
inline uint3 threadIdx, blockIdx;
inline dim3 blockDim, gridDim;
inline constexpr int warpSize = 32;

namespace limbeck::simt {

/// In which order the threads of a block (and the blocks of a grid) run. Results must not depend on
/// it.
enum class Order {
  forward,
  reverse,
  random,  ///< a new permutation for every block
  /// one warp as far as it can go before the next one starts: shows a missing __syncthreads
  warp_depth_first,
};
inline constexpr Order all_orders[] = {Order::forward, Order::reverse, Order::random,
                                       Order::warp_depth_first};
const char* name_of(Order order);
/// forward, or what the environment says:
/// LIMBECK_SIMT_ORDER=forward|reverse|random|warp-depth-first.
Order order();
void set_order(Order order, uint64_t seed = 0);

/// Runs body() once for every thread of the grid. Throws Error naming the kernel, the block and the
/// thread when a rule is broken.
void run(const std::string& kernel, dim3 grid, dim3 block, size_t dynamic_shared,
         const std::function<void()>& body);

/// Ends the launch with an error; from within a kernel only.
[[noreturn]] void fault(std::string message);

void barrier(const std::source_location& at);

/// Block-wide memory of one SHARED variable, found by the address `key`; filled with NaN bytes at
/// its first use in each block.
void* shared_variable(const void* key, size_t bytes, const char* name);
void* dynamic_shared();

/// The lanes of `mask` meet; the last one calls complete(lanes, mask), where lanes[i] is what lane
/// i passed. Then all continue.
using Complete = void (*)(void* const* lanes, unsigned mask);
void collective(const char* what, unsigned mask, void* lane, Complete complete);
/// 0..31, of the running thread.
int lane();

/// Asynchronous copies are carried out when their thread waits for them: reading earlier shows the
/// old contents.
void copy_async(void* to, const void* from, size_t bytes, size_t valid_bytes);
void commit_copies();
void wait_for_copies(int groups_left);

void check_alignment(const void* p, size_t bytes, const char* what);

/// One lane's part of a shuffle.
struct Shuffle {
  enum Mode { index, up, down, exclusive_or } mode;
  uint64_t bits;
  int operand, width;
  uint64_t result;
};
void shuffle(void* const* lanes, unsigned mask);

template <class T>
T shuffled(const char* what, Shuffle::Mode mode, unsigned mask, T value, int operand, int width) {
  static_assert(std::is_trivially_copyable_v<T> && (sizeof(T) == 4 || sizeof(T) == 8),
                "shuffles move 4 or 8 bytes");
  Shuffle s{mode, 0, operand, width, 0};
  std::memcpy(&s.bits, &value, sizeof(T));
  collective(what, mask, &s, shuffle);
  std::memcpy(&value, &s.result, sizeof(T));
  return value;
}

/// One lane's part of a vote: the mask of lanes whose predicate holds.
struct Vote {
  bool predicate;
  unsigned result;
};
void vote(void* const* lanes, unsigned mask);
inline unsigned voted(const char* what, unsigned mask, bool predicate) {
  Vote v{predicate, 0};
  collective(what, mask, &v, vote);
  return v.result;
}

template <class T, class F>
T atomically(T* address, F change) {
  const T old = *address;
  *address = change(old);
  return old;
}

}  // namespace limbeck::simt

// --- block and warp ------------------------------------------------------------------------------
inline void __syncthreads(const std::source_location at = std::source_location::current()) {
  limbeck::simt::barrier(at);
}
inline void __syncwarp(unsigned mask = 0xffffffffu) {
  limbeck::simt::collective("__syncwarp", mask, nullptr, [](void* const*, unsigned) {});
}
template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
  return limbeck::simt::shuffled("__shfl_sync", limbeck::simt::Shuffle::index, mask, value, source,
                                 width);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  return limbeck::simt::shuffled("__shfl_up_sync", limbeck::simt::Shuffle::up, mask, value,
                                 static_cast<int>(delta), width);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  return limbeck::simt::shuffled("__shfl_down_sync", limbeck::simt::Shuffle::down, mask, value,
                                 static_cast<int>(delta), width);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int other, int width = 32) {
  return limbeck::simt::shuffled("__shfl_xor_sync", limbeck::simt::Shuffle::exclusive_or, mask,
                                 value, other, width);
}
inline unsigned __ballot_sync(unsigned mask, bool predicate) {
  return limbeck::simt::voted("__ballot_sync", mask, predicate);
}
inline bool __any_sync(unsigned mask, bool predicate) {
  return limbeck::simt::voted("__any_sync", mask, predicate) != 0;
}
inline bool __all_sync(unsigned mask, bool predicate) {
  return limbeck::simt::voted("__all_sync", mask, predicate) == mask;
}

// --- memory --------------------------------------------------------------------------------------
template <class T>
T __ldg(const T* p) {
  return *p;
}
template <class T>
T atomicAdd(T* p, std::type_identity_t<T> v) {
  return limbeck::simt::atomically(p, [&](T old) { return static_cast<T>(old + v); });
}
template <class T>
T atomicMax(T* p, std::type_identity_t<T> v) {
  return limbeck::simt::atomically(p, [&](T old) { return old > v ? old : v; });
}
template <class T>
T atomicMin(T* p, std::type_identity_t<T> v) {
  return limbeck::simt::atomically(p, [&](T old) { return old < v ? old : v; });
}
template <class T>
T atomicExch(T* p, std::type_identity_t<T> v) {
  return limbeck::simt::atomically(p, [&](T) { return v; });
}
template <class T>
T atomicOr(T* p, std::type_identity_t<T> v) {
  return limbeck::simt::atomically(p, [&](T old) { return static_cast<T>(old | v); });
}
template <class T>
T atomicCAS(T* p, std::type_identity_t<T> expected, std::type_identity_t<T> v) {
  return limbeck::simt::atomically(p, [&](T old) { return old == expected ? v : old; });
}
template <class T>
T atomicInc(T* p, std::type_identity_t<T> limit) {
  return limbeck::simt::atomically(
      p, [&](T old) { return old >= limit ? T(0) : static_cast<T>(old + 1); });
}
template <class T>
T __ldcg(const T* p) {
  return *p;
}
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}

// --- arithmetic that C++ lacks -------------------------------------------------------------------
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline float rsqrt(float x) { return 1.0f / std::sqrt(x); }
inline double rsqrt(double x) { return 1.0 / std::sqrt(x); }
inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }
inline unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>(uint64_t{a} * b >> 32);
}
inline float __int_as_float(int x) {
  float f;
  std::memcpy(&f, &x, 4);
  return f;
}
inline int __float_as_int(float x) {
  int i;
  std::memcpy(&i, &x, 4);
  return i;
}
inline float __uint_as_float(unsigned x) {
  float f;
  std::memcpy(&f, &x, 4);
  return f;
}
inline unsigned __float_as_uint(float x) {
  unsigned i;
  std::memcpy(&i, &x, 4);
  return i;
}
