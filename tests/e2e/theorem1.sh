#!/usr/bin/env bash
# The terms of Theorem 1 on tiny runs of both tasks: a stage for every student that learns from fakes, the table and the charts of the report.
source "$(dirname "$0")/lib.sh"
export OMP_NUM_THREADS=1
a=$work/classes b=$work/responses
measured() { # measured RUN STAGE KEY: its value
  sed -n "s/.*\"$3\": {\"value\": \([^,]*\),.*/\1/p" <(tr '\n' ' ' < "$1/stages/$2/result.json" | sed 's/}/}\n/g')
}

check "a tiny run with the terms" "$limbeck" run configs/tiny.toml --out "$a" --set theorem1.measure=true
for student in cgankd cgankd_blkd cgankd_raw cgankd_m1; do
  check "a stage for $student" test -s "$a/stages/theorem1_$student/done.json"
done
check_absent "none for a student of real images" "$a/stages/theorem1_nokd"
check "theta is the share of real images" test "$(measured "$a" theorem1_cgankd theta)" = 0.5
check "fakes are counted" test "$(measured "$a" theorem1_cgankd fake_images)" = 120
check "report" "$limbeck" report "$a"
check "its table" grep -Eq '^\| cGAN-KD \(resnet8\) +\| +120 \| +120 \| +0.5 ' "$a/report.md"
check "says that the bound is vacuous" grep -q 'The bound is vacuous for [0-9] of 4 students' "$a/report.md"
check "a second run" "$limbeck" run configs/tiny.toml --out "$a" --set theorem1.measure=true
check "does nothing" test "$(grep -c 'done before' "$work/out")" = "$(ls "$a/stages" | wc -l)"
check "another delta" "$limbeck" run configs/tiny.toml --out "$a" --set theorem1.measure=true --set theorem1.delta=0.1 --dry-run --no-measure
check_output "touches nothing but these stages" '^theorem1_cgankd .*changed: theorem1.delta' '^cgankd +done' '^teacher +done'
check_error "a probability of 2" 'theorem1.delta: expected a number between 0 and 1, found 2' \
  "$limbeck" run configs/tiny.toml --out "$work/unused" --set theorem1.delta=2

check "a tiny run of responses with the terms" "$limbeck" run configs/tiny-regression.toml --out "$b" --set theorem1.measure=true
check "a stage for it" test -s "$b/stages/theorem1_cgankd/done.json"
bound=$(measured "$b" theorem1_cgankd loss_bound)
check "squared errors have a bound" test -n "$bound" -a "$bound" = "$(measured "$b" theorem1_cgankd largest_loss)"
check "report of it" "$limbeck" report "$b"
check "has the table" grep -q 'Theorem 1' "$b/report.md"
finish
