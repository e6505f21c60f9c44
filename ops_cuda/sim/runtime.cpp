#include "ops_cuda/sim/runtime.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "ops_cuda/sim/asan.h"
#include "ops_cuda/sim/late.h"

namespace limbeck::sim {

using Work = std::vector<std::function<void()>>;

struct Stream {
  std::unique_ptr<Work> recording;
  bool spoilt = false;                        // the recording, by a wait
  std::deque<std::function<void()>> waiting;  // work of a stream that runs late
  uint64_t queued = 0, done = 0;              // of that work, ever
};
struct Event {
  std::chrono::steady_clock::time_point time;
  Stream* stream = nullptr;  // of the last record, and what was queued there
  uint64_t position = 0;
};
struct Graph {
  std::shared_ptr<const Work> work;
};

namespace {

struct Memory {
  std::recursive_mutex mutex;
  std::map<char*, size_t> blocks;   // from cudaMalloc
  std::map<char*, size_t> exposed;  // what kernels may touch
  std::map<char*, size_t> pinned;   // from cudaHostAlloc
  size_t used = 0;
  int accessing = 0;
  std::function<bool(Stream*)> late;  // also under the mutex: streams
  std::set<Stream*> streams;
};
Memory& memory() {
  static Memory* m = new Memory;
  return *m;
}

/// Opens device memory for a kernel or a copy.
class Access {
 public:
  Access() : lock_(memory().mutex) {
    if (memory().accessing++ == 0)
      for (const auto& [p, bytes] : memory().exposed) ASAN_UNPOISON_MEMORY_REGION(p, bytes);
  }
  ~Access() {
    if (--memory().accessing == 0)
      for (const auto& [p, bytes] : memory().exposed) ASAN_POISON_MEMORY_REGION(p, bytes);
  }

 private:
  std::lock_guard<std::recursive_mutex> lock_;
};

/// Does [p, p + bytes) lie in one exposed range?
bool is_device(const void* p, size_t bytes) {
  const std::lock_guard lock(memory().mutex);
  auto after = memory().exposed.upper_bound(static_cast<char*>(const_cast<void*>(p)));
  if (after == memory().exposed.begin()) return false;
  --after;
  return static_cast<const char*>(p) + bytes <= after->first + after->second;
}

thread_local int current_device = 0;

/// Runs what waits in a stream, up to a place in its queue.
void run_until(Stream* stream, uint64_t position) {
  const std::lock_guard lock(memory().mutex);
  while (stream && stream->done < position) {
    const std::function<void()> work = std::move(stream->waiting.front());
    stream->waiting.pop_front();
    ++stream->done;
    const Access access;
    work();
  }
}
bool is_late(Stream* stream) {
  const std::lock_guard lock(memory().mutex);
  return stream && !stream->recording && memory().late && memory().late(stream);
}
/// Does p lie in a block of page-locked memory?
bool is_pinned(const void* p) {
  const std::lock_guard lock(memory().mutex);
  const auto after = memory().pinned.upper_bound(static_cast<char*>(const_cast<void*>(p)));
  return after != memory().pinned.begin() && p < std::prev(after)->first + std::prev(after)->second;
}
void run_all(Stream* stream) {
  if (stream) run_until(stream, stream->queued);
}
void run_all() {
  const std::lock_guard lock(memory().mutex);
  for (Stream* s : memory().streams) run_all(s);
}

}  // namespace

Machine& machine() {
  static Machine m = [] {
    Machine start;
    if (const char* n = std::getenv("LIMBECK_SIM_DEVICES")) start.devices = std::atoi(n);
    return start;
  }();
  return m;
}

void enqueue(cudaStream_t stream, std::function<void()> work) {
  if (stream && stream->recording) {
    stream->recording->push_back(std::move(work));
    return;
  }
  const Access access;
  if (stream && memory().late && memory().late(stream)) {
    stream->waiting.push_back(std::move(work));
    ++stream->queued;
    return;
  }
  work();
}

RunLate::RunLate(std::function<bool(cudaStream_t)> which) {
  const std::lock_guard lock(memory().mutex);
  memory().late = std::move(which);
}
RunLate::~RunLate() {
  const std::lock_guard lock(memory().mutex);
  run_all();
  memory().late = nullptr;
}

void expose(void* pointer, size_t bytes) {
  const std::lock_guard lock(memory().mutex);
  size_t& exposed = memory().exposed[static_cast<char*>(pointer)];
  if (memory().late) {  // queued work may still use what the block held before
    exposed = std::max(exposed, bytes);
    if (memory().accessing) ASAN_UNPOISON_MEMORY_REGION(pointer, exposed);
    return;
  }
  exposed = bytes;
  ASAN_UNPOISON_MEMORY_REGION(pointer, bytes);
  std::memset(pointer, 0xff, bytes);
  if (!memory().accessing) ASAN_POISON_MEMORY_REGION(pointer, bytes);
}

void hide(void* pointer, size_t bytes) {
  const std::lock_guard lock(memory().mutex);
  if (memory().late) return;
  memory().exposed.erase(static_cast<char*>(pointer));
  ASAN_POISON_MEMORY_REGION(pointer, bytes);
}

}  // namespace limbeck::sim

