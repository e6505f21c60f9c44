#!/usr/bin/env bash
# --jobs: several processes on one run end with the bits of one, whatever is killed; a failed stage stops only what needs it.
source "$(dirname "$0")/lib.sh"
config=configs/tiny.toml
one=$work/one

# begin DIR: a run by three processes in the background, until it has finished a stage.
begin() {
  : > "$work/log"  # the shell that runs the program in the background may be late to do it
  "$limbeck" run $config --out "$1" --jobs 3 --checkpoint-seconds 0.1 > "$work/log" 2> "$work/errors" &
  pid=$!
  for ((i = 0; i < 1200; ++i)); do
    grep -q ': done in' "$work/log" && return
    sleep 0.05
  done
  bad "a run by three processes starts" "no stage was done after a minute: $(tail -2 "$work/log" "$work/errors")"
}
workers() { pgrep -P $pid; }
end() { wait $pid 2> /dev/null; status=$?; }

check "a run by one process" "$limbeck" run $config --out "$one"
check "a run by three" "$limbeck" run $config --out "$work/three" --jobs 3
cp "$work/out" "$work/lines"
check_same "has the same bits" "$one" "$work/three"
check "its lines name their stages" bash -c "! grep -Ev '^(run |all stages|\[[0-9]+/[0-9]+\] |ratio: |(training|test) images: )' '$work/lines'"

begin "$work/victim"
kill -9 "$(workers | head -1)"; end
check "one of three killed: the others finish" test $status = 0
check "which is said" grep -q "was ended by signal 9" "$work/errors"
check_same "with the same bits" "$one" "$work/victim"

begin "$work/all"
kill -9 $pid $(workers); end
check "all killed" test ! -e "$work/all/stages/evaluate/done.json"
check "two processes continue" "$limbeck" run $config --out "$work/all" --jobs 2
check_same "to the same bits" "$one" "$work/all"

begin "$work/parent"
kill -9 $pid; end
check "the parent killed: one process waits for its workers and finishes" "$limbeck" run $config --out "$work/parent"
check_same "with the same bits" "$one" "$work/parent"

begin "$work/stopped"
children=$(workers)
kill -TERM $pid; end
check "SIGTERM ends with exit code 3" test $status = 3
check "reaches every process" bash -c "! kill -0 $(echo $children) 2> /dev/null"
check "and says how to continue" grep -q "the same command continues" "$work/errors"
check "the same command continues" "$limbeck" run $config --out "$work/stopped" --jobs 3
check_same "to the same bits" "$one" "$work/stopped"

# A file-size limit makes the largest network fail: the others do not need the teacher.
limited() { (trap '' XFSZ; ulimit -f 400; "$@"); }
limited "$limbeck" run $config --out "$work/limited" --jobs 2 > "$work/log" 2> "$work/errors"; status=$?
check "a failed stage: exit code 1" test $status = 1
check "names it and what was not run" grep -Eq "^limbeck: error: stage failed: teacher \(.*cannot write.*\); not run because of it: .*blkd.*evaluate" "$work/errors"
check "stages that do not need it are finished" test -e "$work/limited/stages/nokd/done.json" -a -e "$work/limited/stages/fakes_raw/done.json"
"$limbeck" status "$work/limited" > "$work/out"
check_output "status names them" '^teacher +failed .*cannot write' '^nokd +done' '^evaluate +not run +needs teacher, which failed' '^stage failed: teacher'
check "the rest runs when there is room" "$limbeck" run $config --out "$work/limited"
check_same "with the same bits" "$one" "$work/limited"

# Slurm jobs are noted but there is no Slurm to ask.
mkdir "$one/slurm"; echo '{"teacher": {"job": "7", "fingerprint": "0"}}' > "$one/slurm/jobs.json"
SLURM_CONF=$work/nowhere "$limbeck" status "$one" > "$work/out" 2>&1
check_output "status without Slurm at hand says so, and what the folder says" '^Slurm does not answer' '^teacher +done'
finish
