#!/usr/bin/env bash
# nvcc's build (make CUDA=1). Where nvcc is: architectures are understood. Where its program is built: on a machine with a GPU it trains there, on one
# without it says so; and the machine code of the products costs what docs/cuda-instructions.txt says.
source "$(dirname "$0")/lib.sh"
unset MAKEFLAGS MAKEOVERRIDES MFLAGS
nvcc=$(command -v nvcc || ls /usr/local/cuda/bin/nvcc 2> /dev/null)
[[ -n $nvcc ]] && PATH=$PATH:$(dirname "$(realpath "$nvcc")")

# compile ARCHS: the command for one kernel file, carried out.
compile() { make V=1 CUDA=1 NVCC="$nvcc" BUILD="$work/build" CUDA_ARCHS="$1" "$work/build/cuda/obj/ops_cuda/dropout.cu.o"; }

release=$([[ -n $nvcc ]] && "$nvcc" --version | sed -n 's/.*release \([0-9]*\).*/\1/p')
if ((${release:-0} >= 12)); then
  check "a kernel is compiled for sm_90a" compile 90a
  check_output "with PTX that later GPUs take" 'arch=compute_90a,code=sm_90a -gencode arch=compute_90,code=compute_90 '
  compile '80 91' > "$work/out" 2>&1 && bad "an unknown architecture is refused" "status 0"
  check_output "an unknown architecture is refused" "CUDA_ARCHS='80 91': .*nvcc knows no architecture '91', but .*90"
else
  skip "architectures" "no nvcc, or one older than CUDA 12"
fi

native=$(dirname "$limbeck")/cuda/limbeck
if [[ ! -x $native ]]; then
  skip "the program built by nvcc" "no $native (make CUDA=1)"
  finish
fi
training=(bench train --model resnet8 --batch 2 --size 8 --steps 1)
check "it computes on the CPU" "$native" "${training[@]}"
if nvidia-smi -L > /dev/null 2>&1; then
  check "it trains on the GPU" "$native" "${training[@]}" --device cuda
else
  check_error "training without a GPU is refused" "no CUDA device was found" "$native" "${training[@]}" --device cuda
  check_error "and so is a workflow" "no CUDA device was found" "$native" run configs/tiny.toml --out "$work/none" --device cuda
  if [[ -x $native"_tests" ]]; then
    if "$native"_tests > "$work/out" 2>&1; then bad "the tests do not pass without a GPU" "status 0"
    else check_output "the tests do not pass without a GPU" "no CUDA device was found"; fi
  fi
fi

# The same nvcc makes the same code of the same sources: a difference is a change of the kernels.
name="instructions for each tensor instruction are those of docs/cuda-instructions.txt"
if ! command -v cuobjdump > /dev/null || ! command -v nvdisasm > /dev/null; then
  skip "$name" "no cuobjdump and nvdisasm"
elif [[ -z $nvcc ]] || ! tools/make/instructions.sh "$nvcc" "$(dirname "$native")" > "$work/now" 2> "$work/err"; then
  bad "$name" "$(cat "$work/err" 2> /dev/null)"
elif [[ $(head -n 1 "$work/now") != "$(head -n 1 docs/cuda-instructions.txt)" ]]; then
  skip "$name" "the file was $(head -n 1 docs/cuda-instructions.txt | sed 's/.* with/written with/')"
else
  archs=$(grep -v '^#' "$work/now" | cut -d ' ' -f 1 | sort -u | paste -s -d '|')
  if grep -E "^($archs) " docs/cuda-instructions.txt | diff - <(grep -v '^#' "$work/now") > "$work/diff"; then ok "$name"
  else bad "$name" "$(grep -c '^[<>]' "$work/diff") lines differ, such as $(grep '^[<>]' "$work/diff" | head -n 2 | tr '\n' ' '); is it meant? Then 'make CUDA=1 instructions', and say why in the commit"; fi
fi
finish
