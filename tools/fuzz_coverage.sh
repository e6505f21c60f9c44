#!/usr/bin/env bash
# tools/fuzz_coverage.sh PROGRAM CORPUS [PATTERN]: how many edges of the source files whose path matches (a regular expression) the corpus reaches: of each
# function what the best target reaches, summed over the file. (make fuzz-coverage)
set -u
program=$(realpath "$1") corpus=$2 pattern=${3:-.}
export OMP_NUM_THREADS=1 ASAN_OPTIONS=allocator_may_return_null=1:detect_leaks=0
"$program" | while read -r target; do
  [[ -d $corpus/$target ]] || continue
  LIMBECK_FUZZ=$target "$program" "$corpus/$target" -runs=0 -print_coverage=1 2>&1 | grep -a 'COVERED_FUNC: hits'
done | awk -v pattern="$pattern" -v here="$PWD/" '
  match($0, /edges: [0-9]+\/[0-9]+/) {
    split(substr($0, RSTART + 7, RLENGTH - 7), edges, "/")
    place = $NF; sub(here, "", place); sub(/^\.\//, "", place)
    if (place !~ pattern || place ~ /^\//) next
    function_ = substr($0, RSTART + RLENGTH)
    if (edges[1] > best[function_]) best[function_] = edges[1]
    total[function_] = edges[2]
    file_of[function_] = place; sub(/:[0-9]+$/, "", file_of[function_])
  }
  END {
    for (f in total) { covered[file_of[f]] += best[f]; all[file_of[f]] += total[f] }
    for (file in all) printf "%-32s %5d of %5d edges, %3.0f %%\n", file, covered[file], all[file], 100 * covered[file] / all[file]
  }' | sort
