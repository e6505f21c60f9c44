// The instruction set of the vector kernels, chosen at run time. Every file of ops_cpu/simd is
// compiled once per instruction set, with -DLIMBECK_ISA=base|avx2|avx512, and puts its code in a
// namespace of that name (on aarch64: base alone, which is NEON there). Each exports a table of
// function pointers:
//   // kernels.h                                     // simd/kernels.cpp
//   struct Kernels { void (*run)(float*); };         namespace limbeck::LIMBECK_ISA {
//   LIMBECK_SIMD_TABLE(Kernels, kernels)             const Kernels& kernels() { static constexpr
//                                                    Kernels t{...}; return t; }
// and callers write kernels().run(p). Such files must not use inline functions or templates of
// other headers (std::vector, ...): the linker keeps one copy of those, perhaps the AVX-512 one,
// which then faults on a smaller machine. Templates on their vector type V (ops/elementary.h) are
// safe: V differs between instruction sets.
#pragma once
#include "ops/isa.h"

namespace limbeck {

/// "base" (aarch64: "neon"), "avx2", "avx512".
const char* name_of(Isa isa);

/// What the processor (and the build) offers at most.
Isa best_isa();
/// What the kernels of this thread use: Execution::isa (ops/execution.h), or else what the
/// environment variable LIMBECK_ISA=base|avx2|avx512 (aarch64: neon) says, or else best_isa().
/// Throws Error when that is not available here or the variable names something unknown.
Isa current_isa();

}  // namespace limbeck

#if defined(__x86_64__)
#define LIMBECK_SIMD_TABLE(Table, name)                   \
  namespace base {                                        \
  const Table& name();                                    \
  }                                                       \
  namespace avx2 {                                        \
  const Table& name();                                    \
  }                                                       \
  namespace avx512 {                                      \
  const Table& name();                                    \
  }                                                       \
  inline const Table& name() {                            \
    switch (::limbeck::current_isa()) {                   \
      case ::limbeck::Isa::avx512: return avx512::name(); \
      case ::limbeck::Isa::avx2: return avx2::name();     \
      default: return base::name();                       \
    }                                                     \
  }
#else
#define LIMBECK_SIMD_TABLE(Table, name) \
  namespace base {                      \
  const Table& name();                  \
  }                                     \
  inline const Table& name() { return base::name(); }
#endif
