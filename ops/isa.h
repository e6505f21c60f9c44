// The instruction sets that the vector kernels of the CPU are compiled for (ops_cpu/isa.h). Alone
// in a header, because such kernels must not include inline functions.
#pragma once

namespace limbeck {

enum class Isa { base, avx2, avx512 };

}  // namespace limbeck
