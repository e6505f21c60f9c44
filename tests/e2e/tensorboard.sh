#!/usr/bin/env bash
# --tensorboard: event files beside metrics.jsonl, after kills too, without influence on the result; read by TensorBoard where a Python has its
# package, and by a small reader of its own where there is a Python at all (LIMBECK_PYTHON names one).
source "$(dirname "$0")/lib.sh"
python=${LIMBECK_PYTHON:-python3}
command=("$limbeck" run configs/tiny.toml --threads 1 --checkpoint-seconds 0.01 --set gan.steps=30 --stop-after gan)

timed seconds check "a run without" "${command[@]}" --out "$work/plain"
check_absent "has no event files" "$work"/plain/stages/*/events.*
kill_and_continue "a run with event files" "$seconds" "${command[@]}" --out "$work/events" --tensorboard
stage=$work/events/stages/gan
check "the stage has one" test -s "$stage/events.out.tfevents.0.limbeck"
if command -v "$python" > /dev/null; then
  "$python" tests/oracle/tensorboard_events.py "$stage" || failures=1
else
  skip "what the event files say" "no $python"
fi
rm -f "$stage"/events.*
check_same "everything else has the bits of the run without" "$work/plain" "$work/events"
finish
