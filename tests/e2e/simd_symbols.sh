#!/usr/bin/env bash
# What ops_cpu/isa.h asks of the vector files: the linker keeps one copy of an inline function or a template, so those compiled for AVX may only
# bring such copies for their own vector type, in whose names it stands.
build=${1:?usage: simd_symbols.sh BUILD_DIR}
if ! command -v nm > /dev/null; then
  echo "skip symbols of the vector files: no nm"
  exit 0
fi
for object in "$build"/obj/ops_cpu/simd/*.avx2.o "$build"/obj/ops_cpu/simd/*.avx512.o; do
  [[ -e $object ]] || { echo "skip symbols of the vector files: none compiled for AVX"; exit 0; }
  found=$(nm -C "$object" | grep -E ' [WVu] ' | grep -v '__vector(')
  if [[ -z $found ]]; then echo "ok $(basename "$object") brings no copies that others could get"
  else echo "FAIL $(basename "$object"): $(echo "$found" | head -n 3 | tr '\n' ';')"; fi
done
