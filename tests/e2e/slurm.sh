#!/usr/bin/env bash
# --slurm on a real Slurm of one node, started here on the loopback address and stopped at the end: a dependency, a job that reaches its time
# limit and is put back until it is done, a failed stage that stops what needs it, a second submission, cancellation. About two minutes.
source "$(dirname "$0")/lib.sh"
config=configs/tiny.toml

# Slurm from the distribution; says why not.
install_slurm() {
  command -v slurmctld > /dev/null && command -v slurmd > /dev/null && command -v munged > /dev/null && command -v sbatch > /dev/null && return
  [[ $(id -u) == 0 ]] || { echo "needs root and the packages slurmctld, slurmd, slurm-client and munge"; return 1; }
  command -v apt-get > /dev/null || { echo "needs apt-get to install slurmctld, slurmd, slurm-client and munge"; return 1; }
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq > "$work/apt" 2>&1
  apt-get install -y -qq --no-install-recommends slurmctld slurmd slurm-client munge > "$work/apt" 2>&1 || { echo "apt-get: $(tail -1 "$work/apt")"; return 1; }
}

# A cluster of this machine with a key, ports and folders of its own. Pretends more CPUs than there are, so that jobs run side by side.
start_slurm() {
  [[ $(id -u) == 0 ]] || { echo "its daemons need root"; return 1; }
  local s=$work/slurm host port
  host=$(hostname -s); port=$((20000 + RANDOM % 20000))
  mkdir -p "$s/state" "$s/spool"
  chmod 755 "$work" "$s"
  head -c 64 /dev/urandom > "$s/key"; chmod 400 "$s/key"
  cat > "$s/slurm.conf" << END
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
NodeName=$host NodeAddr=127.0.0.1 CPUs=4 RealMemory=500 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmUser=root
SlurmdUser=root
SlurmctldPort=$port
SlurmdPort=$((port + 1))
AuthInfo=socket=$s/socket,cred_expire=5
StateSaveLocation=$s/state
SlurmdSpoolDir=$s/spool
SlurmctldPidFile=$s/slurmctld.pid
SlurmdPidFile=$s/slurmd.pid
SlurmctldLogFile=$s/slurmctld.log
SlurmdLogFile=$s/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/builtin
SchedulerParameters=sched_interval=2,batch_sched_delay=0
KillWait=10
ReturnToService=2
END
  export SLURM_CONF=$s/slurm.conf
  # In the foreground as our children: they end with us, and their ids are known.
  munged --foreground --force --key-file="$s/key" --socket="$s/socket" --pid-file="$s/munged.pid" --log-file="$s/munged.log" --seed-file="$s/seed" > "$s/munged.out" 2>&1 &
  daemons=($!)
  for ((i = 0; i < 50; ++i)); do [[ -S $s/socket ]] && break; sleep 0.1; done
  slurmctld -D -c > "$s/slurmctld.out" 2>&1 &
  daemons+=($!)
  slurmd -D -c > "$s/slurmd.out" 2>&1 &
  daemons+=($!)
  for ((i = 0; i < 100; ++i)); do
    [[ $(sinfo --noheader --format=%T 2> /dev/null) == idle ]] && return
    sleep 0.2
  done
  echo "the node is not idle after 20 s: $(tail -q -n 1 "$s"/*.log "$s"/*.out | tr '\n' ' ')"
  return 1
}
daemons=()
stop_slurm() {
  [[ -n ${SLURM_CONF:-} ]] && scancel --user="$(id -un)" --signal=KILL --full 2> /dev/null && sleep 1
  local pid
  for pid in "${daemons[@]+"${daemons[@]}"}"; do kill "$pid" 2> /dev/null; done
  wait 2> /dev/null
}
cleanups+=(stop_slurm)

# wait_for SECONDS PATTERN DIR: until `limbeck status DIR` has a line for the pattern; leaves it in $work/out.
wait_for() {
  local end=$((SECONDS + $1))
  while ((SECONDS < end)); do
    "$limbeck" status "$3" > "$work/out" 2>&1
    grep -Eq "$2" "$work/out" && return
    sleep 0.5
  done
  return 1
}
# status_has NAME SECONDS PATTERN DIR
status_has() {
  if wait_for "$2" "$3" "$4"; then ok "$1"; else bad "$1" "no '$3' after $2 s in: $(tr '\n' ';' < "$work/out")"; fi
}
submit() { "$limbeck" run $config --out "$1" --slurm "${@:2}"; }

