// The part of the CUDA runtime that ops_cuda uses, on the CPU, under the same names: the whole
// backend (allocator, copies, streams, graphs) runs without a GPU. Streams execute at once, in the
// order of the calls; capture records closures and a graph replays them. Device memory lies in
// blocks of its own. Under AddressSanitizer only kernels and copies may touch it: host code that
// follows a device pointer, and kernels that leave a tensor, are reported.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorNoDevice = 100,
  cudaErrorInvalidDevice = 101,
  cudaErrorNoKernelImageForDevice = 209,
  cudaErrorNotReady = 600,
  cudaErrorIllegalAddress = 700,
  cudaErrorLaunchFailure = 719,
  cudaErrorStreamCaptureUnsupported = 900,
  cudaErrorStreamCaptureInvalidated = 901,
  cudaErrorInsufficientDriver = 35,
};
enum cudaMemcpyKind {
  cudaMemcpyHostToHost,
  cudaMemcpyHostToDevice,
  cudaMemcpyDeviceToHost,
  cudaMemcpyDeviceToDevice,
  cudaMemcpyDefault
};
enum cudaStreamCaptureMode {
  cudaStreamCaptureModeGlobal,
  cudaStreamCaptureModeThreadLocal,
  cudaStreamCaptureModeRelaxed
};
enum cudaStreamCaptureStatus { cudaStreamCaptureStatusNone, cudaStreamCaptureStatusActive };
enum : unsigned {
  cudaStreamNonBlocking = 1,
  cudaEventDefault = 0,
  cudaEventDisableTiming = 2,
  cudaHostAllocDefault = 0,
  cudaHostAllocMapped = 2
};

namespace limbeck::sim {
struct Stream;
struct Event;
struct Graph;
}  // namespace limbeck::sim
using cudaStream_t = limbeck::sim::Stream*;
using cudaEvent_t = limbeck::sim::Event*;
using cudaGraph_t = limbeck::sim::Graph*;
using cudaGraphExec_t = limbeck::sim::Graph*;

struct cudaDeviceProp {
  char name[256];
  size_t totalGlobalMem, sharedMemPerBlockOptin;
  int major, minor, multiProcessorCount;
};

cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDevice(int* device);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device);
cudaError_t cudaDeviceSynchronize();
cudaError_t cudaMalloc(void** pointer, size_t bytes);
cudaError_t cudaFree(void* pointer);
cudaError_t cudaHostAlloc(void** pointer, size_t bytes, unsigned flags);
cudaError_t cudaFreeHost(void* pointer);
cudaError_t cudaMemGetInfo(size_t* free, size_t* total);
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream);
cudaError_t cudaMemsetAsync(void* to, int byte, size_t bytes, cudaStream_t stream);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags = 0);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventQuery(cudaEvent_t event);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end);
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph);
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph,
                                 unsigned long long flags = 0);
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec);
cudaError_t cudaGetLastError();
const char* cudaGetErrorName(cudaError_t error);
const char* cudaGetErrorString(cudaError_t error);

namespace limbeck::sim {

/// What the machine pretends to have; tests change it. LIMBECK_SIM_DEVICES=N in the environment
/// sets the count at start.
struct Machine {
  int devices = 1;
  size_t memory = size_t{4} << 30;  ///< bytes of each device
  int major = 9, minor = 0;
};
Machine& machine();

/// Runs `work` now, or records it while the stream captures. Device memory is accessible meanwhile.
void enqueue(cudaStream_t stream, std::function<void()> work);

/// Only exposed bytes of device memory may be touched. cudaMalloc exposes the whole block; the
/// caching allocator hides what it keeps and exposes exactly the bytes that a tensor asked for,
/// filled with NaN.
void expose(void* pointer, size_t bytes);
void hide(void* pointer, size_t bytes);

}  // namespace limbeck::sim

namespace limbeck::cuda::world {

inline constexpr bool simulated = true;
inline constexpr size_t largest_shared = size_t{163}
                                         << 10;  // of sm_80, the smallest that we compile for
inline std::string software() { return "no driver"; }

}  // namespace limbeck::cuda::world
