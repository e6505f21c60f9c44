#!/usr/bin/env bash
# Which kernels serve: `--kernels own|tuned`, and `ops bench` on the device cuda, ours beside the libraries'. Through the SIMT shim, with the
# stand-ins of cuBLAS and cuDNN (tests/ops_cuda/fake/) that the build of the CUDA tests leaves beside it.
source "$(dirname "$0")/lib.sh"

for command in "ops bench -o relu" "bench train" "run configs/tiny.toml --out $work/none"; do
  # shellcheck disable=SC2086
  check_error "the CPU has nothing to tune: ${command%% --out*}" "--kernels tuned: the device cpu has one kernel" "$limbeck" $command --kernels tuned
  # shellcheck disable=SC2086
  check_error "unknown kernels are refused: ${command%% --out*}" "--kernels: expected own or tuned, found 'fast'" "$limbeck" $command --kernels fast
done
check_absent "nothing was begun" "$work/none"
check "own on the CPU changes nothing" "$limbeck" ops bench -o relu --kernels own --seconds 0.001 --shape x=4x8

folder=$(dirname "$limbeck")/sim
if [[ -x $folder/sanitized_limbeck ]]; then simulated=$folder/sanitized_limbeck suffix=.sanitized.so
else simulated=$folder/limbeck suffix=.so; fi
blas=$folder/fake_cublas$suffix dnn=$folder/fake_cudnn$suffix
if [[ ! -x $simulated || ! -f $blas || ! -f $dnn ]]; then
  skip "kernels on the device cuda" "no $simulated with its stand-ins (make CUDA=sim test)"
  finish
fi
bench() {
  "$simulated" ops bench --device cuda -o matmul --seconds 0.001 --shape a=4x8 --shape b=8x4 --attrs '{"transpose_a": false, "transpose_b": false}' "$@"
}
ours=("^matmul +cuda +forward" "^matmul +cuda +backward" "^matmul +cuda-naive +forward")
theirs=("^matmul +cublas +forward" "^matmul +cublas +backward")
# no_output NAME PATTERN: the last command printed no such line.
no_output() { if grep -Eq "$2" "$work/out"; then bad "$1" "found '$2' in: $(head -c 500 "$work/out" | tr '\n' ' ')"; else ok "$1"; fi; }

export LIMBECK_CUBLAS=$blas LIMBECK_CUDNN=$dnn
check "ops bench on the device" bench
check_output "shows ours beside theirs" "${ours[@]}" "${theirs[@]}" "^cublas: cuBLAS 13\.1\.7 \($blas\)"
check "with own kernels only" bench --kernels own
check_output "shows ours, and why nothing else" "${ours[@]}" "^cublas: cuBLAS is forbidden by --kernels own"
no_output "and not theirs" "^matmul +cublas"
check_error "own forbids naming theirs, too" "matmul: kernel cublas: cuBLAS is forbidden by --kernels own" bench --kernels own --kernel cublas
check "tuned kernels" bench --kernels tuned
check_output "show what was chosen" "${ours[@]}" "${theirs[@]}" "^matmul +tuned +forward" "^chosen kernel" \
  "(cublas|cuda.*) .*matmul forward \[4, 8\] \[8, 4\]" "matmul gradient of a \[4, 8\] \[8, 4\]" "matmul gradient of b \[4, 8\] \[8, 4\]"
check "tuned kernels as JSON" bench --kernels tuned --json
check_output "have their choices there" '"kernel_choices"' '"rule_seconds"' '"libraries"'

# A whole step, which measures at first, is then recorded, and replayed.
train() { "$simulated" bench train --device cuda --model resnet8 --batch 2 --size 8 --steps 1 --only train "$@"; }
check "training with own kernels" train --kernels own
no_output "chooses nothing" "^chosen kernel"
check "training with tuned kernels" train --kernels tuned
check_output "chooses for every direction" "^chosen kernel" "conv2d forward" "conv2d gradient of x" "conv2d gradient of w" "linear gradient of w" "^(cudnn|cublas) "

