#include "tensor/allocation_limit.h"

#include <utility>

#include "tensor/error.h"
#include "tensor/safetensors.h"

namespace limbeck {
namespace {
thread_local AllocationLimit* allocation_limit = nullptr;
}  // namespace

AllocationLimit::AllocationLimit(size_t bytes, std::string what)
    : left_(bytes), what_(std::move(what)), previous_(std::exchange(allocation_limit, this)) {}
AllocationLimit::~AllocationLimit() { allocation_limit = previous_; }

AllocationLimit AllocationLimit::by_tensors(const TensorFile& file, const std::string& name) {
  size_t bytes = 0;
  for (const auto& entry : file.tensors) bytes += static_cast<size_t>(entry.second.bytes());
  return {4 * bytes + (size_t{16} << 20),
          name + ": its metadata describe a network larger than its tensors"};
}

void AllocationLimit::charge(size_t bytes) {
  if (!allocation_limit) return;
  LIMBECK_CHECK(bytes <= allocation_limit->left_, allocation_limit->what_, " (", bytes,
                " more bytes asked for where ", allocation_limit->left_, " are left)");
  allocation_limit->left_ -= bytes;
}

}  // namespace limbeck
