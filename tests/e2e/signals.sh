#!/usr/bin/env bash
# SIGTERM and SIGINT write a checkpoint and end with exit code 3; a second run in one folder waits, or is refused when its settings
# are others.
source "$(dirname "$0")/lib.sh"
run=$work/run
command=("$limbeck" run configs/tiny.toml --out "$run" --set teacher.epochs=100000 --stop-after teacher)

# start PATTERN: begins the run in the background and waits for the pattern in what it prints, then for a step or two.
start() {
  : > "$work/log"
  "${command[@]}" > "$work/log" 2>&1 &
  pid=$!
  for ((i = 0; i < 600; ++i)); do
    grep -q "$1" "$work/log" && [[ -s $run/stages/teacher/metrics.jsonl ]] && return
    sleep 0.1
  done
  bad "the run starts" "no '$1' after a minute: $(tail -2 "$work/log")"
}
end() { wait $pid; status=$?; }

start "teacher: "
check_error "a second run with other settings is refused" "another limbeck run with other settings is using this folder .they differ in seed" "${command[@]}" --set seed=2
"${command[@]}" > "$work/second" 2>&1 &
second=$!
for ((i = 0; i < 100; ++i)); do grep -q waiting "$work/second" && break; sleep 0.1; done
check "one with the same settings waits for the stage" grep -q "waiting for stage teacher: process $pid on" "$work/second"
"$limbeck" status "$run" > "$work/out"
check_output "status says who works on it" "^teacher +running +process $pid on " "^gan +to do"
kill -TERM $second; wait $second; status=$?
check "and is interrupted with exit code 3" test $status = 3
kill -TERM $pid; end
check "SIGTERM ends with exit code 3" test $status = 3
check "SIGTERM leaves a checkpoint" test -s "$run/stages/teacher/checkpoint.safetensors"
check_absent "and nothing that looks finished" "$run/stages/teacher/done.json" "$run/stages/teacher/result.json"
check "and says how to continue" grep -q "the same command continues" "$work/log"

lines=$(wc -l < "$run/stages/teacher/metrics.jsonl")
start "resuming"
kill -INT $pid 2> /dev/null; end
# A shell without job control starts background processes with SIGINT ignored; ours installs its own handler.
check "SIGINT ends with exit code 3" test $status = 3
for signal in HUP USR1 USR2; do
  start "resuming"
  kill -$signal $pid 2> /dev/null; end
  check "SIG$signal ends with exit code 3" test $status = 3
done
check "the second session resumed" grep -q "resuming from its last checkpoint" "$work/log"
check "and kept the curve so far" test "$(wc -l < "$run/stages/teacher/metrics.jsonl")" -ge "$lines"
finish
