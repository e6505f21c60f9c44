// What allocators tell AddressSanitizer and MemorySanitizer (GCC's and clang's), or valgrind (with
// LIMBECK_VALGRIND, see make memcheck), of memory that they keep and hand out again; nothing
// without them.
#pragma once
#include <cstddef>

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define LIMBECK_WATCHED 1
#include <sanitizer/asan_interface.h>
#elif __has_feature(memory_sanitizer)
#define LIMBECK_WATCHED 1
#include <sanitizer/msan_interface.h>
#elif defined(LIMBECK_VALGRIND)
#define LIMBECK_WATCHED 1
#include <valgrind/memcheck.h>
#endif

namespace limbeck::sanitizers {

#ifdef LIMBECK_WATCHED
/// Bytes behind a block that nobody may touch.
constexpr size_t gap = 64;
#else
constexpr size_t gap = 0;
#endif

/// Nobody may touch these bytes.
inline void forbid([[maybe_unused]] const void* block, [[maybe_unused]] size_t bytes) {
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
  __asan_poison_memory_region(block, bytes);
#elif __has_feature(memory_sanitizer)
  __msan_poison(block, bytes);
#elif defined(LIMBECK_VALGRIND)
  VALGRIND_MAKE_MEM_NOACCESS(block, bytes);
#endif
}

/// These bytes may be written; what is read before is undefined.
inline void allow([[maybe_unused]] const void* block, [[maybe_unused]] size_t bytes) {
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
  __asan_unpoison_memory_region(block, bytes);
#elif __has_feature(memory_sanitizer)
  __msan_allocated_memory(block, bytes);
#elif defined(LIMBECK_VALGRIND)
  VALGRIND_MAKE_MEM_UNDEFINED(block, bytes);
#endif
}

}  // namespace limbeck::sanitizers
