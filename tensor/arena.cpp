#include "tensor/arena.h"

#include <algorithm>
#include <cstdint>

#include <sys/mman.h>
#include <unistd.h>

#include "tensor/sanitizers.h"

namespace limbeck {
namespace {

// Blocks start at pages. Streams with the same place in a page are the good case: a loop that reads
// x and writes y has always read a place before it writes it; at other distances its reads would
// seem to depend on earlier writes ("4K aliasing"), which cost resnet20 several percent.
constexpr size_t kPage = 4096, kHugePage = size_t{2} << 20;
constexpr size_t kStep = 4 * kHugePage;  // taken from the system at a time

size_t rounded(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

}  // namespace

Arena::Arena() {
  // Address space costs nothing; a limit on it (ulimit -v) makes us ask for less.
  const size_t memory =
      static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<size_t>(sysconf(_SC_PAGESIZE));
  for (size_t size = rounded(4 * memory, kHugePage); size >= kStep;
       size = rounded(size / 2, kHugePage)) {
    void* const range =
        mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (range == MAP_FAILED) continue;
    const auto address = reinterpret_cast<uintptr_t>(range);
    base_ = static_cast<char*>(range) + (rounded(address, kHugePage) - address);
    room_ = size - kHugePage;
    madvise(base_, room_,
            MADV_HUGEPAGE);  // fewer page faults and TLB misses; harmless where refused
    return;
  }
}

Arena::~Arena() {
  if (!base_) return;
  sanitizers::allow(base_, taken_);
  munmap(base_, room_);
}

void Arena::insert_free(size_t offset, size_t size) {
  blocks_[offset] = {size, State::free};
  free_.insert({size, offset});
}

/// Makes the last block a free one of at least `bytes`.
bool Arena::grow(size_t bytes) {
  size_t offset = taken_, have = 0;
  if (!blocks_.empty() && blocks_.rbegin()->second.state == State::free) {
    offset = blocks_.rbegin()->first;
    have = blocks_.rbegin()->second.size;
  }
  const size_t more = rounded(bytes - have, kStep);
  if (more > room_ - taken_ || mprotect(base_ + taken_, more, PROT_READ | PROT_WRITE) != 0)
    return false;
  sanitizers::forbid(base_ + taken_, more);
  if (have) free_.erase({have, offset});
  insert_free(offset, have + more);
  taken_ += more;
  ++calls_;
  return true;
}

void* Arena::take_recent(size_t size) {
  const auto list = recent_.find(size);
  if (list == recent_.end() || list->second.empty()) return nullptr;
  const size_t offset = list->second.back();
  list->second.pop_back();
  blocks_[offset].state = State::used;
  return base_ + offset;
}

void* Arena::take_joined(size_t size) {
  const auto found = free_.lower_bound({size, 0});
  if (found == free_.end()) return nullptr;
  const auto [whole, offset] = *found;
  free_.erase(found);
  blocks_[offset] = {size, State::used};
  if (whole > size) insert_free(offset + size, whole - size);
  return base_ + offset;
}

void* Arena::take(size_t size) {
  if (void* const block = take_recent(size)) return block;
  if (void* const block = take_joined(size)) return block;
  join_all();
  if (void* const block = take_joined(size)) return block;
  return grow(size) ? take_joined(size) : nullptr;
}

void* Arena::allocate(size_t bytes) {
  if (bytes > room_) return nullptr;
  void* const block = take(rounded(bytes + sanitizers::gap, kPage));
  if (block) sanitizers::allow(block, bytes);
  return block;
}

void Arena::release(void* block) noexcept {
  const auto offset = static_cast<size_t>(static_cast<char*>(block) - base_);
  Block& b = blocks_.find(offset)->second;
  sanitizers::forbid(block, b.size);
  b.state = State::recent;
  recent_[b.size].push_back(offset);
}

/// Makes a recently freed block part of the joined ones.
void Arena::join(size_t offset) {
  const auto at = blocks_.find(offset);
  size_t size = at->second.size;
  if (const auto next = std::next(at); next != blocks_.end() && next->second.state == State::free) {
    size += next->second.size;
    free_.erase({next->second.size, next->first});
    blocks_.erase(next);
  }
  if (at != blocks_.begin())
    if (const auto before = std::prev(at); before->second.state == State::free) {
      free_.erase({before->second.size, before->first});
      offset = before->first;
      size += before->second.size;
      blocks_.erase(at);
    }
  insert_free(offset, size);
}

void Arena::join_all() {
  for (auto& [size, offsets] : recent_) {
    for (const size_t offset : offsets) join(offset);
    offsets.clear();
  }
}

size_t Arena::largest_free() {
  join_all();
  return free_.empty() ? 0 : free_.rbegin()->first;
}

void Arena::trim() noexcept {
  join_all();
  for (const auto& [size, offset] : free_) {
    const size_t begin = rounded(offset, kHugePage), end = (offset + size) / kHugePage * kHugePage;
    if (begin < end) madvise(base_ + begin, end - begin, MADV_DONTNEED);
  }
}

}  // namespace limbeck
