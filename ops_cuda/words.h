// Kernels that only move elements care about their size, not their type. What lies side by side on
// both ends moves in wider words, up to the 16 bytes that one instruction reads: eight bf16 at
// once.
#pragma once
#include <initializer_list>

#include "ops_cuda/launch.h"

namespace limbeck::cuda {

using Word16 = Vector<uint64_t, 2>;

/// Calls f(W{}) with the word of that many bytes.
template <class F>
void dispatch_words(int64_t bytes, F&& f) {
  switch (bytes) {
    case 1: return f(uint8_t{});
    case 2: return f(uint16_t{});
    case 4: return f(uint32_t{});
    case 8: return f(uint64_t{});
    case 16: return f(Word16{});
  }
}
/// With the word of an element's size.
template <class F>
void dispatch_words(DType dtype, F&& f) {
  dispatch_words(size_of(dtype), f);
}
template <class W>
W* words(const Tensor& t) {
  return static_cast<W*>(t.raw());
}

/// Bytes of the widest word in which all of these sizes and distances, in bytes, can be counted,
/// and that these tensors' addresses allow.
inline int64_t widest_word(std::initializer_list<int64_t> bytes,
                           std::initializer_list<const Tensor*> tensors) {
  int64_t word = 16;
  for (const int64_t b : bytes)
    while (b % word != 0) word /= 2;
  for (const Tensor* t : tensors)
    while (reinterpret_cast<uintptr_t>(t->raw()) % static_cast<uintptr_t>(word) != 0) word /= 2;
  return word;
}

}  // namespace limbeck::cuda
