#!/usr/bin/env bash
# `make docs` makes the API reference without a warning, and the headers' comments say what they must (tools/docs/check.py).
source "$(dirname "$0")/lib.sh" "${1:-build}"
if ! command -v doxygen > /dev/null; then skip "the API reference" "no doxygen"; finish; fi
target() { make --no-print-directory BUILD="$work" "$1"; }
check "make docs, without a warning" target docs
check "has a page for Tensor" test -s "$work/docs/html/classlimbeck_1_1Tensor.html"
check "and a search" test -d "$work/docs/html/search"
if ! command -v python3 > /dev/null; then skip "the comments of the headers" "no python3"; finish; fi
check "the headers and sources are read" target docs-xml
check "every public function has a comment with shapes and errors" python3 tools/docs/check.py "$work/docs/xml" tools/docs/exceptions.txt

# The check itself: a header with one fault of each kind, and one without.
mkdir -p "$work/sample" && cat > "$work/sample/sample.h" <<'H'
#pragma once
namespace limbeck {
class Tensor;
/// A number above 0; throws for others.
int right(int x);

int bare(int x);

/// Makes it better.
Tensor better(const Tensor& x);

/// A number above 0.
int checked(int x);
}
H
cat > "$work/sample/sample.cpp" <<'C'
#include "sample.h"
namespace limbeck {
int right(int x) { LIMBECK_CHECK(x > 0); return x; }
int checked(int x) {
  LIMBECK_CHECK(x > 0);
  return x;
}
}
C
(cat tools/docs/Doxyfile; printf '%s\n' "INPUT = $work/sample" "OUTPUT_DIRECTORY = $work/sampled" 'GENERATE_HTML = NO' 'FILE_PATTERNS = *.h *.cpp' 'USE_MDFILE_AS_MAINPAGE =') | doxygen - > /dev/null 2>&1
: > "$work/none"
found=$(python3 tools/docs/check.py "$work/sampled/xml" "$work/none" | sed 's/^[^:]*: //' | tr '\n' ';')
check "a function without comment, shapes or errors is found" test "$found" = 'bare: comment;better: shapes;checked: errors;'
echo "sample.h: right: errors" > "$work/known"
check "an exception that is not needed is an error" bash -c "python3 tools/docs/check.py '$work/sampled/xml' '$work/known' | grep -q 'take the exception away'"
finish
