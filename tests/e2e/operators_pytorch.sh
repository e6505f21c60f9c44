#!/usr/bin/env bash
# bench/attention_pytorch.py and bench/convolution_pytorch.py: Limbeck's side through the SIMT shim, PyTorch's on its CPU where a Python with torch exists
# (LIMBECK_PYTHON names one). How fast either is does not matter here.
source "$(dirname "$0")/lib.sh"
python=${LIMBECK_PYTHON:-python3}
command -v "$python" > /dev/null || { skip "operators beside PyTorch" "no $python"; finish; }
folder=$(dirname "$limbeck")/sim
if [[ -x $folder/sanitized_limbeck ]]; then simulated=$folder/sanitized_limbeck suffix=.sanitized.so
else simulated=$folder/limbeck suffix=.so; fi
[[ -x $simulated && -f $folder/fake_cudnn$suffix ]] || { skip "operators beside PyTorch" "no $simulated with its stand-ins (make CUDA=sim test)"; finish; }
export LIMBECK_CUDNN=$folder/fake_cudnn$suffix PYTHONDONTWRITEBYTECODE=1

number='[0-9.]+ \|'
for script in attention convolution; do
  columns=$number
  [[ $script == convolution ]] && columns="$number $number"
  "$python" "bench/${script}_pytorch.py" --limbeck "$simulated" --tiny --torch-device cpu --seconds 0.001 > "$work/out" 2> "$work/err"; status=$?
  rows=$(grep -cE "\| (f32|tf32|bf16) \| (forward|backward) \| $number" "$work/out")
  if ((rows == 6)); then ok "$script: Limbeck's side has six rows"
  else bad "$script: Limbeck's side has six rows" "found $rows in: $(head -c 800 "$work/out"); $(tail -n 3 "$work/err")"; fi
  check_output "$script: both directions" "\| f32 \| forward \| $columns" "\| bf16 \| backward \| $columns"
  if ! "$python" -c 'import torch' 2> /dev/null; then
    skip "$script: PyTorch's side" "no torch in $python (LIMBECK_PYTHON)"
    if ((status == 1)) && grep -q "^PyTorch, .*ModuleNotFoundError" "$work/err"; then ok "$script: a side that is missing is named"
    else bad "$script: a side that is missing is named" "status $status, found: $(tail -n 3 "$work/err")"; fi
    continue
  fi
  if ((status == 0)); then ok "$script: ends well"; else bad "$script: ends well" "status $status: $(tail -n 3 "$work/err")"; fi
  check_output "$script: both sides, and their ratio" "\| f32 \| forward \| $columns $number [0-9.]+ \|" "\| bf16 \| backward \| $columns $number [0-9.]+ \|"
done

# The shapes to compare are those of `ops bench`, of a GPU's size, too.
check "the cases to time" "$simulated" ops support -o conv2d --json
check_output "are printed for scripts" '"bench_cases": \['
"$python" - "$work/out" <<'END' && ok "with shapes and attributes" || bad "with shapes and attributes" "see above"
import json
import sys

cases = json.load(open(sys.argv[1]))["conv2d"]["bench_cases"]
wanted = {"inputs": {"x": [256, 8, 8, 256], "w": [256, 3, 3, 256]}, "attrs": {"padding": 1}}
sys.exit(wanted not in cases)
END
finish
