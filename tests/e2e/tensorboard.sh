#!/usr/bin/env bash
# --tensorboard: event files beside metrics.jsonl, after kills too, without influence on the result; read by TensorBoard where a Python has its
# package, and by a small reader of its own where there is a Python at all (LIMBECK_PYTHON names one).
source "$(dirname "$0")/lib.sh"
python=${LIMBECK_PYTHON:-python3}
command=("$limbeck" run configs/tiny.toml --threads 1 --checkpoint-seconds 0.01 --set gan.steps=30 --stop-after gan)

begun=$(date +%s%N)
check "a run without" "${command[@]}" --out "$work/plain"
milliseconds=$((($(date +%s%N) - begun) / 1000000))
check_absent "has no event files" "$work"/plain/stages/*/events.*
kills=0
for fraction in 0.3 0.6 0.4; do
  "${command[@]}" --out "$work/events" --tensorboard > "$work/killed.log" 2>&1 &
  pid=$!
  sleep "$(awk -v ms=$milliseconds -v f=$fraction 'BEGIN { print f * ms / 1000 }')"
  kill -9 $pid 2> /dev/null && kills=$((kills + 1))
  wait $pid 2> /dev/null
done
check "a run with event files was killed ($kills times)" test $kills -ge 1
check "and continues" "${command[@]}" --out "$work/events" --tensorboard
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
