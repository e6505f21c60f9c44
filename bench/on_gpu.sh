#!/usr/bin/env bash
# What there is to know about Limbeck on a machine with a GPU, the most important first, in steps of under ten minutes, each one command:
#   bench/on_gpu.sh STEP OUT       STEP: first | suite | ops | networks | gan | pytorch | sanitize | science
# A step is made of parts, a part of measurements. What is measured lies at once in runs/gpu/ and is not measured again: the same command goes on
# where it was cut off, at whatever second. OUT gets, every 20 seconds and at the end: gpu.txt (results of kernels), report.md (tables) and
# gpu.tar.gz (all of runs/gpu). A part that fails does not stop the others. Exit code 0: all parts done and well, 1: some failed, 2: cannot
# start, 3: some are left. docs/cuda.md, "The first hour on a GPU".
#   first     version and device; `ops check` of conv2d, batch_norm, attention, then of the rest; training steps of resnet20 at batch 128 in
#             f32 and bf16; ncu over two of them; the same steps in PyTorch; then `suite` with what time is left
#   suite     PyTorch's fixtures in f32, a small workflow, the kernels' tests, gradients, the fixtures in f64
#   ops       every operator beside the copy rate, cuBLAS and cuDNN; attention beside PyTorch's
#   networks  four classifiers beside PyTorch at three batches, then training steps of every classifier
#   gan       training steps of the GANs, and beside PyTorch
#   pytorch   all that `first`, `networks` and `gan` compare with PyTorch, and with its compiler
#   sanitize  compute-sanitizer: memcheck, racecheck, synccheck, initcheck over as many operators as the time allows
#   science   a CIFAR-10 GAN at full width for eight minutes; its generator goes to OUT in parts of at most 15 MiB. DATA=its folder
# Environment: LIMBECK and LIMBECK_TESTS, the programs (else those of build/gpu-bundle.tar.gz or build/cuda/); CHECKOUT, a checkout of
# UBCDingXin/cGAN-KD (else the bundle's); PYTHON, with PyTorch; BUDGET, seconds of a step; KEEP=1, go on with results of other programs;
# FIRST_OPERATORS, OPERATORS, TESTS, FIXTURES, MODEL, MODELS, STEP_MODELS, GANS, BATCHES: what is measured.
set -u
step=${1:-}
case $step in
  first | suite | ops | networks | gan | pytorch | sanitize | science) ;;
  *) sed -n '2,/^set -u/{/^#/s/^# \{0,1\}//p}' "$0" >&2; exit 2 ;;
esac
die() { echo "on_gpu.sh: $1" >&2; exit 2; }
[[ -n ${2:-} ]] || die "expected a folder after '$step'"
mkdir -p "$2" || die "cannot make the folder '$2'"
out=$(realpath "$2")
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2
work=runs/gpu
mkdir -p "$work/parts" || die "cannot make the folder '$work'"
deadline=$((SECONDS + ${BUDGET:-570}))
cores=$(nproc)
export OMP_WAIT_POLICY=passive

for file in bench/gpu/*.sh; do
  # shellcheck source=/dev/null
  source "$file"
done

suite() {
  part parity-f32 90 parity f32
  part workflow 90 workflow
  part tests 400 kernel_tests
  part grad 120 gradients
  part parity-f64 120 parity f64
}
first() {
  part about 30 about
  part check-first 120 check "${FIRST_OPERATORS:-conv2d batch_norm attention}"
  part check 150 check "$(operators)"
  part train-first 100 train "$model" "f32 bf16" "own tuned"
  part kernel-times 120 kernel_times f32 bf16
  pytorch_first
  suite
}
ops() {
  local precision
  for precision in f32 tf32 bf16; do part "ops-products-$precision" 150 bench_products "$precision"; done
  part ops-attention 130 operator_beside_pytorch attention
  part ops-convolution 180 operator_beside_pytorch convolution
  part ops-all 400 bench_operators
}
networks() {
  local precision kernels
  pytorch_classifiers
  for kernels in own tuned; do
    for precision in f32 bf16 tf32; do part "networks-$kernels-$precision" 200 train "$every_classifier" "$precision" "$kernels"; done
  done
}
gan() {
  part gan-steps 240 train "$gans" "f32 bf16 tf32" "own tuned"
  pytorch_gans
}
pytorch() {
  pytorch_first
  pytorch_classifiers
  pytorch_gans
  pytorch_compiled
}
sanitize() {
  local tool
  for tool in memcheck racecheck synccheck initcheck; do part "$tool" 140 sanitize_with "$tool"; done
}
science() {
  part science 560 full_width_gan
  bring_generator
}

start
"$step"
finish
