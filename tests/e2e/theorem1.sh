#!/usr/bin/env bash
# The terms of Theorem 1 on tiny runs of both tasks: a stage for every student that learns from fakes, trainings on random signs and a density
# ratio for what is optional, which a kill does not change; the table, the charts and the sentences of the report; refusals.
source "$(dirname "$0")/lib.sh"
export OMP_NUM_THREADS=1
a=$work/classes b=$work/responses
measured() { # measured RUN STAGE KEY: its value
  sed -n "s/.*\"$3\": {\"value\": \([^,]*\),.*/\1/p" <(tr '\n' ' ' < "$1/stages/$2/result.json" | sed 's/}/}\n/g')
}
holds() { # holds "FORMULA" NAME VALUE ...: whether awk finds it true
  local formula=$1 values=(); shift
  while (($#)); do values+=(-v "$1=$2"); shift 2; done
  awk "${values[@]}" "BEGIN { exit !($formula) }"
}

run=("$limbeck" run configs/tiny.toml --set theorem1.measure=true)
check "a tiny run with the terms" "${run[@]}" --out "$a"
for student in cgankd cgankd_blkd cgankd_raw cgankd_m1; do
  check "a stage for $student" test -s "$a/stages/theorem1_$student/done.json"
done
check_absent "none for a student of real images" "$a/stages/theorem1_nokd"
check_absent "what costs trainings is not asked for" "$a"/stages/theorem1_ra*
check "theta is the share of real images" test "$(measured "$a" theorem1_cgankd theta)" = 0.5
check "fakes are counted" test "$(measured "$a" theorem1_cgankd fake_images)" = 120
check "report" "$limbeck" report "$a"
check "its table" grep -Eq '^\| cGAN-KD \(resnet8\) +\| +120 \| +120 \| +0.5 ' "$a/report.md"
check "says that the bound is vacuous" grep -q 'The bound is vacuous for [0-9] of 4 students' "$a/report.md"
check "a second run" "${run[@]}" --out "$a"
check "does nothing" test "$(grep -c 'done before' "$work/out")" = "$(ls "$a/stages" | wc -l)"
check "another delta" "${run[@]}" --out "$a" --set theorem1.delta=0.1 --dry-run --no-measure
check_output "touches nothing but these stages" '^theorem1_cgankd .*changed: theorem1.delta' '^cgankd +done' '^teacher +done'
check_error "a probability of 2" 'theorem1.delta: expected a number between 0 and 1, found 2' \
  "$limbeck" run configs/tiny.toml --out "$work/unused" --set theorem1.delta=2

signs=(--set theorem1.rademacher.measure=true --set 'theorem1.rademacher.sizes=[60, 240, 500]' --set theorem1.rademacher.draws=2 --set theorem1.rademacher.steps=40)
cp -r "$a" "$work/alone"; cp -r "$a" "$work/killed"
timed seconds check "trainings on random signs" "${run[@]}" --out "$work/alone" "${signs[@]}" --only stage=theorem1_rademacher_m2
kill_and_continue "the same trainings" "$seconds" "${run[@]}" --out "$work/killed" "${signs[@]}" --only stage=theorem1_rademacher_m2 --checkpoint-seconds 0.02
check_same "kills give the same bits" "$work/alone/stages/theorem1_rademacher_m2" "$work/killed/stages/theorem1_rademacher_m2"
check "of every size that exists" holds 'f > 0 && a > 0 && none == ""' f "$(measured "$work/alone" theorem1_rademacher_m2 rademacher_60)" \
  a "$(measured "$work/alone" theorem1_rademacher_m2 rademacher_240)" none "$(measured "$work/alone" theorem1_rademacher_m2 rademacher_500)"
check_error "what the terms need is not trained again unasked" 'theorem1_cgankd' "${run[@]}" --out "$a" "${signs[@]}"
check "the rest of the terms" "${run[@]}" --out "$a" "${signs[@]}" --set theorem1.ratio=true --replace
for name in rademacher ratio; do
  check "students of a set share a stage: $name" test "$(ls -d "$a"/stages/theorem1_${name}_* | wc -l)" = 3
done
value() { measured "$a" theorem1_cgankd "$1"; }
check "the first term is 4 C_L R0 / sqrt(n)" holds '(t - 4 * c * r / sqrt(240)) ^ 2 < 1e-8 * t * t' t "$(value complexity_term)" c "$(value loss_bound)" \
  r "$(measured "$a" theorem1_rademacher_m2 rademacher_root)"
check "the right side has it" holds '(s - a - b - c) ^ 2 < 1e-8 * s * s' s "$(value right_side)" a "$(value complexity_term)" b "$(value sample_term)" c "$(value gap_term)"
check "a distance is between 0 and 1" holds 'd >= 0 && d <= 1 && e > 0' d "$(value tv_ratio)" e "$(value tv_ratio_error)"
check "its cost is 4 C_L (1 - theta) times it" holds '(g - 2 * c * d) ^ 2 <= 1e-8 * g * g' g "$(value gap_term_ratio)" c "$(value loss_bound)" d "$(value tv_ratio)"
check "report of all terms" "$limbeck" report "$a"
check "has their columns" grep -Eq '^\| student .* complexity \|.* TV by ratio \|.* gap by ratio \|' "$a/report.md"

terms=("${run[@]}" "${signs[@]}" --set theorem1.ratio=true --replace)
cp -r "$a" "$work/fewer"; cp -r "$a" "$work/taught"
check "half as many fakes" "${terms[@]}" --out "$work/fewer" --set transfer.fakes=60
check "report of both runs" "$limbeck" report "$a" "$work/fewer" --out "$work/fakes.html"
check "what more fakes change" grep -Eq '^\| cGAN-KD \(resnet8\) +\| 60 to 120 ' "$work/fakes.md"
check "in words" grep -Eq 'cGAN-KD .resnet8., from 60 to 120 fakes: complexity (falls|rises) by .*; the right side (falls|rises) by ' "$work/fakes.md"
check "as curves" grep -q 'cGAN-KD (resnet8) and others: terms over the number of fakes' "$work/fakes.html"
check "another teacher" "${terms[@]}" --out "$work/taught" --set teacher.epochs=1 --set 'teacher.milestones=[]'
check "report of both teachers" "$limbeck" report "$a" "$work/taught" --out "$work/teachers.html"
check "is a table without a line" grep -Eq '^\| cGAN-KD \(resnet8\) +\| by ratio +\| +2 \| +- \|' "$work/teachers.md"
check "which it says" grep -q 'No line is put through fewer than 5 teachers' "$work/teachers.md"
check "a single run has neither" test "$(grep -c 'more fakes change\|over the teacher' "$a/report.md")" = 0
check "what they will cost" "${run[@]}" --out "$work/cost" "${signs[@]}" --set theorem1.ratio=true --dry-run
check_output "is known before" '^theorem1_rademacher_m2 ' '^theorem1_ratio_m2 '

check_error "no size that exists" 'theorem1.rademacher.sizes: expected one of at most 240, the real and fake images, found 500 as the least' \
  "${run[@]}" --out "$work/unused" "${signs[@]}" --set 'theorem1.rademacher.sizes=[500]'
check_error "no draws" 'theorem1.rademacher.draws: expected .*, found 0' "${run[@]}" --out "$work/unused" "${signs[@]}" --set theorem1.rademacher.draws=0
check_error "signs without the other terms" 'theorem1.rademacher.measure: needs theorem1.measure = true' \
  "$limbeck" run configs/tiny.toml --out "$work/unused" "${signs[@]}"
check_error "a ratio without its features" 'theorem1.ratio: plan.fake_data leaves out the features' \
  "${run[@]}" --out "$work/unused" --set theorem1.ratio=true --set ablation=false --set 'plan.pairs=["resnet14 > resnet8"]' --set "plan.fake_data=\"$a/stages/fakes/fake_data.safetensors\""

check "a tiny run of responses with the terms" "$limbeck" run configs/tiny-regression.toml --out "$b" --set theorem1.measure=true "${signs[@]}" --set theorem1.ratio=true
check "a stage for it" test -s "$b/stages/theorem1_cgankd/done.json"
bound=$(measured "$b" theorem1_cgankd loss_bound)
check "squared errors have a bound" test -n "$bound" -a "$bound" = "$(measured "$b" theorem1_cgankd largest_loss)"
check "all terms of responses" holds 't > 0 && d >= 0 && d <= 1' t "$(measured "$b" theorem1_cgankd complexity_term)" d "$(measured "$b" theorem1_cgankd tv_ratio)"
check "report of it" "$limbeck" report "$b"
check "has the table" grep -q 'Theorem 1' "$b/report.md"
finish
