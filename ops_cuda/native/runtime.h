// The side of ops_cuda/runtime.h that a real GPU runs.
#pragma once
#include <cuda_runtime.h>

#include <string>

namespace limbeck::cuda::world {

inline constexpr bool simulated = false;
inline constexpr size_t largest_shared =
    size_t{227} << 10;  // of sm_90; the driver refuses less on smaller ones

/// "driver 580.65.06 (CUDA 13.0), runtime 13.0".
std::string software();

/// Throws Error.
void complain_about_launch(cudaError_t error, const char* name, dim3 grid, dim3 block,
                           size_t shared);

}  // namespace limbeck::cuda::world

namespace limbeck::sim {
// The shim hides device memory that no tensor owns; on a GPU that is compute-sanitizer's work.
inline void expose(void*, size_t) {}
inline void hide(void*, size_t) {}
}  // namespace limbeck::sim
