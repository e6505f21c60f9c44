// The side of ops_cuda/launch.h that a real GPU runs.
#pragma once
#include <type_traits>

#include "ops_cuda/native/runtime.h"

#define LIMBECK_SHARED_IMPL(T, name, ...) __shared__ T name __VA_ARGS__
#define LIMBECK_SHARED_DYN_IMPL(T, name)                                   \
  extern __shared__ __align__(128) unsigned char limbeck_dynamic_shared[]; \
  T* name = reinterpret_cast<T*>(limbeck_dynamic_shared)

namespace limbeck::cuda::world {

template <class... P>
void launch(const char* name, void (*kernel)(P...), dim3 grid, dim3 block, size_t shared,
            cudaStream_t stream, std::type_identity_t<P>... arguments) {
  cudaError_t error = cudaSuccess;
  // More than 48 KiB has to be asked for.
  if (shared > (size_t{48} << 10))
    error =
        cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                             cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared));
  if (error == cudaSuccess) {
    cudaLaunchConfig_t config{};
    config.gridDim = grid, config.blockDim = block, config.dynamicSmemBytes = shared,
    config.stream = stream;
    error = cudaLaunchKernelEx(&config, kernel, arguments...);
  }
  if (error != cudaSuccess) complain_about_launch(error, name, grid, block, shared);
}

__device__ inline void check_alignment(const void*, size_t, const char*) {
}  // the hardware faults by itself

}  // namespace limbeck::cuda::world
