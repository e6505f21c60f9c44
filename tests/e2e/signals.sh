#!/usr/bin/env bash
# SIGTERM and SIGINT write a checkpoint and end with exit code 3; two runs in one folder are refused.
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
check_error "a second run in the same folder is refused" "another limbeck run is using this folder" "${command[@]}"
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
check "the second session resumed" grep -q "resuming from its last checkpoint" "$work/log"
check "and kept the curve so far" test "$(wc -l < "$run/stages/teacher/metrics.jsonl")" -ge "$lines"
finish
