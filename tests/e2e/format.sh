#!/usr/bin/env bash
# The tree is formatted as .clang-format says, by the version that it was formatted with: another one breaks lines elsewhere.
source "$(dirname "$0")/lib.sh"
columns=100 major=14

if ! git ls-files --error-unmatch .clang-format > /dev/null 2>&1; then skip "formatted" "not a git checkout"; finish; fi
# What is tracked and still there, one name a line.
git ls-files '*.h' '*.cpp' '*.cu' | while read -r file; do [[ -f $file ]] && echo "$file"; done > "$work/files"

# long_lines FILES: those on standard input with more columns than allowed, outside raw string literals.
long_lines() {
  xargs awk -v most=$columns '
    FNR == 1 { end = "" }
    end != "" { if (index($0, end)) end = ""; next }
    match($0, /R"[^ ()\\]*\(/) {
      end = ")" substr($0, RSTART + 2, RLENGTH - 3) "\""
      if (index(substr($0, RSTART + RLENGTH), end)) end = ""
      next
    }
    { text = $0; gsub(/[\200-\277]/, "", text) }  # a character of UTF-8 is one column
    length(text) > most { print FILENAME ":" FNR }'
}

LC_ALL=C long_lines < "$work/files" > "$work/long"
if [[ ! -s $work/files ]]; then bad "columns" "no source is tracked"
elif [[ -s $work/long ]]; then bad "columns" "more than $columns in $(head -n 5 "$work/long" | tr '\n' ' ')"
else ok "columns"; fi
printf 'a\nR"x(\n%0101d\n)x";\n%0101d\n' 0 0 > "$work/sample.cpp"
if [[ $(echo "$work/sample.cpp" | LC_ALL=C long_lines) == "$work/sample.cpp:5" ]]; then ok "the check of columns finds a long line"
else bad "the check of columns finds a long line" "found: $(echo "$work/sample.cpp" | LC_ALL=C long_lines)"; fi

formatter=
for candidate in clang-format-$major clang-format; do
  [[ $("$candidate" --version 2> /dev/null) == *"version $major."* ]] && { formatter=$candidate; break; }
done
if [[ -z $formatter ]]; then skip "formatted" "no clang-format $major here"; finish; fi
# unformatted: those of the files named on standard input that differ from their formatted text.
unformatted() { xargs -P "$(nproc)" -n 16 "$formatter" --style=file:.clang-format --dry-run 2>&1 | sed -n 's/^\([^:]*\):[0-9]*:[0-9]*: .*/\1/p' | sort -u; }
unformatted < "$work/files" > "$work/wrong"
if [[ -s $work/wrong ]]; then bad "formatted" "$formatter -i $(head -n 5 "$work/wrong" | tr '\n' ' ')would change them"
else ok "formatted"; fi
printf 'int  f( ) {return 1 ;}\n' > "$work/sample.cpp"
if [[ $(echo "$work/sample.cpp" | unformatted) == "$work/sample.cpp" ]]; then ok "the check of the format finds a difference"
else bad "the check of the format finds a difference" "found nothing"; fi
finish
