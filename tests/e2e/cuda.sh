#!/usr/bin/env bash
# The workflow at toy size on the device cuda, through the SIMT shim (under the sanitizers, which 'make test' builds), beside the CPU: the same
# losses within rounding from the same seed.
# Also what a program without the device says, and commands that compute on it.
source "$(dirname "$0")/lib.sh"
check_error "a program without CUDA says how to build it" "--device|CUDA" "$limbeck" run configs/tiny.toml --out "$work/none" --device cuda
check_error "and refuses unknown devices" "unknown device 'gpu'" "$limbeck" run configs/tiny.toml --out "$work/none" --device gpu

check_error "the CPU has one precision" "the CPU computes in f32" "$limbeck" bench train --precision bf16

simulated=$(dirname "$limbeck")/sim/sanitized_limbeck
[[ -x $simulated ]] || simulated=$(dirname "$limbeck")/sim/limbeck
if [[ ! -x $simulated ]]; then
  skip "the workflow on the device cuda" "no $simulated (make CUDA=sim)"
  finish
fi
check "the version of a program for the device" "$simulated" --version
check_output "names it" '^backends: reference, cpu, cuda \(sim\)$'
check_error "a device that the machine lacks" "cuda:7" "$simulated" run configs/tiny.toml --out "$work/none" --device cuda:7

settings=()
for s in data.shapes.train=10 data.shapes.test=4 teacher.model=resnet8 teacher.epochs=1 teacher.batch=10 student.epochs=1 student.batch=10 \
  gan.steps=3 gan.batch=2 gan.g_ch=2 gan.d_ch=2 gan.g_lr=1e-4 gan.d_lr=1e-4 gan.sample_every=0 features.epochs=1 features.net.width=2 ratio.epochs=1 \
  fakes.per_class=1 fakes.filter_burn_in=2 fakes.sampling.burn_in=2 fakes.sampling.batch=2 transfer.epochs=1 transfer.batch=20 ablation=false; do
  settings+=(--set "$s")
done
check "the workflow on the CPU" "$limbeck" run configs/tiny.toml --out "$work/cpu" --quiet "${settings[@]}"
SECONDS=0
check "the workflow on the device cuda" "$simulated" run configs/tiny.toml --out "$work/cuda" --device cuda --quiet "${settings[@]}"
echo "workflow on cuda: $SECONDS s"

# The losses of every line of every stage's metrics, side by side.
losses() { grep -oE '"(d_|g_)?loss":[-+.e0-9]+' "$1" | cut -d: -f2; }
losses_agree() { # STAGE RUN TOLERANCE: beside the CPU
  paste <(losses "$work/cpu/stages/$1/metrics.jsonl") <(losses "$work/$2/stages/$1/metrics.jsonl") |
    awk -v tolerance="$3" 'NF != 2 { exit 1 } { d = $1 - $2; if (d < 0) d = -d; s = $1 < 0 ? -$1 : $1; if (d > tolerance * (1 + s)) exit 1; ++n }
                           END { if (!n) exit 1 }'
}
for stage in teacher nokd blkd gan features ratio cgankd cgankd_blkd; do check "losses of $stage agree" losses_agree $stage cuda 2e-3; done
check "the GAN and the density ratio with activations in bf16" "$simulated" run configs/tiny.toml --out "$work/bf16" --device cuda --precision bf16 --quiet \
  --stop-after ratio "${settings[@]}"
for stage in gan features ratio; do check "losses of $stage in bf16 are near" losses_agree $stage bf16 0.02; done
check "eval on the device" "$simulated" eval --ckpt "$work/cuda/stages/teacher/model.safetensors" --device cuda --kind shapes --shapes-train 10 --shapes-test 4
check "sample on the device" "$simulated" sample --ckpt "$work/cuda/stages/gan/generator.safetensors" --class 1 --n 2 --out "$work/grid.png" --device cuda
for precision in f32 tf32 bf16; do
  check "bench train on the device in $precision" "$simulated" bench train --model resnet8 --batch 2 --size 8 --steps 1 --device cuda --precision $precision
done
check_error "unknown precisions are refused" "known: f32, tf32, bf16" "$simulated" bench train --device cuda --precision fp8
finish
