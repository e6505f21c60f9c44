#include "ops_cuda/block_counters.h"

#include "ops_cuda/device.h"

namespace limbeck::cuda {

BlockCounters::~BlockCounters() {
  for (const auto& [stream, counters] : by_stream_) cudaFree(counters);
}

unsigned* BlockCounters::of(cudaStream_t stream) {
  const std::lock_guard lock(mutex_);
  unsigned*& counters = by_stream_[stream];
  if (counters) return counters;
  constexpr size_t bytes = most_block_groups * sizeof(unsigned);
  void* memory = nullptr;
  cuda_check(cudaMalloc(&memory, bytes));
  counters = static_cast<unsigned*>(memory);
  cuda_check(cudaMemsetAsync(counters, 0, bytes, stream));
  return counters;
}

unsigned* block_counters(const Tensor& t, int64_t groups, cudaStream_t stream) {
  LIMBECK_CHECK(groups <= most_block_groups, "block_counters: ", groups,
                " groups of blocks, at most ", most_block_groups, " have a counter");
  return current_counters(t.device().index).of(stream);
}

}  // namespace limbeck::cuda
