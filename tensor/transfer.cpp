#include "tensor/transfer.h"

#include <array>

#include "tensor/device.h"

namespace limbeck {
namespace {

std::array<TransferBackend*, 2> transfer_backends{};

TransferBackend& transfers_of(Device device) {
  backend(device);  // throws, saying how to build it, when the kind is not part of this build
  return *transfer_backends[static_cast<size_t>(device.kind)];
}

class NoTransfer final : public Upload, public Download {
 public:
  explicit NoTransfer(const std::vector<Tensor>& tensors) : tensors_(tensors) {}
  void begin() override {}
  std::vector<Tensor> finish() override { return tensors_; }
  std::vector<Tensor> wait() override { return tensors_; }

 private:
  std::vector<Tensor> tensors_;
};

}  // namespace

void register_transfers(DeviceKind kind, TransferBackend& backend) {
  transfer_backends[static_cast<size_t>(kind)] = &backend;
}

std::unique_ptr<Upload> stage(const std::vector<Tensor>& tensors, Device device) {
  if (device == cpu) return std::make_unique<NoTransfer>(tensors);
  return transfers_of(device).stage(tensors, device.index);
}

std::unique_ptr<Download> read_later(const std::vector<Tensor>& tensors, Device device) {
  if (device == cpu) return std::make_unique<NoTransfer>(tensors);
  return transfers_of(device).read_later(tensors, device.index);
}

void LateReader::read(const std::vector<Tensor>& tensors, Use use) {
  const Device device = tensors.at(0).device();
  turns_.push_back({limbeck::read_later(tensors, device), std::move(use)});
  use_all_but(device == cpu ? 0 : 1);
}

void LateReader::use_all_but(size_t unread) {
  while (turns_.size() > unread) {
    const Turn turn = std::move(turns_.front());
    turns_.pop_front();  // before the use, which may throw
    turn.use(turn.results->wait());
  }
}

}  // namespace limbeck
