#!/usr/bin/env bash
# The sanitizers know which bytes of the arena and of the free lists are handed out: GCC's and clang's AddressSanitizer, clang's MemorySanitizer, valgrind.
source "$(dirname "$0")/lib.sh"
cat > "$work/blocks.cpp" << 'CPP'
// blocks BYTES CASE: touches a block in the way that CASE says.
#include <cstdlib>
#include <cstring>
#include <string>
#include "tensor/storage.h"
int main(int, char** argv) {
  const size_t bytes = std::strtoul(argv[1], nullptr, 10);
  const std::string what = argv[2];
  auto& blocks = limbeck::allocator(limbeck::cpu);
  auto* p = static_cast<volatile char*>(blocks.allocate(bytes));
  if (what != "unwritten") std::memset(const_cast<char*>(p), 1, bytes);
  if (what == "again") {
    blocks.release(const_cast<char*>(p), bytes);
    p = static_cast<volatile char*>(blocks.allocate(bytes));
  }
  if (what == "freed") blocks.release(const_cast<char*>(p), bytes);
  if (what == "refilled") {
    blocks.release(const_cast<char*>(p), bytes);
    p = static_cast<volatile char*>(blocks.allocate(bytes));
    std::memset(const_cast<char*>(p), 1, bytes);
    blocks.trim();
  }
  return p[what == "beyond" ? bytes : bytes - 1] == 7;
}
CPP

# libstdc++ is not compiled for MemorySanitizer: what it took from malloc counts as written.
export MSAN_OPTIONS=poison_in_malloc=0
# reports COMPILER SANITIZER PATTERN CASE...: the cases are reported for a small and a large block, correct use is not. `under`: what runs the program.
under=()
reports() {
  local compiler=$1 sanitizer=$2 pattern=$3 case bytes name; shift 3
  local flags=(-fsanitize="$sanitizer")
  [[ $sanitizer == valgrind ]] && flags=(-DLIMBECK_VALGRIND)
  name="$compiler, $sanitizer"
  command -v "$compiler" > /dev/null || { skip "$name" "no $compiler here"; return; }
  check "$name: builds" "$compiler" -std=c++20 -O1 -I. "${flags[@]}" "$work/blocks.cpp" \
    tensor/storage.cpp tensor/allocation_limit.cpp tensor/arena.cpp tensor/error.cpp tensor/device.cpp tensor/dtype.cpp -o "$work/blocks"
  for bytes in 100 8192 1048576; do
    check "$name: $bytes bytes in use" "${under[@]}" "$work/blocks" "$bytes" refilled
    for case in "$@"; do
      "${under[@]}" "$work/blocks" "$bytes" "$case" > "$work/out" 2>&1
      if grep -q "$pattern" "$work/out"; then ok "$name: $bytes bytes, $case"
      else bad "$name: $bytes bytes, $case" "expected $pattern, found: $(head -n 3 "$work/out" | tr '\n' ' ')"; fi
    done
  done
}
reports "${CXX:-g++}" address use-after-poison beyond freed
reports clang++ address use-after-poison beyond freed
reports clang++ memory use-of-uninitialized-value unwritten again beyond freed
if command -v valgrind > /dev/null; then
  under=(valgrind -q --error-exitcode=9)
  reports "${CXX:-g++}" valgrind 'uninitialised\|Invalid read' unwritten again beyond freed
else skip "valgrind" "no valgrind here"; fi
finish
