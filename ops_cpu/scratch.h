// Scratch memory of the CPU kernels: one growing buffer per thread and purpose, taken from the
// caching allocator and kept, so that a training step in steady state asks for none.
#pragma once
#include <array>
#include <memory>

#include "tensor/storage.h"

namespace limbeck {

/// One buffer each: a kernel may hold all of them at once, but two kernels must not nest on the
/// same purpose.
enum class ScratchUse { weights, partial, input, gradient, pixels, outputs, columns, bias, count };

/// 64-byte aligned room for `count` elements, uninitialised, valid until this thread asks for the
/// same purpose again.
template <class T>
T* scratch(ScratchUse use, int64_t count) {
  thread_local std::array<std::unique_ptr<Storage>, static_cast<size_t>(ScratchUse::count)> buffers;
  std::unique_ptr<Storage>& buffer = buffers[static_cast<size_t>(use)];
  const size_t bytes =
      static_cast<size_t>(count) * sizeof(T) + 64;  // vectors may read a little past the end
  if (!buffer || buffer->bytes() < bytes) {
    buffer.reset();
    buffer = std::make_unique<Storage>(bytes, cpu);
  }
  return static_cast<T*>(buffer->data());
}

}  // namespace limbeck
