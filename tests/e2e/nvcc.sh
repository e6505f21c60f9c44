#!/usr/bin/env bash
# The program that nvcc built (make CUDA=1): on a machine with a GPU it trains there, on one without it says so.
source "$(dirname "$0")/lib.sh"
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
finish