# What cuDNN does not support is skipped, case by case: windows of height 5 here. Every other case is still its own.
unsupported() { LIMBECK_STAND_IN_UNSUPPORTED_WINDOW=5 "$simulated" ops "$@" -o conv2d --device cuda --kernel cudnn; }
check "a convolution that cuDNN does not support" unsupported check -v
check_output "is skipped, and others are not" "^ok +conv2d +cudnn \(cuda f32\) +[0-9]+ ok, 0 failed, [1-9][0-9]* skipped" \
  "skipped .*w f\[3, 5, 5, 2\]" "ok .*w f\[4, 3, 3, 3\]"
check "such sizes are not timed" unsupported bench --seconds 0.001 --shape x=1x6x6x2 --shape w=2x5x5x2 --attrs '{"padding": 2}'
no_output "and have no row" "^conv2d +cudnn"
check "others are" unsupported bench --seconds 0.001 --shape x=1x6x6x2 --shape w=2x3x3x2 --attrs '{"padding": 1}'
check_output "and have rows" "^conv2d +cudnn +forward" "^conv2d +cudnn +backward"
# A kernel that fails on one case, which the checks before do not have: the others are still timed.
LIMBECK_STAND_IN_FAILING_WINDOW=6 "$simulated" ops bench -o conv2d --device cuda --seconds 0.001 --shape x=1x7x7x2 --shape w=2x6x6x2 --attrs '{"padding": 2}' > "$work/out" 2> "$work/err"
if (($? == 1)) && grep -q "^FAILED conv2d cudnn is not timed on x f\[1, 7, 7, 2\].*cudnnConvolutionForward: CUDNN_STATUS_EXECUTION_FAILED" "$work/err"; then ok "a kernel that fails on a case is named"
else bad "a kernel that fails on a case is named" "found: $(tail -n 3 "$work/err")"; fi
check_output "and the others are timed" "^conv2d +cuda +forward" "^conv2d +cuda-naive +backward"
no_output "but not that one" "^conv2d +cudnn"

# A library that is not there, not the right one, too old, or made for a GPU.
check "an old library is passed over" env LIMBECK_STAND_IN_VERSION=11 "$simulated" ops support -o matmul
check_output "and said to be too old" "^cublas: cuBLAS 11\.1\.7 \($blas\) is too old: version 12 or newer serves"
check_error "and an error when named" "too old" env LIMBECK_STAND_IN_VERSION=11 "$simulated" ops check -o matmul --device cuda --kernel cublas
check "an old cuDNN" env LIMBECK_STAND_IN_VERSION=7605 "$simulated" ops support -o conv2d
check_output "is too old" "^cudnn: cuDNN 7\.6\.5 \($dnn\) is too old: version 8 or newer serves"
check "another library under its name" env LIMBECK_CUBLAS="$dnn" "$simulated" ops support -o matmul
check_output "is recognised" "^cublas: $dnn has no function cublasGetProperty"
check "a library that is no stand-in" env LIMBECK_CUBLAS=libz.so.1 "$simulated" ops support -o matmul
check_output "is not used by the shim" "^cublas: cuBLAS: libz\.so\.1 needs a GPU"
check_error "a file that is not there" "environment variable LIMBECK_CUBLAS: cannot open $work/none\.so" env LIMBECK_CUBLAS="$work/none.so" "$simulated" ops support -o matmul
check_error "before any work of a run" "LIMBECK_CUBLAS: cannot open" env LIMBECK_CUBLAS="$work/none.so" "$simulated" run configs/tiny.toml --out "$work/none" --device cuda --kernels tuned
check_absent "which leaves nothing" "$work/none"
check "but own kernels do not even open it" env LIMBECK_CUBLAS="$work/none.so" "$simulated" ops bench --device cuda --kernels own -o linear --seconds 0.001 --shape x=4x8 --shape w=5x8 --shape b=5
finish
