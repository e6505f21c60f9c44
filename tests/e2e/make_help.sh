#!/usr/bin/env bash
# `make help` has one line for each target that people call, and names none that is not there.
source "$(dirname "$0")/lib.sh" "${1:-build}"
check "make help" make --no-print-directory BUILD="$work" help
cp "$work/out" "$work/help"
sed -n 's/^  \([a-z-]*\)  .*/\1/p' "$work/help" | sort > "$work/said"
sed -n 's/^\.PHONY: //p' Makefile tools/make/*.mk | tr ' ' '\n' | grep -vx 'FORCE\|programs' | sort -u > "$work/there"
check "says all targets and no others" diff "$work/there" "$work/said"
check "a line each, at most 120 columns" awk 'length > 120 { exit 1 }' "$work/help"
check "needs and makes nothing" test ! -e "$work/deps.mk"
finish
