// The shim's side of ops_cuda/launch.h.
#pragma once
#include <utility>

#include "ops_cuda/sim/runtime.h"
#include "ops_cuda/sim/simt.h"

#define LIMBECK_SHARED_IMPL(T, name, ...)         \
  using name##_shared_type = T __VA_ARGS__;       \
  static constexpr char name##_shared_key = 0;    \
  auto& name = *static_cast<name##_shared_type*>( \
      ::limbeck::simt::shared_variable(&name##_shared_key, sizeof(name##_shared_type), #name))
#define LIMBECK_SHARED_DYN_IMPL(T, name) \
  T* name = static_cast<T*>(::limbeck::simt::dynamic_shared())

namespace limbeck::cuda::world {

template <class... P>
void launch(const char* name, void (*kernel)(P...), dim3 grid, dim3 block, size_t shared,
            cudaStream_t stream, std::type_identity_t<P>... arguments) {
  sim::enqueue(stream, [=, text = std::string(name)] {
    simt::run(text, grid, block, shared, [&] { kernel(arguments...); });
  });
}

inline void check_alignment(const void* p, size_t bytes, const char* what) {
  simt::check_alignment(p, bytes, what);
}

}  // namespace limbeck::cuda::world
