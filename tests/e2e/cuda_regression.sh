#!/usr/bin/env bash
# The workflow for responses at toy size on the device cuda, through the SIMT shim (under the sanitizers, which 'make test' builds), beside the CPU: every stage,
# the same losses and results within rounding from the same seed.
source "$(dirname "$0")/lib.sh"
simulated=$(dirname "$limbeck")/sim/sanitized_limbeck
[[ -x $simulated ]] || simulated=$(dirname "$limbeck")/sim/limbeck
[[ -x $simulated ]] || { skip "the workflow for responses on the device cuda" "no $simulated (make CUDA=sim)"; finish; }

settings=(--quiet)
for s in ablation=false data.chairs.train=4 data.chairs.test=2 teacher.model=resnet8 teacher.epochs=1 teacher.batch=4 student.epochs=1 student.batch=4 \
  embedding.batch=4 label_embedding.epochs=2 label_embedding.batch=3 label_embedding.milestones=[1] gan.steps=2 gan.batch=2 gan.d_steps=1 gan.health_every=1 \
  gan.sample_every=0 autoencoder.epochs=1 autoencoder.batch=4 autoencoder.width=2 autoencoder.feature=16 ratio.epochs=1 ratio.batch=4 fakes.per_class=2 \
  fakes.sampling.burn_in=2 fakes.sampling.batch=2 fake_responses.count=3 transfer.epochs=1 transfer.batch=8 response_evaluation.centres=2 response_evaluation.radius=40; do
  settings+=(--set "$s")
done
check "every stage on the CPU" "$limbeck" run configs/tiny-regression.toml --out "$work/cpu" "${settings[@]}"
SECONDS=0
check "every stage on the device cuda" "$simulated" run configs/tiny-regression.toml --out "$work/cuda" --device cuda "${settings[@]}"
echo "workflow for responses on cuda: $SECONDS s"
check "the stages are the same" diff <(ls "$work/cpu/stages") <(ls "$work/cuda/stages")

# agree A B TOLERANCE: two lists of numbers, each within tolerance (1 + |a|).
agree() {
  paste <(printf '%s\n' "$1") <(printf '%s\n' "$2") |
    awk -v tolerance="$3" 'NF != 2 { exit 1 } { d = $1 - $2; if (d < 0) d = -d; s = $1 < 0 ? -$1 : $1; if (d > tolerance * (1 + s)) exit 1; ++n } END { if (!n) exit 1 }'
}
losses() { grep -oE '"(d_|g_)?loss":[-+.e0-9]+' "$work/$1/stages/$2/metrics.jsonl" | cut -d: -f2; }
for stage in teacher nokd fitnet embedding label_embedding gan autoencoder ratio cgankd cgankd_fitnet; do
  check "losses of $stage agree" agree "$(losses cpu $stage)" "$(losses cuda $stage)" 2e-3
done
values() { grep -oE '"[a-z_0-9]+": \{"value": [-+.e0-9]+' "$work/$1/stages/$2/result.json" | sed 's/.*: //'; }
for stage in fakes_raw fakes_m1 fakes evaluate; do
  check "results of $stage agree" agree "$(values cpu $stage)" "$(values cuda $stage)" 1e-2
done
student=$work/cuda/stages/cgankd/model.safetensors
check "eval on the device" "$simulated" eval --ckpt "$student" --device cuda --kind chairs --chairs-train 4 --chairs-test 2
check_output "in the unit" 'mean absolute error [0-9.]+ degrees on 2 test images'
check "a sweep on the device" "$simulated" sample --ckpt "$work/cuda/stages/gan/generator.safetensors" --label-range 20:60:40 --n 1 --out "$work/sweep.png" --device cuda
finish
