#include "ops_cpu/isa.h"

#include <cstdlib>
#include <string>

#include "ops/execution.h"
#include "tensor/error.h"

namespace limbeck {
namespace {

Isa checked(Isa isa) {
  LIMBECK_CHECK(isa <= best_isa(), "instruction set ", name_of(isa),
                " is not available here; the best is ", name_of(best_isa()));
  return isa;
}

Isa from_environment() {
  const char* text = std::getenv("LIMBECK_ISA");
  if (!text || !*text) return best_isa();
  for (Isa isa : {Isa::base, Isa::avx2, Isa::avx512})
    if (std::string(text) == name_of(isa)) return checked(isa);
  fail("environment variable LIMBECK_ISA: expected ", name_of(Isa::base),
       ", avx2 or avx512, found '", text, "'");
}

}  // namespace

const char* name_of(Isa isa) {
  switch (isa) {
#if defined(__aarch64__)
    case Isa::base: return "neon";  // every processor of this kind has it
#else
    case Isa::base: return "base";
#endif
    case Isa::avx2: return "avx2";
    case Isa::avx512: return "avx512";
  }
  return "?";
}

Isa best_isa() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    return Isa::avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return Isa::avx2;
#endif
  return Isa::base;
}

Isa current_isa() {
  static const Isa by_default = from_environment();
  const std::optional<Isa>& asked = execution().isa;
  return asked ? checked(*asked) : by_default;
}

}  // namespace limbeck
