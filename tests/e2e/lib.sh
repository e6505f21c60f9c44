# Helpers of the end-to-end tests. A script sources this file with the build folder as its argument, prints one line "ok NAME",
# "FAIL NAME: why" or "skip NAME: why" per check (tests/run.sh counts them), and ends with `finish`.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 2
limbeck=$(realpath "${1:-build}")/limbeck
work=$(mktemp -d "${TMPDIR:-/tmp}/limbeck-e2e.XXXXXX")
failures=0
cleanups=()
clean_up() {
  local c
  for c in "${cleanups[@]+"${cleanups[@]}"}"; do eval "$c"; done
  rm -rf "$work"
}
trap clean_up EXIT

ok() { echo "ok $1"; }
bad() { echo "FAIL $1: $2"; failures=$((failures + 1)); }
skip() { echo "skip $1: $2"; }
finish() { exit $((failures > 0)); }

# check NAME COMMAND...: ok when the command succeeds. $work/out and $work/err are emptied for it: it cannot look at those of the one before.
check() {
  local name=$1; shift
  if "$@" > "$work/out" 2> "$work/err"; then ok "$name"
  else bad "$name" "status $? of '$*': $(tail -q -n 3 "$work/err" "$work/out" | tr '\n' ' ')"; fi
}

# check_output NAME PATTERN...: ok when what the last command printed has a line for each of the patterns.
check_output() {
  local name=$1 pattern; shift
  for pattern in "$@"; do
    grep -Eq "$pattern" "$work/out" || { bad "$name" "no '$pattern' in: $(head -c 500 "$work/out" | tr '\n' ' ')"; return; }
  done
  ok "$name"
}

# check_error NAME PATTERN COMMAND...: ok when the command ends with status 1 (a crash or a signal has another) and says one line on
# stderr that starts with "limbeck: error: " and matches the extended regular expression.
check_error() {
  local name=$1 pattern=$2 status lines; shift 2
  "$@" > "$work/out" 2> "$work/err"; status=$?
  lines=$(wc -l < "$work/err")
  if ((status != 1)); then bad "$name" "expected status 1, found $status: $(tail -n 3 "$work/err" | tr '\n' ' ')"
  elif ((lines != 1)); then bad "$name" "expected one line on stderr, found $lines: $(cat "$work/err")"
  elif ! grep -Eq "^limbeck: error: .*($pattern)" "$work/err"; then bad "$name" "expected '$pattern', found: $(cat "$work/err")"
  else ok "$name"; fi
}

# check_absent NAME PATH...: ok when none of the paths exists.
check_absent() {
  local name=$1 path; shift
  for path in "$@"; do
    [[ -e $path ]] && { bad "$name" "$path exists"; return; }
  done
  ok "$name"
}

# flip FILE AT: the lowest bit of a byte.
flip() {
  local byte; byte=$(od -An -tu1 -j "$2" -N 1 "$1" | tr -d ' ')
  printf "\\x$(printf %02x $((byte ^ 1)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# checksums DIR: of every file but the wall times, what is known of files, the locks and what --slurm notes.
checksums() { (cd "$1" && find . -type f ! -name times.json ! -name identities.json ! -name .lock ! -path './.locks/*' ! -path './slurm/*' ! -name 'report.*' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum); }

# check_same NAME DIR1 DIR2: ok when both runs have the same files with the same bits.
check_same() {
  if checksums "$2" > "$work/a.sum" && checksums "$3" > "$work/b.sum" && diff "$work/a.sum" "$work/b.sum" > "$work/diff"; then ok "$1"
  else bad "$1" "files differ: $(grep '^[<>]' "$work/diff" | awk '{print $3}' | sort -u | tr '\n' ' ')"; fi
}

# kill_and_continue NAME SECONDS PROGRAM ARGUMENT...: a run that takes about so many seconds undisturbed on this machine is killed with -9
# after parts of them, at most 12 times, and begun again until it finishes. The program itself, not a shell function: kill must reach it.
kill_and_continue() {
  local name=$1 seconds=$2 kills=0 status=1 i pid; shift 2
  for ((i = 1; i <= 40; ++i)); do
    "$@" > "$work/killed.log" 2>&1 &
    pid=$!
    if ((kills < 12)); then
      sleep "$(awk -v t="$seconds" -v i=$i 'BEGIN { print t * (0.06 + 0.04 * ((i - 1) % 9)) }')"
      kill -9 $pid 2> /dev/null && kills=$((kills + 1))
    fi
    wait $pid 2> /dev/null; status=$?
    ((status == 137)) || break
  done
  check "$name was killed ($kills times)" test $kills -ge 2
  if ((status == 0)); then ok "$name finished"; else bad "$name finished" "status $status: $(tail -n 2 "$work/killed.log" | tr '\n' ' ')"; fi
}

# timed VARIABLE COMMAND...: runs the command and leaves its seconds in the variable.
timed() {
  local variable=$1 begin=$EPOCHREALTIME status; shift
  "$@"; status=$?
  printf -v "$variable" '%s' "$(awk -v a="$begin" -v b="$EPOCHREALTIME" 'BEGIN { print b - a }')"
  return $status
}
