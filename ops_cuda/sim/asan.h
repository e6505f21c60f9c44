// Does AddressSanitizer watch the program? Its interface, or nothing. The shim itself may be
// compiled without checks of its own accesses (-DLIMBECK_ASAN=1): they are half of the run time.
#pragma once

#if defined(LIMBECK_ASAN)
#elif defined(__SANITIZE_ADDRESS__)
#define LIMBECK_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LIMBECK_ASAN 1
#endif
#endif

#if LIMBECK_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
// Its own macros do nothing in a file that is not instrumented.
#undef ASAN_POISON_MEMORY_REGION
#undef ASAN_UNPOISON_MEMORY_REGION
#define ASAN_POISON_MEMORY_REGION(p, n) __asan_poison_memory_region(p, n)
#define ASAN_UNPOISON_MEMORY_REGION(p, n) __asan_unpoison_memory_region(p, n)
#else
#undef LIMBECK_ASAN
#define LIMBECK_ASAN 0
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif
