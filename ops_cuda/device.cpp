#include "ops_cuda/device.h"

#include <array>
#include <memory>
#include <mutex>
#include <string_view>

#ifndef LIMBECK_CUDA_ARCHITECTURES
#define LIMBECK_CUDA_ARCHITECTURES "80"  // the shim
#endif

namespace limbeck::cuda {
namespace {

constexpr int max_devices = 64;

struct State {
  cudaDeviceProp properties{};
  cudaStream_t stream = nullptr;
  std::unique_ptr<CachingAllocator> allocator;
  Fault* fault = nullptr;
  BlockCounters counters;
};

thread_local RecordingMemory* open_recording = nullptr;

/// Null when this thread does not record there.
RecordingMemory* recording_on(int device) {
  return open_recording && open_recording->device() == device ? open_recording : nullptr;
}

void check_architecture(int device, const cudaDeviceProp& p) {
  const int oldest = std::stoi(LIMBECK_CUDA_ARCHITECTURES), found = p.major * 10 + p.minor;
  LIMBECK_CHECK(found >= oldest, "cuda:", device, " (", p.name, ") is of architecture sm_", found,
                "; this program's kernels were compiled for sm_", LIMBECK_CUDA_ARCHITECTURES,
                " and later (make CUDA=1 CUDA_ARCHS=..)");
}

std::unique_ptr<State> set_up(int device) {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  LIMBECK_CHECK(error == cudaSuccess && count > 0, "device cuda:", device,
                ": no CUDA device was found (", cudaGetErrorString(error),
                "); is there a GPU, and its driver? --device cpu needs neither");
  LIMBECK_CHECK(device >= 0 && device < count, "device cuda:", device, ": this machine has ", count,
                " CUDA device", count == 1 ? "" : "s", ", cuda:0",
                count == 1 ? "" : cat(" to cuda:", count - 1));
  auto s = std::make_unique<State>();
  cuda_check(cudaSetDevice(device));
  cuda_check(cudaGetDeviceProperties(&s->properties, device));
  check_architecture(device, s->properties);
  cuda_check(cudaStreamCreateWithFlags(&s->stream, cudaStreamNonBlocking));
  s->allocator = std::make_unique<CachingAllocator>(device);
  void* record = nullptr;
  cuda_check(cudaHostAlloc(&record, sizeof(Fault), cudaHostAllocMapped));
  s->fault = static_cast<Fault*>(record);
  *s->fault = {};
  return s;
}

State& state(int device) {
  // Never destroyed: tensors in static objects may outlive any order of destruction.
  static auto* states = new std::array<std::unique_ptr<State>, max_devices>;
  static std::mutex mutex;
  LIMBECK_CHECK(device >= 0 && device < max_devices, "device cuda:", device, " does not exist");
  const std::lock_guard lock(mutex);
  auto& s = (*states)[static_cast<size_t>(device)];
  if (!s) s = set_up(device);
  return *s;
}

/// What to do about an error, where we know it.
const char* hint(cudaError_t error) {
  switch (error) {
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchFailure:
      return "; a kernel crashed and the device's memory is lost to this program. "
             "compute-sanitizer finds the kernel, and so does 'make CUDA=sim "
             "SANITIZE=address' without a GPU";
    case cudaErrorNoKernelImageForDevice:
      return "; the kernels were not compiled for this GPU's architecture (make CUDA=1 "
             "CUDA_ARCHS=..)";
    case cudaErrorInsufficientDriver:
      return "; the driver is older than the CUDA version that this program was built with";
    case cudaErrorStreamCaptureUnsupported:
      return "; a step that is recorded as a graph must not wait for results or read them";
    default: return "";
  }
}

}  // namespace

void check(cudaError_t result, const char* call, const char* file, int line) {
  if (result == cudaSuccess) return;
  const std::string_view path = file;
  fail("CUDA: ", cudaGetErrorString(result), " (", cudaGetErrorName(result), ") in ", call, " at ",
       path.substr(path.rfind('/') + 1), ":", line, hint(result));
}

void check_launch_limits(const char* kernel, dim3 grid, dim3 block, size_t shared_bytes) {
  const uint64_t threads = uint64_t{block.x} * block.y * block.z;
  LIMBECK_CHECK(threads >= 1 && threads <= 1024 && block.z <= 64, "kernel ", kernel,
                ": a block of ", block.x, " x ", block.y, " x ", block.z,
                " threads; the limit is 1024, and 64 in z");
  LIMBECK_CHECK(grid.x >= 1 && grid.y >= 1 && grid.z >= 1, "kernel ", kernel, ": an empty grid (",
                grid.x, ", ", grid.y, ", ", grid.z, ")");
  LIMBECK_CHECK(grid.x <= 0x7fffffffu && grid.y <= 65535 && grid.z <= 65535, "kernel ", kernel,
                ": grid (", grid.x, ", ", grid.y, ", ", grid.z,
                "); the limits are 2147483647, 65535 and 65535");
  LIMBECK_CHECK(shared_bytes <= world::largest_shared, "kernel ", kernel, ": ", shared_bytes,
                " bytes of dynamic shared memory; the limit is ", world::largest_shared);
}

int device_count() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

const cudaDeviceProp& properties(int device) { return state(device).properties; }
CachingAllocator& caching_allocator(int device) { return *state(device).allocator; }

cudaStream_t stream(int device) {
  State& s = state(device);
  cuda_check(cudaSetDevice(device));
  const RecordingMemory* recording = recording_on(device);
  return recording ? recording->stream() : s.stream;
}

FaultReport fault_of(const Tensor& t, const char* operation) {
  return {state(t.device().index).fault, operation};
}

RecordingMemory::RecordingMemory(int device) : device_(device) {
  LIMBECK_CHECK(!open_recording,
                "a graph is already being recorded on cuda:", open_recording->device());
  pool_ = caching_allocator(device).new_pool();
  cuda_check(cudaSetDevice(device));
  cuda_check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
  open_recording = this;
}
RecordingMemory::~RecordingMemory() {
  close();
  caching_allocator(device_).drop_pool(pool_);
}
void RecordingMemory::close() {
  if (!stream_) return;
  if (open_recording == this) open_recording = nullptr;
  cudaStreamDestroy(stream_);
  stream_ = nullptr;
}

BlockCounters& current_counters(int device) {
  RecordingMemory* recording = recording_on(device);
  return recording ? recording->counters() : state(device).counters;
}

int current_pool(int device) {
  const RecordingMemory* recording = recording_on(device);
  return recording ? recording->pool() : 0;
}

void synchronise(int device) {
  cuda_check(cudaStreamSynchronize(stream(device)));
  throw_fault(device);
}

void throw_fault(int device) {
  const State& s = state(device);
  if (!s.fault->set) return;
  // The kernel may still be writing the rest of its note.
  cuda_check(cudaStreamSynchronize(stream(device)));
  const Fault f = *s.fault;
  *s.fault = {};
  LIMBECK_CHECK(f.size >= 0, f.operation, ": 'b' is 0 at element ", f.position,
                ", and integers have no infinity");
  fail(f.operation, ": index[", f.position, "] = ", f.index, " is outside [0, ", f.size, ")");
}

}  // namespace limbeck::cuda
