// What tensors need from a device other than the CPU. The backend of a kind registers itself before
// main(); a program that was built without it answers every use with a named error.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tensor/dtype.h"
#include "tensor/storage.h"

namespace limbeck {

/// Work that was recorded on a device once, to be run again with the same addresses (a CUDA graph).
/// Temporary memory of the recorded work belongs to it as long as it lives.
class Recording {
 public:
  virtual ~Recording() = default;
  virtual void replay() = 0;
};

class DeviceBackend {
 public:
  virtual ~DeviceBackend() = default;
  /// Devices of this machine; 0 when there are none.
  virtual int count() = 0;
  /// "NVIDIA H100 (sm_90, 79.6 GiB)" for reports. Throws when there is no such device, as all
  /// functions below do.
  virtual std::string describe(int index) = 0;
  /// "driver 580.65.06 (CUDA 13.0), runtime 13.0".
  virtual std::string software(int index) = 0;
  /// True when there is no such hardware: what runs there proves nothing about any (the SIMT shim).
  virtual bool simulated() const = 0;
  virtual Allocator& allocator(int index) = 0;
  /// Between the host and this device, within it, or between two devices of this kind. Ordered
  /// after the work already queued; when it returns, host memory may be read or used again.
  virtual void copy(void* to, Device to_device, const void* from, Device from_device,
                    size_t bytes) = 0;
  /// Sets `count` elements. Any type.
  virtual void fill(void* to, Device device, DType dtype, int64_t count, double value) = 0;
  /// Copies `count` elements into another type.
  virtual void convert(void* to, DType to_type, const void* from, DType from_type, int64_t count,
                       Device device) = 0;
  /// Waits for all queued work. Throws what kernels reported meanwhile (an index out of range, a
  /// crash).
  virtual void synchronise(int index) = 0;
  /// What is queued between the two calls is recorded and not run. Waiting for the device in
  /// between is an error.
  virtual void begin_recording(int index) = 0;
  virtual std::unique_ptr<Recording> end_recording(int index) = 0;
};

/// `backend` must live for ever.
void register_backend(DeviceKind kind, DeviceBackend& backend);
/// True when this program was built with the kind; says nothing about the machine.
bool has_backend(DeviceKind kind);
/// Throws, saying how to build it, when the kind is not part of this build.
DeviceBackend& backend(Device device);

/// What the host does in a step besides queueing work: counting, writing a learning rate into a
/// tensor of the device. Runs `effect` now; while this thread records, it keeps it instead, to be
/// run before each replay. What it captures must outlive the recording; tensors that it writes must
/// be older than the recording, whose own memory changes hands during a replay.
void host_effect(std::function<void()> effect);

/// Whether this thread records a step.
bool recording();

/// Collects the host effects of this thread from here until stop() or destruction. Not nested.
class HostEffects {
 public:
  /// Throws while a step is being recorded.
  HostEffects();
  ~HostEffects();
  HostEffects(const HostEffects&) = delete;
  HostEffects& operator=(const HostEffects&) = delete;
  void stop();
  void run() const;

 private:
  friend void host_effect(std::function<void()> effect);
  std::vector<std::function<void()>> effects_;
};

}  // namespace limbeck
