// One contiguous range of address space from which large blocks are cut. A request gets
//   1. the block of exactly its size that was freed last: the processor's caches may still hold it;
//   2. else part of the smallest joined free block that is large enough (best fit, the lowest of
//   equals);
//   3. else the same after all freed blocks have joined their free neighbours;
//   4. else new memory,
// so the memory of a training step is about what its live tensors need at once, whatever their
// sizes. Address space is reserved at the start, memory is taken from the system as the range fills
// up. The sanitizers know which bytes are handed out (tensor/sanitizers.h). Not thread-safe: its
// owner locks.
#pragma once
#include <cstddef>
#include <map>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

namespace limbeck {

class Arena {
 public:
  Arena();
  ~Arena();
  Arena(const Arena&) = delete;

  /// Aligned to a page, contents undefined; null when the system refuses or the address space is
  /// used up.
  void* allocate(size_t bytes);
  void release(void* block) noexcept;
  /// Gives the memory of free blocks back to the system; their address space stays.
  void trim() noexcept;

  size_t taken() const { return taken_; }         ///< bytes taken from the system
  size_t system_calls() const { return calls_; }  ///< times that more was taken
  /// Size of the largest free block when all have joined.
  size_t largest_free();

 private:
  enum class State { used, recent, free };
  struct Block {
    size_t size;
    State state;
  };
  using Blocks = std::map<size_t, Block>;  // by offset; together they cover [0, taken_)

  bool grow(size_t bytes);
  void insert_free(size_t offset, size_t size);
  void* take(size_t size);
  void* take_recent(size_t size);
  void* take_joined(size_t size);
  void join(size_t offset);
  void join_all();

  char* base_ = nullptr;
  size_t room_ = 0, taken_ = 0, calls_ = 0;
  Blocks blocks_;
  std::set<std::pair<size_t, size_t>> free_;  // joined: (size, offset)
  std::unordered_map<size_t, std::vector<size_t>>
      recent_;  // freed and not joined yet: offsets by size, the last freed at the end
};

}  // namespace limbeck
