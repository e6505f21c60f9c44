#!/usr/bin/env bash
# AdamW, a cosine with warm-up and smoothed labels by settings: killed and continued, the bits of an undisturbed run.
source "$(dirname "$0")/lib.sh"
settings=()
for setting in optimizer=adamw lr=0.003 weight_decay=0.05 schedule=cosine warmup=1.5 final_lr=1e-5 label_smoothing=0.1 epochs=8; do
  settings+=(--set "student.$setting")
done
command=("$limbeck" run configs/tiny.toml --stop-after nokd --threads 1 --checkpoint-seconds 0.01 "${settings[@]}")

timed seconds check "a run with other optimisation" "${command[@]}" --out "$work/undisturbed"
kill_and_continue "another" "$seconds" "${command[@]}" --out "$work/killed"
check_same "to the same bits" "$work/undisturbed" "$work/killed"
rates=$(grep -o '"lr":[^,}]*' "$work/undisturbed/stages/nokd/metrics.jsonl" | cut -d: -f2 | tr '\n' ' ')
check "the rate rises and falls" awk -v rates="$rates" 'BEGIN { n = split(rates, r, " "); exit !(n == 8 && r[1] < r[2] && r[2] > r[3] && r[7] > r[8] && r[8] < 0.001) }'
check_error "an unknown optimiser is refused" "student.optimizer: expected sgd, adam or adamw, found 'lamb'" "${command[@]}" --out "$work/refused" --set student.optimizer=lamb
check_error "so are smoothed responses" "label_smoothing: there are no classes" "$limbeck" run configs/tiny-regression.toml --out "$work/refused" --dry-run --no-measure --set student.label_smoothing=0.1
finish
