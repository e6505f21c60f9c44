#!/usr/bin/env bash
# Warnings: errors where they are asked to be, and none about dangling references from the compilers that know these (g++ 13 and newer).
source "$(dirname "$0")/lib.sh"
build=$(dirname "$limbeck")

# flags NAME=VALUE...: the compiler flags that make uses with these settings.
flags() { env -u CI -u WERROR -u MAKEFLAGS -u MAKELEVEL "$@" make -s BUILD="$build" --eval='show-flags: ; @echo $(CXXFLAGS)' show-flags > "$work/out" 2> "$work/err"; }
is_error() { grep -q -- '-Werror' "$work/out"; }
expect_flags() {
  local name=$1 wanted=$2 found=no; shift 2
  flags "$@" || { bad "$name" "$(tail -n 2 "$work/err" | tr '\n' ' ')"; return; }
  grep -q -- '-Wall' "$work/out" || { bad "$name" "no flags in: $(head -c 300 "$work/out")"; return; }
  is_error && found=yes
  if [[ $found == "$wanted" ]]; then ok "$name"; else bad "$name" "-Werror: expected $wanted, found $found"; fi
}
expect_flags "a warning stops no build" no
expect_flags "a warning is an error in CI" yes CI=true
expect_flags "a warning is an error when asked for" yes WERROR=1
expect_flags "CI=false is no CI" no CI=false

# tools/portability.sh: what cannot be had is skipped by name, what nobody means is an error.
tools/portability.sh g++-0 > "$work/out" 2>&1
check_output "a compiler that is not here is skipped by name" '^g[+][+]-0 .*skipped: not on this machine'
if tools/portability.sh debian-0 > "$work/out" 2>&1; then bad "an unknown distribution is an error" "status 0"
else check_output "an unknown distribution is an error" '^debian-0 .*unknown; there are: .*debian-13'; fi

found=
for cxx in g++ g++-13 g++-14 g++-15; do
  command -v "$cxx" > /dev/null 2>&1 && (($("$cxx" -dumpversion | cut -d. -f1) >= 13)) || continue
  found=$cxx
  for file in ops/random.cpp nn/optim.cpp nn/images.cpp autograd/variable.cpp tests/ops_cpu/normalisation_test.cpp; do
    check "$cxx sees no dangling reference in $file" "$cxx" -std=c++20 -Wall -Wextra -Wno-missing-field-initializers -Werror -fopenmp -I. -fsyntax-only "$file"
  done
done
[[ -n $found ]] || skip "no dangling reference" "no g++ 13 or newer here"
finish
