// AllocationLimit: for what is built by sizes that a file names, before its tensors have been
// looked at.
#pragma once
#include <cstddef>
#include <string>

namespace limbeck {

struct TensorFile;

/// While alive, blocks that this thread allocates may have so many bytes in all, freed ones
/// included; the one beyond throws Error, `what` first. The innermost limit counts.
class AllocationLimit {
 public:
  AllocationLimit(size_t bytes, std::string what);
  /// For a network that is built as the metadata of a file say: some times the bytes of its
  /// tensors, whatever their types, and a little for what it keeps besides. `name` is the file's.
  static AllocationLimit by_tensors(const TensorFile& file, const std::string& name);
  ~AllocationLimit();
  AllocationLimit(const AllocationLimit&) = delete;
  AllocationLimit& operator=(const AllocationLimit&) = delete;
  /// What Storage tells of every block; nothing without a limit.
  static void charge(size_t bytes);

 private:
  size_t left_;
  std::string what_;
  AllocationLimit* previous_;
};

}  // namespace limbeck
