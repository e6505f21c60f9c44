# shellcheck shell=bash
# bench/on_gpu.sh: parts of a step, and measurements of a part.
#   runs/gpu/parts/NAME.txt     what a part printed, of all calls
#   runs/gpu/parts/NAME.state   ok | skipped | FAILED | left, and its last line
#   FILE.log, FILE.status       of a measurement; the status is written last and says that it is not to be repeated
pack_every=20   # seconds
part_limit=120  # of one measurement, so that a kernel that hangs costs no more

# note STATE PART TEXT
note() {
  set_state "$@"
  printf '%-7s %-22s %s\n' "$1" "$2" "$3"
}
set_state() { printf '%s\t%s\n' "$1" "$3" > "$work/parts/$2.state"; }
state_of() { cut -f 1 "$work/parts/$1.state" 2> /dev/null; }
last_line() { grep -v '^[[:space:]]*$' "$work/parts/$1.txt" | tail -n 1 | cut -c 1-200; }

# part NAME LIMIT COMMAND...: within LIMIT seconds and what is left of the step. Status 3 of the command means: to be continued.
part() {
  local name=$1 seconds=$((deadline - SECONDS)) begin=$SECONDS status pid; shift
  planned+=("$name")
  [[ $(state_of "$name") == ok ]] && { printf '%-7s %-22s %s\n' ok "$name" "done before"; return; }
  ((seconds < $1)) || seconds=$1
  ((seconds >= 3)) || { note left "$name" "no time left"; return; }
  part_deadline=$((SECONDS + seconds)); shift
  set_state left "$name" "was cut off"
  echo "--- $(date -u '+%Y-%m-%d %H:%M:%S') $name" >> "$work/parts/$name.txt"
  "$@" >> "$work/parts/$name.txt" 2>&1 &
  pid=$!
  while kill -0 "$pid" 2> /dev/null; do
    sleep 0.2
    ((SECONDS < packed + pack_every)) || pack
  done
  wait "$pid"
  status=$?
  case $status in
    0) note ok "$name" "$((SECONDS - begin)) s: $(last_line "$name")" ;;
    3) note left "$name" "stopped after $((SECONDS - begin)) s: $(last_line "$name")" ;;
    4) note skipped "$name" "$(last_line "$name")" ;;
    *) note FAILED "$name" "$((SECONDS - begin)) s, status $status: $(last_line "$name")" ;;
  esac
  pack
}

# unit FILE LIMIT COMMAND...: one measurement, within LIMIT seconds. Status 3: the end of the part cut it off. 124: it took longer than LIMIT.
# In the foreground of the script's process group, so that what ends the script ends it.
unit() {
  local file=$1 limit=$2 seconds=$((part_deadline - SECONDS)) status cut=0; shift 2
  [[ -s $file.status ]] && return "$(< "$file.status")"
  ((seconds >= limit)) && seconds=$limit || cut=1
  ((seconds >= 2)) || return 3
  mkdir -p "$(dirname "$file")"
  timeout --foreground -k 5 "$seconds" "$@" > "$file.log" 2>&1
  status=$?
  ((status == 137)) && status=124
  ((status == 124 && cut)) && return 3
  ((status == 3)) && status=1  # a program's own 3 is not ours
  echo "$status" > "$file.status"
  return "$status"
}

# units_left AT_ONCE: waits until fewer than AT_ONCE jobs run; false when the part's time is up.
units_left() {
  while (($(jobs -rp | wc -l) >= $1)); do wait -n; done
  ((part_deadline - SECONDS >= 2))
}

# outcome FILE...: of measurements: prints those that failed; status 1 when some did, 3 when some are left.
outcome() {
  local file status bad=0 missing=0
  (($#)) || { echo "nothing to be measured"; return 1; }
  for file; do
    status=$(cat "$file.status" 2> /dev/null)
    case $status in
      0) ;;
      "") missing=$((missing + 1)) ;;
      *) bad=$((bad + 1)); echo "FAILED $(basename "$file"), $(status_text "$status"): $(grep -E '^(FAILED|limbeck: error)|^\[  FAILED' "$file.log" | head -n 2 | tr '\n' ' ')$(tail -n 1 "$file.log" | cut -c 1-200)" ;;
    esac
  done
  echo "$(($# - bad - missing)) of $# well, $bad failed, $missing left"
  ((bad == 0)) || return 1
  ((missing == 0)) || return 3
}
status_text() { if (($1 == 124)); then echo "took too long"; else echo "status $1"; fi; }
