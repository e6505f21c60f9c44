#!/usr/bin/env bash
# Runs every test: the GoogleTest binaries in shards (the second one: CUDA kernels on the CPU, under the sanitizers), then
# the end-to-end scripts in tests/e2e/.
#   tests/run.sh BUILD_DIR [NAME-FILTER of e2e scripts]
#   tests/run.sh BUILD_DIR --cuda       the CUDA kernels only
# The last line is "N passed, N failed, N skipped"; the exit code is 0 only when nothing failed.
set -u
build=${1:?usage: tests/run.sh BUILD_DIR}
filter=${2:-}
cd "$(dirname "$0")/.." || exit 2
logs=$build/test-logs
rm -rf "$logs"; mkdir -p "$logs"
passed=0; failed=0; skipped=0

count() { grep -c "$1" "$2" || true; }

# run_shard BINARY LABEL SHARDS I: two threads, so that threaded paths run; passive waiting, because the shards share the cores.
run_shard() {
  GTEST_TOTAL_SHARDS=$3 GTEST_SHARD_INDEX=$4 OMP_NUM_THREADS=${OMP_NUM_THREADS:-2} OMP_WAIT_POLICY=passive \
    "$1" --gtest_brief=0 > "$logs/$2.$4" 2>&1
  echo $? > "$logs/$2.$4.status"
}

# run_units BINARY LABEL: more shards than cores, so that no core is left waiting for the one with the slow tests.
run_units() {
  local binary=$1 label=$2 cores shards i status ran
  cores=$(nproc 2> /dev/null || echo 2)
  shards=$((cores * 6))
  for ((i = 0; i < shards; ++i)); do
    while (($(jobs -rp | wc -l) >= cores)); do wait -n; done
    run_shard "$binary" "$label" "$shards" "$i" &
  done
  wait
  for ((i = 0; i < shards; ++i)); do
    status=$(cat "$logs/$label.$i.status")
    local log=$logs/$label.$i ok bad skip
    ok=$(count '^\[       OK \] ' "$log")
    bad=$(grep -c '^\[  FAILED  \] .* ms)$' "$log" || true)
    skip=$(grep -c '^\[  SKIPPED \] .* ms)$' "$log" || true)
    ran=$(count '^\[ RUN      \] ' "$log")
    if ((status != 0 && bad == 0)) || ((ran != ok + bad + skip)); then
      bad=$((bad + 1))  # the binary died inside a test
      echo "$label tests, shard $i: ended with status $status in: $(grep '^\[ RUN      \] ' "$log" | tail -1)"
      tail -40 "$log"
    fi
    if ((bad > 0)); then
      awk '/^\[ RUN      \]/ { text = "" } { text = text $0 "\n" } /^\[  FAILED  \] .* ms\)$/ { printf "%s", text }' "$log"
    fi
    passed=$((passed + ok)); failed=$((failed + bad)); skipped=$((skipped + skip))
  done
}

run_e2e() {
  local script name log status ok bad skip
  for script in tests/e2e/*.sh; do
    name=$(basename "$script" .sh)
    [[ $name == lib || ( -n $filter && $name != *$filter* ) ]] && continue
    log=$logs/e2e.$name
    timeout -k 10 900 bash "$script" "$build" > "$log" 2>&1; status=$?
    ok=$(count '^ok ' "$log"); bad=$(count '^FAIL ' "$log"); skip=$(count '^skip ' "$log")
    if ((bad == 0)) && ((status != 0 || ok + skip == 0)); then
      bad=1
      echo "FAIL e2e $name: ended with status $status and no result line; $log ends with:"; tail -5 "$log"
    fi
    grep '^FAIL ' "$log"
    grep '^skip ' "$log"
    printf 'e2e %-20s %d ok, %d failed, %d skipped\n' "$name" "$ok" "$bad" "$skip"
    passed=$((passed + ok)); failed=$((failed + bad)); skipped=$((skipped + skip))
  done
}

if [[ $filter == --cuda ]]; then
  run_units "$build/sim/sanitized_tests" cuda
else
  [[ -z $filter ]] && run_units "$build/limbeck_tests" unit
  [[ -z $filter && -x $build/sim/sanitized_tests ]] && run_units "$build/sim/sanitized_tests" cuda
  run_e2e
fi
echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0))
