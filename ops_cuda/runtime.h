// CUDA's runtime for host code, real or simulated: its calls, its errors, the stream of a device.
#pragma once
#include <cstdint>

#if defined(LIMBECK_SIM)
#include "ops_cuda/sim/runtime.h"
#include "ops_cuda/sim/simt.h"
#else
#include "ops_cuda/native/runtime.h"
#endif

#include "tensor/tensor.h"

/// Throws Error with the call, CUDA's own text and, where we know it, what to do.
#define cuda_check(call) ::limbeck::cuda::check((call), #call, __FILE__, __LINE__)

namespace limbeck::cuda {

void check(cudaError_t result, const char* call, const char* file, int line);

/// The stream on which work for this device (for this tensor) is queued, in order. Makes the device
/// current.
cudaStream_t stream(int device);
inline cudaStream_t stream_of(const Tensor& t) { return stream(t.device().index); }

/// Throws Error naming the kernel and the limit that it breaks: 1 to 1024 threads, grid.y and
/// grid.z up to 65535, nothing empty.
void check_launch_limits(const char* kernel, dim3 grid, dim3 block, size_t shared_bytes);

}  // namespace limbeck::cuda
