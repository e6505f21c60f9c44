// The arena of large blocks: no overlap, neighbours join, nothing is taken twice.
#include "tensor/arena.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <vector>

#include "tensor/random.h"

namespace limbeck {
namespace {

TEST(Arena, FreeNeighboursJoin) {
  Arena arena;
  void* const a = arena.allocate(3 << 20);
  void* const b = arena.allocate(2 << 20);
  void* const c = arena.allocate(3 << 20);
  void* const rest = arena.allocate(arena.largest_free() - 256);
  const size_t taken = arena.taken();
  arena.release(a);
  arena.release(c);
  EXPECT_LT(arena.largest_free(), size_t{4} << 20);
  arena.release(b);
  EXPECT_GE(arena.largest_free(), size_t{8} << 20);
  EXPECT_EQ(arena.allocate(8 << 20), a);
  EXPECT_EQ(arena.taken(), taken);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(rest) % 64, 0u);
}

TEST(Arena, TakesTheSmallestBlockThatFits) {
  Arena arena;
  void* const large = arena.allocate(4 << 20);
  arena.allocate(100 << 10);
  void* const small = arena.allocate(1 << 20);
  arena.allocate(100 << 10);
  arena.allocate(arena.largest_free() - 256);
  arena.release(large);
  arena.release(small);
  EXPECT_EQ(arena.allocate(1 << 20), small);
}

TEST(Arena, BlocksKeepTheirContentsWhateverTheOrder) {
  Arena arena;
  Stream random(5);
  struct Live {
    unsigned char* data;
    size_t size;
    unsigned char value;
  };
  std::vector<Live> live;
  size_t bytes = 0, most = 0;
  for (int step = 0; step < 3000; ++step) {
    const uint64_t r = random.bits();
    if (live.size() > 40 || (!live.empty() && r % 5 < 2)) {
      const size_t i = r / 8 % live.size();
      for (const size_t at : {size_t{0}, live[i].size / 2, live[i].size - 1})
        ASSERT_EQ(live[i].data[at], live[i].value) << "step " << step;
      arena.release(live[i].data);
      bytes -= live[i].size;
      live.erase(live.begin() + static_cast<int64_t>(i));
    } else {
      const size_t size = 1000 + r % 300000;
      auto* const data = static_cast<unsigned char*>(arena.allocate(size));
      ASSERT_NE(data, nullptr);
      std::memset(data, static_cast<int>(step % 251), size);
      live.push_back({data, size, static_cast<unsigned char>(step % 251)});
      bytes += size;
      most = std::max(most, bytes);
    }
  }
  EXPECT_LT(arena.taken(), 2 * most + (16 << 20));
  for (const Live& l : live) arena.release(l.data);
  EXPECT_EQ(arena.largest_free(), arena.taken());  // all in one piece again
}

TEST(Arena, SaysNoToWhatNoMachineHas) {
  Arena arena;
  EXPECT_EQ(arena.allocate(SIZE_MAX / 2), nullptr);
  EXPECT_NE(arena.allocate(1 << 20), nullptr);
}

TEST(Arena, TrimmedMemoryCanBeUsedAgain) {
  Arena arena;
  void* const a = arena.allocate(32 << 20);
  std::memset(a, 1, 32 << 20);
  arena.release(a);
  arena.trim();
  auto* const b = static_cast<unsigned char*>(arena.allocate(32 << 20));
  ASSERT_EQ(b, a);
  b[20 << 20] = 7;
  EXPECT_EQ(b[20 << 20], 7);
}

}  // namespace
}  // namespace limbeck
