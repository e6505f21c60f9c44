#include "tensor/checksum.h"

#include <cstdio>
#include <cstring>

#include "tensor/safetensors.h"

namespace limbeck {

/// FNV-1a's step on words, with the high half folded in: a word's high bits must reach the low
/// ones.
void Checksum::mix(uint64_t word) {
  state_ = (state_ ^ word) * 0x100000001b3;
  state_ ^= state_ >> 32;
}

Checksum& Checksum::add(std::string_view bytes) {
  mix(bytes.size());
  size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) {
    uint64_t word;
    std::memcpy(&word, bytes.data() + at, 8);
    mix(word);
  }
  uint64_t rest = 0;
  if (at < bytes.size()) std::memcpy(&rest, bytes.data() + at, bytes.size() - at);
  mix(rest);
  return *this;
}

Checksum& Checksum::add(const Tensor& t) {
  if (!t.defined()) return add(std::string_view("undefined"));
  add(std::string_view(describe(t)));
  return add(std::string_view(static_cast<const char*>(t.raw()), static_cast<size_t>(t.bytes())));
}

std::string Checksum::text() const {
  char text[20];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(state_));
  return text;
}

}  // namespace limbeck
