#!/usr/bin/env bash
# docs/tutorial/: what its pages show is what the programs print, their excerpts stand in the files, and each station has its parts.
# Numbers are compared as tests/e2e/same_text.awk says, on the instruction set that every processor has.
source "$(dirname "$0")/lib.sh" "${1:-build}"
build=$(dirname "$limbeck")
pages=docs/tutorial
export OMP_NUM_THREADS=1 LIMBECK_ISA=base
root=$PWD

# The comparison itself.
printf 'loss 1.50 of 3 by 4e-11\n' > "$work/a"
for line in 'loss 1.51 of 3 by 5e-11' 'loss 1.70 of 3 by 4e-11' 'loss 1.50 of 4 by 4e-11' 'lost 1.50 of 3 by 4e-11' 'loss 1.50 of 3 by 7e-11' 'loss 1.50 of 3 by 0'; do
  printf '%s\n' "$line" > "$work/b"
  if awk -f tests/e2e/same_text.awk "$work/a" "$work/b" > /dev/null; then echo "$line"; fi
done > "$work/taken"
check "the comparison takes a rounding and no other difference" test "$(cat "$work/taken")" = 'loss 1.51 of 3 by 5e-11'

if grep -q __asan_init "$limbeck"; then
  skip "the tutorial" "its programs are built without sanitizers"
  finish
fi
check "its programs build" make --no-print-directory BUILD="$build" JOBS=2 tutorial

# blocks LANGUAGE PAGE: writes the page's code blocks of a language to $work/block.1, ... and says how many.
blocks() {
  rm -f "$work"/block.*
  awk -v language="$1" -v out="$work/block." '
    !on && $0 == "```" language { on = 1; file = out (++n); printf "" > file; next }
    on && $0 == "```" { on = 0; close(file); next }
    on { print > file }
    END { print n + 0 }' "$2"
}

# run_block NAME FILE: its first line is "$ COMMAND", with build/ for the build folder; the rest is what the command prints.
run_block() {
  local command
  command=$(sed -n '1s/^\$ //p' "$2" | sed "s#build/#$build/#g; s#examples/tutorial/\\([^ ]*\\.gdb\\)#$root/examples/tutorial/\\1#g")
  if [[ $command == gdb* ]] && ! command -v gdb > /dev/null; then skip "$1" "no gdb"; return; fi
  tail -n +2 "$2" > "$work/expected"
  (cd "$work" && bash -c "$command") > "$work/found" 2> "$work/err"
  if [[ $command == gdb* ]] && grep -qi 'ptrace' "$work/err" "$work/found"; then skip "$1" "gdb may not trace here"; return; fi
  if difference=$(awk -f tests/e2e/same_text.awk "$work/expected" "$work/found"); then ok "$1"
  else bad "$1" "$difference $(tail -n 1 "$work/err")"; fi
}

# has_lines BLOCK FILES: some file has the lines of the block next to each other (indented as they may be).
has_lines() {
  python3 - "$@" <<'PY'
import sys
def lines(path):
    return [line.strip() for line in open(path, encoding="utf-8") if line.strip()]
block = lines(sys.argv[1])
for path in sys.argv[2:]:
    text = lines(path)
    if any(text[i:i + len(block)] == block for i in range(len(text))):
        sys.exit(0)
sys.exit(f"not in {' '.join(sys.argv[2:])}: {block[0]}")
PY
}

for page in "$pages"/[0-9]*.md; do
  name=$(basename "$page" .md)
  station=${name#0}
  missing=
  for part in "figures/tutorial-$station.svg" "examples/tutorial/$station.c" "## Exercise" "examples/tutorial/solutions/$station.c"; do
    grep -qF "$part" "$page" || missing+=" '$part'"
  done
  if [[ -z $missing ]]; then ok "$name has a figure, a program, an exercise and its solution"
  else bad "$name has a figure, a program, an exercise and its solution" "no$missing"; fi
  if (($(wc -l < "$page") <= 130)); then ok "$name has three screens at most"; else bad "$name has three screens at most" "$(wc -l < "$page") lines"; fi
  count=$(blocks console "$page")
  if ((count < 2)); then bad "$name shows what program and solution print" "$count console blocks"; fi
  for ((i = 1; i <= count; ++i)); do run_block "$name: $(sed -n '1s/^\$ //p' "$work/block.$i")" "$work/block.$i"; done
  if command -v python3 > /dev/null; then
    count=$(blocks cpp "$page")
    for ((i = 1; i <= count; ++i)); do
      check "$name: excerpt $i stands in a file" has_lines "$work/block.$i" $(grep -o '(\.\./\.\./[A-Za-z_0-9./-]*\.\(h\|cpp\|cu\))' "$page" | tr -d '()' | sed 's#\.\./\.\./##' | sort -u)
    done
  else skip "$name: excerpts stand in files" "no python3"; fi
done
check "there are ten stations" test "$(ls "$pages"/[0-9]*.md | wc -l)" = 10
finish
