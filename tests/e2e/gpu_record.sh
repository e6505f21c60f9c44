#!/usr/bin/env bash
# The results file of CUDA kernels: `limbeck ops check --device cuda --record`, `limbeck ops support`. Through the SIMT shim.
source "$(dirname "$0")/lib.sh"
check "the program for the CPU lists its operators" "$limbeck" ops support -o relu
if grep -q "On a GPU" "$work/out"; then bad "and says nothing about GPUs" "$(cat "$work/out")"; else ok "and says nothing about GPUs"; fi
check_error "--record is for a GPU" "--record: keeps results of a GPU" "$limbeck" ops check -o relu --record "$work/gpu.txt"

simulated=$(dirname "$limbeck")/sim/sanitized_limbeck
[[ -x $simulated ]] || simulated=$(dirname "$limbeck")/sim/limbeck
if [[ ! -x $simulated ]]; then
  skip "results of kernels" "no $simulated (make CUDA=sim)"
  finish
fi
file=$work/gpu.txt
record=("$simulated" ops check --device cuda --record "$file" --record-simulated)
support() { "$simulated" ops support --record "$file" "$@"; }

check_error "the shim does not pass for a GPU" "SIMT shim on the CPU .* is simulated, no GPU" "$simulated" ops check -o relu --device cuda --record "$file"
check_absent "and leaves no file" "$file"
check "unless it is asked to" "${record[@]}" -o relu
check "then it says so in the file" grep -Eq '^relu cuda-naive f32 passed-simulated 20[0-9-]+ [0-9a-f]+(-dirty)? [0-9a-f]{16}\+[0-9a-f]{16} SIMT shim on the CPU' "$file"
check "support reads it" support -o relu -o exp
check_output "and does not take it for a GPU" "^relu +cuda-naive +f32 +never run on a GPU \(passed on SIMT shim" "^exp +cuda-naive +f32 +never run on a GPU$" \
  "^0 kernels passed on a GPU, 0 failed, 0 changed since they ran, [0-9]+ never ran"

# As a GPU would have left it.
sed -i 's/ passed-simulated / passed /; s/SIMT shim on the CPU.*/NVIDIA H100/' "$file"
check "other operators join it" "${record[@]}" -o permute
check "the file stays sorted" sh -c "grep -v '^#' '$file' | LC_ALL=C sort -c"
check "support" support -o relu
check_output "shows what passed" "^relu +cuda-naive +f32 +passed on NVIDIA H100 at [0-9a-f]+(-dirty)?, 20" "^[1-9][0-9]* kernels passed on a GPU, 0 failed, 0 changed"
sed -i -E 's/^(relu cuda-naive f64 passed [^ ]+ [^ ]+ )[0-9a-f]{4}/\10000/' "$file"
check "after a change" support -o relu
check_output "shows what changed" "^relu +cuda-naive +f32 +passed on" "^relu +cuda-naive +f64 +changed since \(ops_cuda/unary\.cu" "^[1-9][0-9]* kernels passed on a GPU, 0 failed, 1 changed"
check "as JSON" support -o relu --json
check_output "too" '"cuda-naive f64": "changed since'

echo "relu cuda-naive f32" >> "$file"
cp "$file" "$work/broken"
check_error "a broken file is named with its line" "gpu\.txt, line [0-9]+: expected 'operator kernel type" support
check_error "before any check" "gpu\.txt, line [0-9]+" "${record[@]}" -o relu
check "and stays as it was" cmp "$file" "$work/broken"
file=$work/none/gpu.txt
check_error "a place that cannot be written" "none/gpu\.txt: cannot create" "$simulated" ops check -o relu --device cuda --record "$file" --record-simulated
finish
