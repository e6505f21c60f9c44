#!/bin/sh
# Registers, spills and static shared memory of every kernel, from what `nvcc -Xptxas -v` printed while it compiled the .cu files.
#   tools/make/ptxas.sh LOG...
# One line per kernel and architecture: arch registers spill-store-bytes spill-load-bytes shared-bytes file kernel
set -eu
awk '
  FNR == 1 { file = FILENAME; sub(/.*\//, "", file); sub(/\.o\.log$/, "", file) }
  /Compiling entry function/ { split($0, quoted, "\x27"); kernel = quoted[2]; arch = quoted[4] }
  /bytes spill stores/ { store = $0; sub(/ bytes spill stores.*/, "", store); sub(/.*, /, "", store)
                         load = $0; sub(/ bytes spill loads.*/, "", load); sub(/.*, /, "", load) }
  /Used [0-9]+ registers/ { registers = $0; sub(/ registers.*/, "", registers); sub(/.*Used /, "", registers)
                            shared = 0; if ($0 ~ /bytes smem/) { shared = $0; sub(/ bytes smem.*/, "", shared); sub(/.*, /, "", shared) }
                            print arch, registers, store, load, shared, file, kernel }
' "$@" | c++filt | sed 's/limbeck::cuda:://g; s/(anonymous namespace):://g; s/limbeck:://g; s/void //; s/([A-Za-z_]*)\([0-9]\)/\1/g; s/(.*$//' | sort -u -k6 -k1,1
