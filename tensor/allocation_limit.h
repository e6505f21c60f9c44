// AllocationLimit: for what is built by sizes that a file names, before its tensors have been
// looked at.
#pragma once
#include <cstddef>
#include <string>

#include "tensor/safetensors.h"

namespace limbeck {

/// While alive, blocks that this thread allocates may have so many bytes in all, freed ones
/// included; the one beyond throws Error, `what` first. The innermost limit counts.
class AllocationLimit {
 public:
  AllocationLimit(size_t bytes, std::string what);
  ~AllocationLimit();
  AllocationLimit(const AllocationLimit&) = delete;
  /// What Storage tells of every block; nothing without a limit.
  static void charge(size_t bytes);

 private:
  size_t left_;
  std::string what_;
  AllocationLimit* previous_;
};

/// Bytes that a network of a file's tensors may take while it is built: whatever their types, and
/// some for what it keeps besides.
size_t room_to_build(const TensorFile& file);
/// The beginning of the limit's error: "FILE: its metadata describe a network larger than its
/// tensors".
std::string larger_than_tensors(const std::string& file);

}  // namespace limbeck
