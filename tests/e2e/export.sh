#!/usr/bin/env bash
# limbeck export: what it writes and refuses; every network in onnxruntime beside `limbeck predict`, where a Python with onnx, onnxruntime
# and numpy exists (LIMBECK_PYTHON names one).
source "$(dirname "$0")/lib.sh" "${1:-build}"

check "a network with random weights" "$limbeck" models resnet8 --classes 10 --save "$work/net.safetensors"
check "is exported" "$limbeck" export "$work/net.safetensors" "$work/net.onnx"
check_output "and says what the model takes and gives" 'net\.onnx: resnet8, images u8 \[N, 3, 32, 32\], logits \[N, 10\], [0-9]{6} bytes'
check "with images as floats" "$limbeck" export "$work/net.safetensors" "$work/floats.onnx" --input f32
check_output "it says so" 'images f32'
check_error "models --save wants a name" "--save needs the name of a network" "$limbeck" models --save "$work/x.safetensors"
check_error "a file that is no network is refused" "no 'network' in the metadata" bash -c "'$limbeck' convert '$work/net.safetensors' '$work/plain.safetensors' --plain > /dev/null && '$limbeck' export '$work/plain.safetensors' '$work/x.onnx'"
check_error "a missing file is named" 'none\.safetensors' "$limbeck" export "$work/none.safetensors" "$work/x.onnx"
check_absent "nothing is left after a refusal" "$work/x.onnx" "$work/x.safetensors"

check "a student with its teacher's classifier (SimKD)" "$limbeck" distill --method simkd --teacher "$work/net.safetensors" --student wrn_16_1 --config configs/tiny.toml \
  --set student.epochs=1 --out "$work/run" --quiet
student=$(ls "$work"/run/stages/simkd.*/model.safetensors)
check "is exported whole" "$limbeck" export "$student" "$work/student.onnx"

python=${LIMBECK_PYTHON:-python3}
if command -v "$python" > /dev/null; then
  "$python" tests/oracle/onnx_models.py "$limbeck" || failures=1
  "$python" tests/oracle/onnx_models.py "$limbeck" --checkpoint "$student" || failures=1
else
  skip "networks in onnxruntime" "no $python"
fi
finish
