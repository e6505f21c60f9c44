# shellcheck shell=bash
# bench/on_gpu.sh: are the kernels right? A process for each measurement: after a crash nothing that follows in the same process means anything.

operators() {
  if [[ -n ${OPERATORS:-} ]]; then echo "$OPERATORS"
  else "$limbeck" ops support | awk 'NR == 1 { next } /^\*/ { exit } { print $1 }' | tr '\n' ' '; fi
}

# check "OPERATOR ...": every kernel's cases beside the f64 reference, noted for gpu.txt.
check() {
  local op files=()
  mkdir -p "$work/check"
  for op in $1; do
    files+=("$work/check/$op")
    units_left $((cores < 16 ? (cores + 1) / 2 : 8)) || continue
    # shellcheck disable=SC2086
    OMP_NUM_THREADS=2 unit "$work/check/$op" $part_limit "$limbeck" ops check --device cuda -o "$op" --record "$work/check/$op.txt" ${RECORD_OPTIONS:-} &
  done
  wait
  outcome "${files[@]}"
}

# gradients: against central differences, an operator at a time.
gradients() {
  local op files=()
  for op in $(operators); do
    "$limbeck" ops support -o "$op" | grep -q "^$op  *yes" || continue
    files+=("$work/grad/$op")
    units_left $((cores < 16 ? (cores + 1) / 2 : 8)) || continue
    OMP_NUM_THREADS=2 unit "$work/grad/$op" $part_limit "$limbeck" ops grad --device cuda -o "$op" --max-elements 20 &
  done
  wait
  outcome "${files[@]}"
}

# parity TYPE: networks and steps of the original modules, as PyTorch computed them. The three left out are for the tests alone.
parity() {
  local fixture file files=()
  for fixture in ${FIXTURES:-$(find tests/data/fixtures -name '*.json' ! -name ccgan_steps.json ! -name optimisation.json ! -name five_steps.json | LC_ALL=C sort)}; do
    file=${fixture#tests/data/fixtures/} file=$work/parity-$1/${file//\//-}
    files+=("$file")
    units_left $((cores < 16 ? (cores + 1) / 2 : 8)) || continue
    OMP_NUM_THREADS=2 unit "$file" $part_limit "$limbeck" parity --device cuda --dtype "$1" "$fixture" &
  done
  wait
  outcome "${files[@]}"
}

workflow() {
  # shellcheck disable=SC2086
  within "$limbeck" run configs/tiny.toml --out "$work/tiny" --device cuda --quiet ${RUN_OPTIONS:-} || return
  within "$limbeck" report "$work/tiny"
}

# shards NAME COUNT AT_ONCE FILTER [WRAPPER...]: the tests in COUNT processes.
shards() {
  local name=$1 count=$2 at_once=$3 filter=$4 i status files=(); shift 4
  for ((i = 0; i < count; ++i)); do
    files+=("$work/$name/$i")
    units_left "$at_once" || continue
    GTEST_TOTAL_SHARDS=$count GTEST_SHARD_INDEX=$i OMP_NUM_THREADS=1 unit "$work/$name/$i" 300 "$@" "$tests" --gtest_filter="$filter" &
  done
  wait
  crashed_shards "${files[@]}"
  outcome "${files[@]}"
  status=$?
  echo "$("$tests" --gtest_list_tests --gtest_filter="$filter" | grep -c '^  ') tests: $(logged "$name" '^\[       OK \]') passed, $(logged "$name" '^\[  FAILED  \] .*ms\)$') failed, $(logged "$name" '^\[  SKIPPED \] .*ms\)$') skipped"
  return $status
}
logged() { cat "$work/$1"/*.log 2> /dev/null | grep -cE "$2"; }
# The test in which a shard ended without a word.
crashed_shards() {
  local file
  for file; do
    [[ $(cat "$file.status" 2> /dev/null || echo 0) == 0 ]] || grep -q '^\[  FAILED  \]' "$file.log" || echo "shard $(basename "$file") ended in: $(grep '^\[ RUN ' "$file.log" | tail -n 1)"
  done
}
kernel_tests() { shards tests "${SHARDS:-48}" $((cores < 8 ? cores : 8)) "${TESTS:-*}"; }
sanitize_with() {
  local tool=${COMPUTE_SANITIZER:-$(command -v compute-sanitizer || echo /usr/local/cuda/bin/compute-sanitizer)}
  [[ -x $tool ]] || { echo "no compute-sanitizer"; return 1; }
  shards "$1" "${SHARDS:-96}" $((cores < 12 ? cores : 12)) "${TESTS:-*CudaTable.AgreesWithTheReference*}" "$tool" --tool "$1" --error-exitcode 9
}
