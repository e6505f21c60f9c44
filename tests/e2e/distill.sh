#!/usr/bin/env bash
# limbeck distill: a saved teacher teaches a student by methods with and without stages before; resumes; refuses what does not fit.
source "$(dirname "$0")/lib.sh"
sets=(--data shapes --set data.image_size=32 --set data.shapes.train=120 --set data.shapes.test=100 --set student.epochs=1
  --set student.batch=32 --set transfer.epochs=1 --set transfer.batch=32 --set methods.sskd.head_epochs=1)
check "a run with a teacher and fakes" "$limbeck" run configs/tiny.toml --out "$work/run" --stop-after fakes --quiet
teacher=$work/run/stages/teacher/model.safetensors
fakes=$work/run/stages/fakes/fake_data.safetensors
check "SimKD by the saved teacher" "$limbeck" distill --method simkd --teacher "$teacher" --student resnet8 --out "$work/simkd" "${sets[@]}" --quiet
student=$work/simkd/stages/simkd.resnet14-resnet8.s0
check "what it saved is evaluated" "$limbeck" eval --ckpt "$student/model.safetensors" --shapes-train 120 --shapes-test 100 --json
found=$(grep -o '"accuracy":[0-9.]*' "$work/out" | cut -d: -f2)
told=$(grep -o '"test_accuracy": *{[^}]*' "$student/result.json" | grep -o '"value": *[0-9.]*' | grep -o '[0-9.]*$')
[ -z "$told" ] && told=$(grep -o '"test_accuracy": *[0-9.]*' "$student/result.json" | grep -o '[0-9.]*$')
if [ -n "$told" ] && awk "BEGIN { exit !($found - $told < 1e-9 && $told - $found < 1e-9) }"; then ok "to the accuracy that the stage reports"
else bad "to the accuracy that the stage reports" "eval says '$found', the stage '$told'"; fi
check "the cost of SSKD with fakes is found before" "$limbeck" distill --method sskd --teacher "$teacher" --student resnet8 --fake "$fakes" \
  --out "$work/unused" "${sets[@]}" --dry-run --threads 1
check_output "for every stage that is left" '^stage +state +what' '^cgankd_sskd[^ ]* +to do' '^cgankd_sskd.resnet14-resnet8 +[0-9]+ +[0-9.e-]+ ' '^sum of 5, '
check "or not" "$limbeck" distill --method sskd --teacher "$teacher" --student resnet8 --fake "$fakes" --out "$work/unused" "${sets[@]}" --dry-run --no-measure
check "and that of storing logits" "$limbeck" logits --teacher "$teacher" --out "$work/unused" "${sets[@]}" --set logits.views=2 --dry-run --threads 1
check_output "too" '^cost of one'
check_absent "a dry run leaves nothing" "$work/unused"
check "SSKD with fakes" "$limbeck" distill --method sskd --teacher "$teacher" --student resnet8 --fake "$fakes" --out "$work/sskd" "${sets[@]}" --quiet
check "has a student of real and fake images" test -f "$work/sskd/stages/cgankd_sskd.resnet14-resnet8.s0/model.safetensors"
check "that began with the SSKD student and its head" test -f "$work/sskd/stages/sskd.resnet14-resnet8.s0/auxiliary.safetensors"
check_absent "and not with one that nobody taught" "$work/sskd/stages/nokd.resnet8.s0"
check "the same command finds everything done" "$limbeck" distill --method sskd --teacher "$teacher" --student resnet8 --fake "$fakes" --out "$work/sskd" "${sets[@]}"
check "settings of a plan's file" "$limbeck" distill --method blkd --teacher "$teacher" --student resnet8 --out "$work/plan" --config configs/tiny_plan.toml \
  --quiet
check "without its students" test "$(ls "$work/plan/stages")" = "$(printf 'blkd.resnet14-resnet8.s1\nteacher.resnet14')"
check_error "a teacher of other images is refused" "expected 10 outputs" "$limbeck" distill --method blkd --teacher "$teacher" --student resnet8 \
  --out "$work/no" "${sets[@]}" --set data.image_size=28
check_error "a pair without a published assistant is refused" "no assistant is published" "$limbeck" distill --method takd --teacher "$teacher" \
  --student resnet8 --out "$work/no" "${sets[@]}"
finish