install_slurm > "$work/why" || { skip "Slurm" "$(tail -1 "$work/why")"; finish; }
start_slurm > "$work/why"
if [[ -s $work/why ]]; then skip "Slurm" "it does not start here: $(tail -1 "$work/why")"; finish; fi

# A teacher that takes longer than its job may: as many epochs as take about 40 s of one CPU. The job is warned some seconds before its
# minute is over (Slurm counts in minutes, and looks every half minute).
a=$work/a reference=$work/reference
begin=$(date +%s%N)
"$limbeck" run $config --out "$work/speed" --set teacher.epochs=30 --stop-after teacher --threads 1 > "$work/out" 2>&1
epochs=$(awk -v ns=$(($(date +%s%N) - begin)) 'BEGIN { print int(30 * 40e9 / ns) }')
long=(--set teacher.epochs=$epochs --stop-after blkd)
check "two stages of which one needs the other are submitted" submit "$a" "${long[@]}" --slurm-options "--time=1 --signal=B:TERM@50"
check_output "as two jobs" '^job [0-9]+: teacher$' '^job [0-9]+: blkd$' '^submitted 2 jobs'
status_has "one runs, the other waits for it" 30 '^blkd +waiting for +[0-9]+ +teacher' "$a"
"$limbeck" run $config --out "$reference" "${long[@]}" --threads 1 > "$work/reference.log" 2>&1 &
reference_pid=$!

# Meanwhile a stage that fails: its checkpoint is no checkpoint.
b=$work/b only=(--set teacher.epochs=100000 --only stage=blkd --only stage=nokd)
timeout -s TERM 4 "$limbeck" run $config --out "$b" --set teacher.epochs=100000 --stop-after teacher > "$work/out" 2>&1
echo "no checkpoint" > "$b/stages/teacher/checkpoint.safetensors"
check "stages of which one will fail are submitted" submit "$b" "${only[@]}"
status_has "the stage fails" 40 '^teacher +failed .*checkpoint.safetensors' "$b"
status_has "what does not need it is done" 40 '^nokd +done' "$b"
"$limbeck" status "$b" > "$work/out"
check_output "what needs it is not run" '^blkd +not run +[0-9]+ +needs teacher, which failed' '^stage failed: teacher .*not run because of it: .*blkd'

# Mended and submitted again; cancelled.
rm "$b/stages/teacher/checkpoint.safetensors"
check "it is submitted again" submit "$b" "${only[@]}"
check_output "without what is done" '^submitted 2 jobs'
status_has "the failed stage runs" 40 '^teacher +running +[0-9]+ +process .*Slurm job' "$b"
check "submitting a third time" submit "$b" "${only[@]}"
check_output "leaves jobs that are there" '^job [0-9]+: teacher \(submitted before\)' '^job [0-9]+: blkd \(submitted before\)' '^submitted 0 jobs'
check "cancelling" "$limbeck" cancel "$b"
check_output "names the jobs" '^cancelled: [0-9]+, [0-9]+$'
status_has "the running stage is cancelled" 40 '^teacher +cancelled' "$b"
check "its checkpoint is written" test -s "$b/stages/teacher/checkpoint.safetensors"
check "nothing is left to cancel" "$limbeck" cancel "$b"
check_output "which is said" 'no Slurm job of this run'

status_has "the job with a time limit is done" 200 '^teacher +done' "$a"
status_has "and the one that waited for it" 40 '^blkd +done' "$a"
restarts=$(cat "$a"/slurm/teacher-*.out | grep -c 'resuming from its last checkpoint')
check "after it was put back and continued ($restarts times)" test "$restarts" -ge 1
check "the cancelled job was not put back" test -z "$(squeue --noheader)"
wait $reference_pid
check_same "the bits are those of a run without interruption" "$reference" "$a"
finish
