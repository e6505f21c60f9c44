#!/usr/bin/env bash
# Every reader on its valid inputs and on those that it refuses, under valgrind, where it is. With damaged inputs and the fuzzer's: make memcheck.
source "$(dirname "$0")/lib.sh"
program=${limbeck%/*}/memcheck/limbeck_readers
if [[ ! -x $program ]] || ! command -v valgrind > /dev/null; then skip "readers under valgrind" "no valgrind (Debian: valgrind)"; finish; fi
cp "$program" "$work/readers"
filter='*ReadsWhatIsValid*:*RefusesWhatOnceBrokeIt*'
tests=$("$program" --gtest_list_tests --gtest_filter="$filter" | grep -c '^  ')
tools/memcheck.sh "$work/readers" "$filter" > "$work/log" 2>&1; status=$?
if ((status == 0)); then ok "no reader looks at bytes that nobody wrote"
else bad "no reader looks at bytes that nobody wrote" "status $status: $(tr '\n' ' ' < "$work/log" | head -c 500)"; fi
check "every reader was run" grep -qx "$tests passed, 0 reports" "$work/log"
finish
