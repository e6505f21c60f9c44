#!/usr/bin/env bash
# The options of the GAN of responses at toy size: naive labels through the whole workflow, adaptive vicinities with auxiliary regression and
# negatives; kill -9 and continue with the same bits; images without the data; settings that cannot be followed are refused before any work.
source "$(dirname "$0")/lib.sh"
config=configs/tiny-regression.toml
small=(--set data.chairs.train=60 --set data.chairs.test=30 --set teacher.epochs=1 --set student.epochs=1 --set transfer.epochs=1 --set fake_responses.count=4)
naive=(--set gan.arch=sngan-nli --set gan.loss=vanilla --set gan.vicinity.clip_targets=true)
avar=(--set gan.arch=sngan --set gan.vicinity.type=hybrid --set gan.vicinity.min_images=5 --set gan.regression.d_weight=1 --set gan.regression.g_weight=1)
negatives=(--set gan.arch=sngan --set gan.negatives.mismatched=0.1 --set gan.negatives.poor=0.2 --set gan.negatives.poor_from=40 --set gan.negatives.start=3)

# killed NAME LAST SETTINGS...: an undisturbed run up to a stage beside one that is killed on its way.
killed() {
  local name=$1 last=$2 seconds command; shift 2
  command=("$limbeck" run "$config" --threads 1 --stop-after "$last" --quiet "${small[@]}" "$@")
  timed seconds check "$name: a run" "${command[@]}" --out "$work/$name"
  kill_and_continue "$name" "$seconds" "${command[@]}" --out "$work/$name-killed" --checkpoint-seconds 0.02
  check_same "$name: has the same bits" "$work/$name" "$work/$name-killed"
}

killed naive cgankd "${naive[@]}"
generator=$work/naive/stages/gan/generator.safetensors
check "naive: images of a response, without the data" "$limbeck" sample --ckpt "$generator" --label 55 --n 4 --out "$work/55.png"
check "naive: a sweep" "$limbeck" sample --ckpt "$generator" --label-range 20:60:20 --n 2 --out "$work/sweep.png"
check_error "naive: a response outside of the scale" '--label: expected 0\.\.90' "$limbeck" sample --ckpt "$generator" --label 120 --out "$work/no.png"
killed avar gan "${avar[@]}"
killed negatives gan "${negatives[@]}"

refused() { local name=$1 pattern=$2; shift 2; check_error "$name" "$pattern" "$limbeck" run "$config" --out "$work/broken" "${small[@]}" "$@"; }
refused "more images than there are" 'gan.vicinity.min_images: expected 0 to 60 .*found 61' --set gan.vicinity.min_images=61
refused "hybrid needs images" 'gan.vicinity.type: hybrid .*min_images above 0, found 0' --set gan.vicinity.type=hybrid
refused "a head that does not learn" 'gan.regression.g_weight: .*d_weight above 0, found 0' --set gan.regression.g_weight=1
refused "negatives that leave nothing" 'gan.negatives: expected mismatched . poor below 1' --set gan.negatives.mismatched=0.6 --set gan.negatives.poor=0.5 --set gan.negatives.start=1
refused "poor fakes of no generator" 'gan.negatives.start: poor fakes' --set gan.negatives.poor=0.2
refused "negatives behind the end" 'gan.negatives.start: expected 0 to below gan.steps = 6, found 6' --set gan.negatives.mismatched=0.2 --set gan.negatives.start=6
refused "the narrow net at 32 pixels" 'sngan-nli-narrow makes images of 64 pixels .data.image_size., found 32' --set gan.arch=sngan-nli-narrow
refused "a network of classes" 'gan.arch: biggan .*sagan, sngan, sngan-nli, sngan-nli-narrow' --set gan.arch=biggan
check_absent "nothing was begun" "$work/broken/stages"
check_error "responses alone are regressed" 'gan.regression.d_weight: biggan' "$limbeck" run configs/tiny.toml --out "$work/broken" --set gan.regression.d_weight=1
finish
