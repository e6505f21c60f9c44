#!/usr/bin/env bash
# [plan]: pairs x methods x {alone, with fakes, equal steps} x seeds in one command, by several processes that are killed, and its table.
source "$(dirname "$0")/lib.sh"
config=configs/tiny_plan.toml
one=$work/one

check "a plan by one process" "$limbeck" run $config --out "$one" --quiet
count() { ls "$one/stages" | grep -cE "$1"; }
check "one teacher for a pair" test "$(count '^teacher\.')" = 2
check "one GAN, one ratio, one set of fakes of each kind" test "$(count '^(gan|ratio|fakes|fakes_m1|fakes_raw)$')" = 5
check "every student" test "$(count '\.s[123]$')" = 54

"$limbeck" run $config --out "$work/three" --jobs 3 --checkpoint-seconds 0.1 > "$work/log" 2>&1 &
pid=$!
for ((i = 0; i < 3; ++i)); do
  sleep "$((RANDOM % 3)).$((RANDOM % 10))"
  worker=$(pgrep -P $pid | head -n 1)
  [[ -n $worker ]] && kill -9 "$worker"
done
wait $pid 2> /dev/null
check "killed three times and continued" "$limbeck" run $config --out "$work/three" --jobs 2
check_same "the plan ends with the same bits" "$one" "$work/three"

check "one seed of one method, and what it needs" "$limbeck" run $config --out "$work/part" --only method=fitnet,seed=2,fakes=none --quiet
check "no other student" test "$(ls "$work/part/stages" | grep -c '\.s')" = 2
check_error "a method that is not there" "did you mean 'fitnet'" "$limbeck" run $config --out "$work/part" --only method=fitnt

check "its report" "$limbeck" report "$one"
check_output "methods x pairs" '^method +resnet14 > resnet8 +wrn_16_2 > wrn_16_1 +n$' '^cGAN-KD \+ FitNet +[0-9.]+ ± [0-9.]+.* 3$' \
  '^cGAN-KD \+ BLKD +BLKD, equal steps +[-+][0-9.]+ ± [0-9.]+ .* paired, n 3$'
check "in Markdown with best marks" grep -Eq '\*\*[0-9.]+ ± [0-9.]+\*\*' "$one/report.md"
check "in LaTeX" grep -Eq 'FitNet, equal steps.*\\textbf|\\textbf.*pm' "$one/report.tex"
check "in CSV by stage" grep -q '^.*fitnet,m2' "$one/report.csv"
check "and in HTML" grep -q 'cGAN-KD + FitNet' "$one/report.html"
check_error "pairs that a method cannot serve" "densenet121 > resnet8: fitnet: .*; efficientnetb0 > resnet8: fitnet" "$limbeck" run $config --out "$work/none" \
  --set 'plan.pairs=["densenet121 > resnet8", "efficientnetb0 > resnet8", "resnet14 > resnet8"]'
check_absent "are refused before anything runs" "$work/none"
finish
