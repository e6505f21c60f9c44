// The device `cuda` of tensor/device.h.
#include <cstring>
#include <iomanip>
#include <map>
#include <sstream>

#include "ops_cuda/copy.h"
#include "ops_cuda/device.h"
#include "ops_cuda/pinned.h"
#include "ops_cuda/precision.h"
#include "tensor/device.h"

namespace limbeck::cuda {
namespace {

class Backend final : public DeviceBackend {
 public:
  int count() override { return device_count(); }

  std::string describe(int index) override {
    const cudaDeviceProp& p = properties(index);
    std::ostringstream out;
    out << p.name << " (sm_" << p.major << p.minor << ", " << std::fixed << std::setprecision(1)
        << static_cast<double>(p.totalGlobalMem) / (1 << 30) << " GiB)";
    return out.str();
  }

  std::string software(int index) override {
    properties(index);
    return world::software();
  }
  bool simulated() const override { return world::simulated; }

  Allocator& allocator(int index) override { return caching_allocator(index); }

  void copy(void* to, Device to_device, const void* from, Device from_device,
            size_t bytes) override {
    const bool to_host = to_device.kind == DeviceKind::cpu,
               from_host = from_device.kind == DeviceKind::cpu;
    LIMBECK_CHECK(!from_host || !recording(), "a step that is recorded as a graph copies ", bytes,
                  " bytes from the host; the copy would read that place at "
                  "every replay. Make it an input of the step, or copy it before");
    const cudaMemcpyKind kind = to_host     ? cudaMemcpyDeviceToHost
                                : from_host ? cudaMemcpyHostToDevice
                                            : cudaMemcpyDeviceToDevice;
    if (!to_host && !from_host && to_device.index != from_device.index)
      synchronise(from_device.index);  // streams of two devices
    const int acting = to_host ? from_device.index : to_device.index;
    if (from_host && bytes <= largest_staged) return copy_staged(to, from, bytes, acting);
    cuda_check(cudaMemcpyAsync(to, from, bytes, kind, stream(acting)));
    if (to_host)
      synchronise(
          // from pageable host memory the call itself returns only when the bytes are staged
          acting);
  }

  void fill(void* to, Device device, DType dtype, int64_t count, double value) override {
    fill_elements(to, dtype, count, value, stream(device.index));
  }

  void convert(void* to, DType to_type, const void* from, DType from_type, int64_t count,
               Device device) override {
    convert_elements(to, to_type, from, from_type, count, stream(device.index));
  }

  void synchronise(int index) override { cuda::synchronise(index); }

  void begin_recording(int index) override {
    auto memory = std::make_unique<RecordingMemory>(index);
    // Relaxed: the allocator may ask the system for memory meanwhile.
    cuda_check(cudaStreamBeginCapture(stream(index), cudaStreamCaptureModeRelaxed));
    recording_ = std::move(memory);
  }

  std::unique_ptr<Recording> end_recording(int index) override {
    // Given back here where the capture failed.
    std::unique_ptr<RecordingMemory> memory = std::move(recording_);
    cudaGraph_t recorded = nullptr;
    const cudaError_t captured = cudaStreamEndCapture(stream(index), &recorded);
    if (memory) memory->close();
    cuda_check(captured);
    return std::make_unique<Graph>(recorded, index, std::move(memory));
  }

 private:
  // Larger copies are rare (weights, once) and gain nothing from a copy in between.
  static constexpr size_t largest_staged = size_t{4} << 20;

  /// Through page-locked memory: from any other, CUDA may make the host wait for the work that is
  /// queued before the copy.
  static void copy_staged(void* to, const void* from, size_t bytes, int device) {
    PinnedPool& pool = pinned_pool(device);
    const PinnedBlock block = pool.take(bytes);
    std::memcpy(block.data, from, bytes);
    const cudaStream_t s = stream(device);
    const cudaError_t copied = cudaMemcpyAsync(to, block.data, bytes, cudaMemcpyHostToDevice, s);
    const cudaError_t recorded = cudaEventRecord(block.done, s);
    pool.give_back(block);
    cuda_check(copied);
    cuda_check(recorded);
  }

  class Graph final : public Recording {
   public:
    Graph(cudaGraph_t recorded, int index, std::unique_ptr<RecordingMemory> memory)
        : index_(index), memory_(std::move(memory)) {
      const cudaError_t result = cudaGraphInstantiate(&graph_, recorded, 0);
      cuda_check(cudaGraphDestroy(recorded));
      cuda_check(result);
    }
    ~Graph() override { cudaGraphExecDestroy(graph_); }
    void replay() override { cuda_check(cudaGraphLaunch(graph_, stream(index_))); }

   private:
    cudaGraphExec_t graph_ = nullptr;
    int index_;
    std::unique_ptr<RecordingMemory> memory_;
  };
  static thread_local std::unique_ptr<RecordingMemory> recording_;  // in progress
};

thread_local std::unique_ptr<RecordingMemory> Backend::recording_;

const bool registered = (register_backend(DeviceKind::cuda, *new Backend), true);

}  // namespace
}  // namespace limbeck::cuda
