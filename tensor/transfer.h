// Copies between the host and a device that the host does not wait for. On the CPU the tensors are
// passed on as they are.
#pragma once
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "tensor/tensor.h"

namespace limbeck {

/// Host tensors on their way to a device.
class Upload {
 public:
  virtual ~Upload() = default;
  /// Queues the copies on a stream of their own: behind what the device has been given so far,
  /// beside what it is given from now on. Once.
  virtual void begin() = 0;
  /// The tensors on the device. What is queued from now on runs after the copies; the host does not
  /// wait. Calls begin() if nobody has. Once.
  virtual std::vector<Tensor> finish() = 0;
};

/// Takes a copy of host tensors, in page-locked memory where the device wants it. From any thread;
/// begin() and finish() are for the thread that queues the device's work, outside of recordings.
/// Undefined tensors stay so.
std::unique_ptr<Upload> stage(const std::vector<Tensor>& tensors, Device device);

/// Tensors of a device on their way to the host.
class Download {
 public:
  virtual ~Download() = default;
  /// Waits for the copies only, not for what was queued since. Throws what kernels have reported
  /// (an index out of range).
  virtual std::vector<Tensor> wait() = 0;
};

/// Queues copies of what the tensors (all of one device) hold after the work queued so far; they
/// may be overwritten by work queued later.
std::unique_ptr<Download> read_later(const std::vector<Tensor>& tensors, Device device);

/// Results of a loop's turns, read one turn late: the host uses those of one turn while the device
/// computes the next. On the CPU they are used at once. In the order of the turns.
class LateReader {
 public:
  using Use = std::function<void(const std::vector<Tensor>& on_host)>;
  /// Tensors of one device, the first of them defined; calls what was given for the turn before (on
  /// the CPU: `use`).
  void read(const std::vector<Tensor>& tensors, Use use);
  /// Uses all that is left. Without it, what is left is forgotten.
  void finish() { use_all_but(0); }

 private:
  struct Turn {
    std::unique_ptr<Download> results;
    Use use;
  };
  void use_all_but(size_t unread);
  std::deque<Turn> turns_;
};

/// What a device registers before main(). Must live for ever.
class TransferBackend {
 public:
  virtual ~TransferBackend() = default;
  virtual std::unique_ptr<Upload> stage(const std::vector<Tensor>& tensors, int index) = 0;
  virtual std::unique_ptr<Download> read_later(const std::vector<Tensor>& tensors, int index) = 0;
};
/// By the file of a device, once.
void register_transfers(DeviceKind kind, TransferBackend& transfers);

}  // namespace limbeck
