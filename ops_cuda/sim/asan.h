// Is this file compiled with AddressSanitizer? Its interface, or nothing.
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#define LIMBECK_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LIMBECK_ASAN 1
#endif
#endif

#if defined(LIMBECK_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#else
#define LIMBECK_ASAN 0
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif
