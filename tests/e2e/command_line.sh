#!/usr/bin/env bash
# The command line itself: what is wrong is named, with what was meant; output that does not arrive is an error.
source "$(dirname "$0")/lib.sh"

# check_usage NAME PATTERN ARGUMENTS...: status 2, and a line of stderr that matches.
check_usage() {
  local name=$1 pattern=$2 status; shift 2
  "$limbeck" "$@" > "$work/out" 2> "$work/err"; status=$?
  if ((status == 2)) && grep -Eq -e "$pattern" "$work/err"; then ok "$name"
  else bad "$name" "expected status 2 and '$pattern', found $status: $(tail -n 3 "$work/err" | tr '\n' ' ')"; fi
}

check_usage "no subcommand lists them" '^a subcommand is missing; there are: .*run'
check_usage "no second subcommand lists them" '^data: a subcommand is missing; there are: .*info' data
check_usage "an unknown subcommand" "^unknown subcommand 'rnu'; did you mean 'run'\?" rnu
check_usage "a subcommand in upper case" "did you mean 'run'\?" Run
check_usage "a second one like none" "^data: unknown subcommand 'swallow'; there are: .*info" data swallow
check_usage "a misspelt option, not the missing one" "^sample: unknown option '--ckqt'; did you mean '--ckpt'\?" sample --ckqt x
for threads in 0 -1 1000000 two; do
  check_usage "--threads $threads" "expected a whole number from 1 to 1024, found '$threads'" run configs/tiny.toml --out "$work/run" --threads $threads
done
for seed in -1 99999999999999999999 1.5; do
  check_usage "--seed $seed" "expected a whole number from 0 to 2.64 - 1, found '$seed'" sample --ckpt x --out y --seed $seed
done
check_usage "a negative batch" "expected a number above 0, found '-3'" eval --ckpt x --batch -3
check_absent "nothing was begun" "$work/run"
check "help is no error" "$limbeck" run --help

if [[ -c /dev/full ]]; then
  for words in config models methods "ops support" --version --help; do
    # shellcheck disable=SC2086
    "$limbeck" $words > /dev/full 2> "$work/err"; status=$?
    if ((status == 1)) && grep -q "limbeck: error: standard output: No space" "$work/err"; then ok "a full disk behind $words"
    else bad "a full disk behind $words" "status $status: $(cat "$work/err")"; fi
  done
else skip "a full disk behind standard output" "no /dev/full"; fi
( sleep 0.3; "$limbeck" config; echo $? > "$work/status" ) 2> "$work/message" | true
check "a reader that leaves early ends it" test "$(cat "$work/status")" = 141
check "without a message" test ! -s "$work/message"
finish