using namespace limbeck::sim;

cudaError_t cudaGetDeviceCount(int* count) {
  *count = machine().devices;
  return machine().devices > 0 ? cudaSuccess : cudaErrorNoDevice;
}
cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= machine().devices) return cudaErrorInvalidDevice;
  current_device = device;
  return cudaSuccess;
}
cudaError_t cudaGetDevice(int* device) { return *device = current_device, cudaSuccess; }
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int device) {
  if (device < 0 || device >= machine().devices) return cudaErrorInvalidDevice;
  *p = {};
  std::snprintf(p->name, sizeof p->name, "SIMT shim on the CPU");
  p->totalGlobalMem = machine().memory;
  p->sharedMemPerBlockOptin = size_t{163} << 10;
  p->major = machine().major, p->minor = machine().minor, p->multiProcessorCount = 4;
  return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize() { return run_all(), cudaSuccess; }

cudaError_t cudaMalloc(void** pointer, size_t bytes) {
  const std::lock_guard lock(memory().mutex);
  if (memory().used + bytes > machine().memory) return cudaErrorMemoryAllocation;
  *pointer = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  if (!*pointer) return cudaErrorMemoryAllocation;
  memory().blocks[static_cast<char*>(*pointer)] = bytes;
  memory().used += bytes;
  expose(*pointer, bytes);
  return cudaSuccess;
}
cudaError_t cudaFree(void* pointer) {
  if (!pointer) return cudaSuccess;
  const std::lock_guard lock(memory().mutex);
  run_all();
  const auto found = memory().blocks.find(static_cast<char*>(pointer));
  if (found == memory().blocks.end()) return cudaErrorInvalidValue;
  memory().exposed.erase(static_cast<char*>(pointer));
  ASAN_UNPOISON_MEMORY_REGION(pointer, found->second);
  memory().used -= found->second;
  memory().blocks.erase(found);
  std::free(pointer);
  return cudaSuccess;
}
cudaError_t cudaHostAlloc(void** pointer, size_t bytes, unsigned) {
  *pointer = std::aligned_alloc(64, (bytes + 63) / 64 * 64);
  const std::lock_guard lock(memory().mutex);
  if (*pointer) memory().pinned[static_cast<char*>(*pointer)] = bytes;
  return *pointer ? cudaSuccess : cudaErrorMemoryAllocation;
}
cudaError_t cudaFreeHost(void* pointer) {
  const std::lock_guard lock(memory().mutex);
  run_all();
  memory().pinned.erase(static_cast<char*>(pointer));
  return std::free(pointer), cudaSuccess;
}
cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  *total = machine().memory;
  *free = machine().memory - memory().used;
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  if (kind != cudaMemcpyDefault &&
      (is_device(to, bytes) != to_device || is_device(from, bytes) != from_device))
    return cudaErrorInvalidValue;
  // As CUDA does: from pageable memory it takes a copy first, into pageable memory it copies before
  // it returns.
  if (!from_device && to_device && is_late(stream) && !is_pinned(from)) {
    const auto taken = std::make_shared<std::vector<char>>(static_cast<const char*>(from),
                                                           static_cast<const char*>(from) + bytes);
    enqueue(stream, [=] { std::memcpy(to, taken->data(), bytes); });
    return cudaSuccess;
  }
  enqueue(stream, [=] { std::memmove(to, from, bytes); });
  if (from_device && !to_device && is_late(stream) && !is_pinned(to)) run_all(stream);
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* to, int byte, size_t bytes, cudaStream_t stream) {
  if (!is_device(to, bytes)) return cudaErrorInvalidValue;
  enqueue(stream, [=] { std::memset(to, byte, bytes); });
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  const std::lock_guard lock(memory().mutex);
  memory().streams.insert(*stream = new Stream);
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const std::lock_guard lock(memory().mutex);
  run_all(stream);
  memory().streams.erase(stream);
  return delete stream, cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (stream && stream->recording) return stream->spoilt = true, cudaErrorStreamCaptureUnsupported;
  return run_all(stream), cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  // The wait keeps the record that it finds, as on a GPU.
  enqueue(stream, [of = event->stream, position = event->position] { run_until(of, position); });
  return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  return *event = new Event, cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) { return delete event, cudaSuccess; }
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const std::lock_guard lock(memory().mutex);
  event->time = std::chrono::steady_clock::now();
  event->stream = stream, event->position = stream ? stream->queued : 0;
  return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  const std::lock_guard lock(memory().mutex);
  return !event->stream || event->stream->done >= event->position ? cudaSuccess : cudaErrorNotReady;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return run_until(event->stream, event->position), cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
  *milliseconds = std::chrono::duration<float, std::milli>(end->time - begin->time).count();
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  if (!stream || stream->recording) return cudaErrorStreamCaptureUnsupported;
  stream->recording = std::make_unique<Work>();
  stream->spoilt = false;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  if (!stream || !stream->recording) return cudaErrorStreamCaptureUnsupported;
  const std::shared_ptr<const Work> work = std::move(stream->recording);
  *graph = stream->spoilt ? nullptr : new Graph{work};
  return stream->spoilt ? cudaErrorStreamCaptureInvalidated : cudaSuccess;
}
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  *status =
      stream && stream->recording ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  return *exec = new Graph{graph->work}, cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  enqueue(stream, [work = exec->work] {
    for (const auto& f : *work) f();
  });
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) { return delete graph, cudaSuccess; }
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) { return delete exec, cudaSuccess; }

cudaError_t cudaGetLastError() { return cudaSuccess; }
const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "cudaSuccess";
    case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
    case cudaErrorNoDevice: return "cudaErrorNoDevice";
    case cudaErrorInvalidDevice: return "cudaErrorInvalidDevice";
    case cudaErrorStreamCaptureUnsupported: return "cudaErrorStreamCaptureUnsupported";
    case cudaErrorStreamCaptureInvalidated: return "cudaErrorStreamCaptureInvalidated";
    default: return "cudaError";
  }
}
const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "no error";
    case cudaErrorInvalidValue: return "invalid argument";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorNoDevice: return "no CUDA-capable device is detected";
    case cudaErrorInvalidDevice: return "invalid device ordinal";
    case cudaErrorStreamCaptureUnsupported:
      return "operation not permitted when stream is capturing";
    case cudaErrorStreamCaptureInvalidated:
      return "operation failed due to a previous error during capture";
    default: return "unknown error";
  }
}
