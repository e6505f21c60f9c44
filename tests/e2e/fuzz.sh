#!/usr/bin/env bash
# Thirty seconds of fuzzing for every reader, where `make test` could build the fuzzer, with the same seed in every run: whether it passes shall depend on the
# commit. Other mutations, and longer: make fuzz TIME=...
source "$(dirname "$0")/lib.sh"
program=${limbeck%/*}/fuzz/limbeck_fuzz
if [[ ! -x $program ]]; then skip "fuzzing" "no clang with libFuzzer and OpenMP (Debian: clang, libclang-rt-14-dev, libomp-14-dev)"; finish; fi
SEED=1 tools/fuzz.sh "$program" 30 "$work/corpus" > "$work/readers"; status=$?
cat "$work/readers"
if ((status == 0)); then ok "$(tail -n 1 "$work/readers")"; else bad "fuzzing" "$(grep FOUND "$work/readers" | head -n 3 | tr '\n' ' ')"; fi
while read -r reader; do
  check "$reader reads" grep -Eq "^$reader: [1-9][0-9]* executions, cov: [1-9]" "$work/readers"
done < <("$program")
finish
