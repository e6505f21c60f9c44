// The transfers of tensor/transfer.h on a GPU. Uploads have a stream of their own beside the
// compute stream; two events order them:
//
//   compute   .. step i-1 | A | step i ............ | wait B | step i+1        A: recorded by
//             begin(), the copies wait for it, since their memory
//   uploads                 | wait A | copies | B                                 may have served
//                           the work before; B: finish() makes compute wait
//
// So the copies of batch i+1 run during step i. Downloads are a few numbers and go on the compute
// stream itself.
#include "tensor/transfer.h"

#include <array>
#include <cstring>
#include <mutex>

#include "ops_cuda/device.h"
#include "ops_cuda/pinned.h"
#include "tensor/device.h"

namespace limbeck::cuda {
namespace {

struct Uploads {
  cudaStream_t stream = nullptr;
  cudaEvent_t before =
      nullptr;  // A; a wait keeps the record that it found, so one event serves all
};

Uploads& uploads_of(int device) {
  static auto* all = new std::array<Uploads, 64>;
  static std::mutex mutex;
  stream(device);  // throws when there is no such device, and makes it current
  const std::lock_guard lock(mutex);
  Uploads& u = (*all)[static_cast<size_t>(device)];
  if (!u.stream) {
    cuda_check(cudaStreamCreateWithFlags(&u.stream, cudaStreamNonBlocking));
    cuda_check(cudaEventCreateWithFlags(&u.before, cudaEventDisableTiming));
  }
  return u;
}

/// Room for the elements of some tensors in one page-locked block.
class Parcel {
 public:
  Parcel(const std::vector<Tensor>& tensors, int device) : device_(device) {
    size_t size = 0;
    for (const Tensor& t : tensors) {
      parts_.push_back({t.defined(), t.shape(), t.dtype(), size,
                        t.defined() ? static_cast<size_t>(t.bytes()) : 0});
      size += (parts_.back().bytes + 255) / 256 * 256;
    }
    block_ = pinned_pool(device).take(size);
  }
  ~Parcel() { pinned_pool(device_).give_back(block_); }
  Parcel(const Parcel&) = delete;

  /// f(tensor number, its place, its bytes) for those that hold something.
  template <class F>
  void each(F&& f) const {
    for (size_t i = 0; i < parts_.size(); ++i)
      if (parts_[i].bytes > 0) f(i, block_.data + parts_[i].at, parts_[i].bytes);
  }
  std::vector<Tensor> empty_tensors(Device where) const {
    std::vector<Tensor> made;
    for (const Part& p : parts_)
      made.push_back(p.defined ? Tensor::empty(p.shape, p.dtype, where) : Tensor());
    return made;
  }
  cudaEvent_t done() const { return block_.done; }
  int device() const { return device_; }

 private:
  struct Part {
    bool defined;
    Shape shape;
    DType dtype;
    size_t at, bytes;
  };
  int device_;
  std::vector<Part> parts_;
  PinnedBlock block_;
};

class PinnedUpload final : public Upload {
 public:
  PinnedUpload(const std::vector<Tensor>& tensors, int device) : parcel_(tensors, device) {
    parcel_.each(
        [&](size_t i, char* place, size_t bytes) { std::memcpy(place, tensors[i].raw(), bytes); });
  }
  // The allocator hands freed memory to work on the compute stream, which must not start before the
  // copies have ended.
  ~PinnedUpload() override {
    if (begun_ && !finished_) cudaStreamWaitEvent(compute_, parcel_.done(), 0);
  }

  void begin() override {
    LIMBECK_CHECK(!recording(), "an upload cannot be part of a step that is recorded as a graph");
    LIMBECK_CHECK(!begun_, "an upload begins once");
    const int device = parcel_.device();
    const AllocationLabel label("batches");
    arrived_ = parcel_.empty_tensors({DeviceKind::cuda, device});
    const Uploads& uploads = uploads_of(device);
    compute_ = stream(device);
    begun_ = true;
    cuda_check(cudaEventRecord(uploads.before, compute_));
    cuda_check(cudaStreamWaitEvent(uploads.stream, uploads.before, 0));
    parcel_.each([&](size_t i, char* place, size_t bytes) {
      cuda_check(
          cudaMemcpyAsync(arrived_[i].raw(), place, bytes, cudaMemcpyHostToDevice, uploads.stream));
    });
    cuda_check(cudaEventRecord(parcel_.done(), uploads.stream));
  }

  std::vector<Tensor> finish() override {
    if (!begun_) begin();
    cuda_check(cudaStreamWaitEvent(compute_, parcel_.done(), 0));
    finished_ = true;
    return std::move(arrived_);
  }

 private:
  std::vector<Tensor> arrived_;  // released after the wait in the destructor
  Parcel parcel_;
  cudaStream_t compute_ = nullptr;
  bool begun_ = false, finished_ = false;
};

class PinnedDownload final : public Download {
 public:
  PinnedDownload(const std::vector<Tensor>& tensors, int device) : parcel_(tensors, device) {
    const cudaStream_t compute = stream(device);
    parcel_.each([&](size_t i, char* place, size_t bytes) {
      cuda_check(cudaMemcpyAsync(place, tensors[i].raw(), bytes, cudaMemcpyDeviceToHost, compute));
    });
    cuda_check(cudaEventRecord(parcel_.done(), compute));
  }

  std::vector<Tensor> wait() override {
    cuda_check(cudaEventSynchronize(parcel_.done()));
    throw_fault(parcel_.device());
    const std::vector<Tensor> arrived = parcel_.empty_tensors(cpu);
    parcel_.each([&](size_t i, const char* place, size_t bytes) {
      std::memcpy(arrived[i].raw(), place, bytes);
    });
    return arrived;
  }

 private:
  Parcel parcel_;
};

class Transfers final : public TransferBackend {
 public:
  std::unique_ptr<Upload> stage(const std::vector<Tensor>& tensors, int index) override {
    for (const Tensor& t : tensors)
      LIMBECK_CHECK(t.device() == cpu, "an upload of ", describe(t),
                    "; expected a tensor of the host");
    return std::make_unique<PinnedUpload>(tensors, index);
  }
  std::unique_ptr<Download> read_later(const std::vector<Tensor>& tensors, int index) override {
    const Device device{DeviceKind::cuda, index};
    for (const Tensor& t : tensors)
      LIMBECK_CHECK(!t.defined() || t.device() == device, "a download from ", device, " of ",
                    describe(t));
    return std::make_unique<PinnedDownload>(tensors, index);
  }
};

const bool registered = (register_transfers(DeviceKind::cuda, *new Transfers), true);

}  // namespace
}  // namespace limbeck::cuda
