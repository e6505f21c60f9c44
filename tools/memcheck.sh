#!/usr/bin/env bash
# tools/memcheck.sh PROGRAM [FILTER]: the readers' tests that FILTER (of GoogleTest) names, under valgrind; exit code 1 where one failed or valgrind complained.
# Its reports are in PROGRAM.log, the last line says how many tests passed and how many reports there are.
set -u
program=$1 filter=${2:-Fuzz*}
command -v valgrind > /dev/null || { echo "valgrind is not installed" >&2; exit 2; }
OMP_NUM_THREADS=1 valgrind -q --log-file="$program.log" --error-exitcode=9 "$program" --gtest_filter="$filter" > "$program.tests" 2>&1
status=$?
passed=$(grep -c '^\[       OK \]' "$program.tests")
reports=$(grep -cE '^==[0-9]+== (Conditional|Use of|Invalid|Syscall|Source|Mismatched|Argument)' "$program.log")
((status)) && { grep -A 12 -m 3 -E '^==[0-9]+== [A-Z]' "$program.log"; grep '^\[  FAILED' "$program.tests"; }
echo "$passed passed, $reports reports"
exit $((status > 0))
