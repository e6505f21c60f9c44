// fill and convert: y[i] = value; y[i] = (To) x[i]. x, y [count], any types; y is overwritten. One
// thread per element, no shared memory, deterministic. f32 to bf16 and back: four elements a
// thread. Bytes: sizeof(To) (fill), sizeof(From) + sizeof(To) (convert) an element; no FLOPs.
#include "ops_cuda/copy.h"

#include "ops_cuda/launch.h"

namespace limbeck::cuda {
namespace {

template <class T>
__global__ void fill(T* y, int64_t n, T value) {
  const int64_t i = global_index();
  if (i < n) y[i] = value;
}

template <class To, class From>
__global__ void convert(To* y, const From* x, int64_t n) {
  const int64_t i = global_index();
  if (i < n) y[i] = static_cast<To>(x[i]);
}

/// Four elements a thread; the last thread also takes what is left over.
template <class To, class From>
__global__ void convert_vectors(To* y, const From* x, int64_t n) {
  const int64_t i = 4 * global_index();
  if (i + 4 <= n)
    store_floats(y + i, load_floats<4>(x + i));
  else
    for (int64_t j = i; j < n; ++j) y[j] = static_cast<To>(static_cast<float>(x[j]));
}

template <class T>
void launch_fill(void* to, int64_t count, double value, cudaStream_t stream) {
  LAUNCH(fill<T>, blocks_for(count), 256, 0, stream)
  (static_cast<T*>(to), count, static_cast<T>(value));
}

template <class To, class From>
void launch_convert(void* to, const void* from, int64_t count, cudaStream_t stream) {
  constexpr bool activations = (std::is_same_v<To, float> && std::is_same_v<From, bfloat16>) ||
                               (std::is_same_v<To, bfloat16> && std::is_same_v<From, float>);
  if constexpr (activations) {
    auto* y = static_cast<To*>(to);
    auto* x = static_cast<const From*>(from);
    if (aligned_for(4, x) && aligned_for(4, y)) {
      LAUNCH((convert_vectors<To, From>), blocks_for(ceil_div(count, 4)), 256, 0, stream)
      (y, x, count);
      return;
    }
  }
  LAUNCH((convert<To, From>), blocks_for(count), 256, 0, stream)
  (static_cast<To*>(to), static_cast<const From*>(from), count);
}

}  // namespace

void fill_elements(void* to, DType dtype, int64_t count, double value, cudaStream_t stream) {
  dispatch_all(dtype, "fill", [&](auto t) { launch_fill<decltype(t)>(to, count, value, stream); });
}

void convert_elements(void* to, DType to_type, const void* from, DType from_type, int64_t count,
                      cudaStream_t stream) {
  dispatch_all(from_type, "to", [&](auto f) {
    dispatch_all(to_type, "to", [&](auto t) {
      launch_convert<decltype(t), decltype(f)>(to, from, count, stream);
    });
  });
}

}  // namespace limbeck::cuda
