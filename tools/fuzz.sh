#!/usr/bin/env bash
# tools/fuzz.sh PROGRAM SECONDS CORPUS [TARGET...]: every target for so many seconds, from its valid inputs and what earlier runs found (0: only these), JOBS of
# them at a time (default: as many as there are cores, two at least). SEED is that of the mutations; by default each run draws its own. What breaks a reader
# stays in CORPUS/TARGET.found; the last line says how many were run, how often, and what was found.
set -u
program=$(realpath "$1") seconds=$2 corpus=$3; shift 3
export OMP_NUM_THREADS=1 ASAN_OPTIONS=allocator_may_return_null=1:detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1
# Where the inputs are written: in memory.
[[ -d /dev/shm && -w /dev/shm ]] && export TMPDIR=/dev/shm
targets=("$@")
((${#targets[@]})) || mapfile -t targets < <("$program")
((${#targets[@]})) || { echo "$program: names no readers" >&2; exit 2; }
cores=$(nproc 2> /dev/null || echo 2)
jobs=${JOBS:-$((cores > 2 ? cores : 2))}
limit=(-max_total_time="$seconds")
((seconds)) || limit=(-runs=0)

# fuzz TARGET: its line goes to CORPUS/TARGET.line.
fuzz() {
  local target=$1 log=$corpus/$1.log status n covered
  mkdir -p "$corpus/$target" "$corpus/$target.found"
  LIMBECK_FUZZ=$target "$program" --seeds "$corpus/$target" || return
  LIMBECK_FUZZ=$target "$program" "$corpus/$target" "${limit[@]}" -timeout=60 -rss_limit_mb=2048 -malloc_limit_mb=1024 -max_len=65536 \
    -seed="${SEED:-0}" -print_final_stats=1 -artifact_prefix="$corpus/$target.found/" > "$log" 2>&1
  status=$?
  n=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  covered=$(grep -o 'cov: [0-9]*' "$log" | tail -n 1)
  echo "$target: ${n:-0} executions, ${covered:-no coverage}$( ((status)) && echo ", FOUND: $(grep -m 1 -E 'ERROR|runtime error|deadly|SUMMARY' "$log")")" \
    > "$corpus/$target.line"
}

for target in "${targets[@]}"; do
  while (($(jobs -rp | wc -l) >= jobs)); do wait -n; done
  rm -f "$corpus/$target.line"
  fuzz "$target" &
done
wait
found=0 executions=0
for target in "${targets[@]}"; do
  line=$(cat "$corpus/$target.line" 2> /dev/null) || { echo "$target: its valid inputs could not be written" >&2; exit 2; }
  echo "$line"
  n=${line#*: }; executions=$((executions + ${n%% *}))
  [[ $line == *FOUND* ]] && found=$((found + 1))
done
echo "${#targets[@]} readers, $executions executions, $found findings"
exit $((found > 0))
