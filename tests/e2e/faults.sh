#!/usr/bin/env bash
# A disk that fails (ENOSPC, EIO at every kind of call, early and late) and a clock that jumps by years: one line of error, nothing that looks whole, and the
# same command continues to the same bits. Then several writers of one file.
source "$(dirname "$0")/lib.sh"
# The compiler of the tests, or what there is.
for compiler in cc gcc clang; do command -v $compiler > /dev/null && break; done
shim=$work/faults.so
if ! $compiler -shared -fPIC -O1 tests/e2e/faults.c -o "$shim" -ldl 2> "$work/err"; then skip "faults" "no C compiler"; finish; fi
run() { "$limbeck" run configs/tiny.toml --set teacher.model=resnet8 --stop-after teacher --threads 1 --checkpoint-seconds 0 --quiet --out "$@"; }
check "a run" run "$work/whole"

# faulty CALL ERRNO N [ONCE]: the run with that fault from the N-th call on; 0: counts the calls.
faulty() {
  # shellcheck disable=SC2030
  (export LD_PRELOAD=$shim FAULT="$1 $2 $3 $work/faulty" FAULT_COUNT=$work/count; [[ -n ${4:-} ]] && export FAULT_ONCE=1; run "$work/faulty")
}
# A failed run says one line; one that could do without what failed has the same bits.
declare -A text=([28]="No space left on device" [5]="Input/output error")
try() {
  local name="$1 fails with ${text[$2]} at $3 of $calls${4:+, once}" status
  rm -rf "$work/faulty"
  faulty "$@" > "$work/out" 2> "$work/said"; status=$?
  if ((status != 0)); then
    check_error "$name" "$work/faulty.*${text[$2]}" bash -c "cat '$work/said' >&2; exit $status"
    check_absent "leaves no temporary file" $(find "$work/faulty" -name '*.tmp' 2> /dev/null)
    check "continues" run "$work/faulty"
  fi
  check_same "$name: same bits" "$work/whole" "$work/faulty"
}
for call in open write fsync rename mkdir read ftruncate; do
  rm -rf "$work/faulty" "$work/count"
  faulty $call 0 0 > "$work/out" 2>&1
  calls=$(tail -n 1 "$work/count")
  ((calls > 0)) || { skip "a failing $call" "is not called"; continue; }
  for n in $(printf '%s\n' 1 $((calls / 3 + 1)) $((calls * 2 / 3 + 1)) "$calls" | sort -nu); do
    for error in 28 5; do
      [[ $call == read && $error == 28 ]] || try $call $error "$n"
    done
    try $call 5 "$n" once
  done
done

# shellcheck disable=SC2031
jumping() { (export LD_PRELOAD=$shim CLOCK_JUMPS=1; run "$@"); }
check "a clock that jumps" jumping "$work/jumps"
check_same "changes no bit" "$work/whole" "$work/jumps"
check "nor does anything run again" bash -c "LD_PRELOAD='$shim' CLOCK_JUMPS=1 '$limbeck' status '$work/jumps'"
check_output "status sees the finished stage" '^teacher +done'

network=$work/whole/stages/teacher/model.safetensors
"$limbeck" convert "$network" "$work/expected.safetensors" --plain > /dev/null
writers=() failed=0
for ((i = 0; i < 8; ++i)); do "$limbeck" convert "$network" "$work/shared.safetensors" --plain > /dev/null 2>> "$work/writers" & writers+=($!); done
for pid in "${writers[@]}"; do wait "$pid" || failed=1; done
check "eight writers of one file: none fails" test $failed = 0
check "and one of them has written it" cmp "$work/expected.safetensors" "$work/shared.safetensors"
check_absent "without a rest" $(find "$work" -maxdepth 1 -name 'shared.safetensors.*')
finish
