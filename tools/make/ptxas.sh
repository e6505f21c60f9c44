#!/bin/sh
# Registers, spills and static shared memory of every kernel of one .cu file, as ptxas reports them.
#   tools/make/ptxas.sh 'NVCC AND FLAGS' 'ARCHITECTURES' FILE.cu OUT
# One line per kernel and architecture: arch registers spill-store-bytes spill-load-bytes shared-bytes kernel
set -eu
nvcc=$1; archs=$2; file=$3; out=$4
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT INT TERM
for arch in $archs; do
  # shellcheck disable=SC2086
  $nvcc -arch=sm_"$arch" -Xptxas -v -cubin -o "$scratch/x.cubin" "$file" 2> "$scratch/log" || { cat "$scratch/log" >&2; exit 1; }
  awk -v arch="sm_$arch" '
    /Compiling entry function/ { split($0, quoted, "\x27"); kernel = quoted[2] }
    /bytes spill stores/ { store = $0; sub(/ bytes spill stores.*/, "", store); sub(/.*, /, "", store)
                           load = $0; sub(/ bytes spill loads.*/, "", load); sub(/.*, /, "", load) }
    /Used [0-9]+ registers/ { registers = $0; sub(/ registers.*/, "", registers); sub(/.*Used /, "", registers)
                              shared = 0; if ($0 ~ /bytes smem/) { shared = $0; sub(/ bytes smem.*/, "", shared); sub(/.*, /, "", shared) }
                              print arch, registers, store, load, shared, kernel }
  ' "$scratch/log"
done | c++filt | sed 's/limbeck::cuda:://g; s/(anonymous namespace):://g; s/limbeck:://g; s/void //; s/(.*//' > "$out"
