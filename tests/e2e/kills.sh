#!/usr/bin/env bash
# kill -9 at random moments of tiny, tiny-regression and a [plan] by three processes: every run is begun again until it is finished, and ends with the
# bits of an undisturbed one.
#   tests/e2e/kills.sh BUILD [KILLS [CONFIG...]]      so many kills of each configuration; 2 in `make test`, which kills in other scripts too
source "$(dirname "$0")/lib.sh"
kills=${2:-2}
configs=("${@:3}")
((${#configs[@]})) || configs=(tiny tiny-regression tiny_plan)

# pause SECONDS: a random part of them.
pause() { sleep "$(awk -v t="$1" -v r=$RANDOM 'BEGIN { print t * r / 32768 }')"; }

# victims PID: the process; of several, at random one worker, the parent alone, or all.
victims() {
  local workers; mapfile -t workers < <(pgrep -P "$1")
  if ((${#workers[@]} == 0)); then echo "$1"; return; fi
  case $((RANDOM % 4)) in
    0) echo "$1" ;;
    1) echo "$1" "${workers[@]}" ;;
    *) echo "${workers[RANDOM % ${#workers[@]}]}" ;;
  esac
}

# session COMMAND...: runs it, killing now and then while `left` is positive; false when it failed and nothing was killed.
session() {
  local pid killed=0 status chosen
  "$@" > "$work/log" 2>&1 &
  pid=$!
  while ((left > 0)); do
    pause "$longest"
    kill -0 $pid 2> /dev/null || break
    read -ra chosen < <(victims $pid)
    kill -9 "${chosen[@]}" 2> /dev/null && killed=1 left=$((left - 1))
    [[ ${chosen[0]} == "$pid" ]] && break
  done
  wait $pid 2> /dev/null; status=$?
  finished=$((status == 0))
  ((finished || killed))
}

# killed_runs CONFIG [OPTION...]: runs until there were so many kills.
killed_runs() {
  local config=$1 folder runs=0 sessions=0 finished; shift
  timed longest check "$config" "$limbeck" run "configs/$config.toml" --out "$work/$config" "$@"
  longest=$(awk -v t="$longest" 'BEGIN { print 0.3 * t }')
  left=$kills
  while ((left > 0)); do
    folder=$work/$config.$((++runs)) finished=0
    until ((finished)); do
      sessions=$((sessions + 1))
      session "$limbeck" run "configs/$config.toml" --out "$folder" --checkpoint-seconds 0.05 "$@" ||
        { bad "$config, run $runs" "failed by itself: $(tail -n 2 "$work/log" | tr '\n' ' ')"; return; }
    done
    # Workers without a parent may still be looking for work.
    flock "$folder/.lock" true
    check_same "$config, run $runs, has the bits of an undisturbed one" "$work/$config" "$folder"
    rm -rf "$folder"
  done
  ok "$config: $kills kills, $runs runs, $sessions sessions"
}

for config in "${configs[@]}"; do
  case $config in
    *plan*) killed_runs "$config" --jobs 3 --set plan.seeds=1,2 --set plan.methods=none,blkd --set "plan.pairs=resnet14 > resnet8" ;;
    *) killed_runs "$config" --threads 1 ;;
  esac
done
finish
