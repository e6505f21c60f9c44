#!/usr/bin/env bash
# limbeck convert and predict: round trips, what they refuse, and the exchange with PyTorch where a Python with torch and numpy exists
# (LIMBECK_PYTHON names one).
source "$(dirname "$0")/lib.sh" "${1:-build}"

train() {
  "$limbeck" run configs/tiny.toml --out "$work/run" --set data.shapes.train=20 --set data.shapes.test=20 --set student.epochs=1 --stop-after nokd --quiet
}
check "a network to convert" train
ckpt=$work/run/stages/nokd/model.safetensors
check "convert --plain" "$limbeck" convert "$ckpt" "$work/plain.safetensors" --plain
check_output "convert says what it wrote" '[0-9]+ tensors of resnet8'
check_error "plain weights are no checkpoint" "no 'network' in the metadata" "$limbeck" eval --ckpt "$work/plain.safetensors" --kind shapes
numbers=$(tr -d '\0' < "$ckpt" | grep -ao '"mean":"[^"]*"' | cut -d'"' -f4)
deviations=$(tr -d '\0' < "$ckpt" | grep -ao '"deviation":"[^"]*"' | cut -d'"' -f4)
# shellcheck disable=SC2086
check "convert back" "$limbeck" convert "$work/plain.safetensors" "$work/back.safetensors" --model resnet8 --classes 10 --mean $numbers --deviation $deviations
if cmp -s "$ckpt" "$work/back.safetensors"; then ok "the round trip keeps every bit"; else bad "the round trip keeps every bit" "files differ"; fi

convert=("$limbeck" convert "$work/plain.safetensors" "$work/x.safetensors")
check_error "convert wants to know the direction" 'give --model NAME .* or --plain' "${convert[@]}"
check_error "convert refuses another network" 'plain\.safetensors.*(missing|unexpected)' "${convert[@]}" --model resnet14 --classes 10 --mean 0 0 0 --deviation 1 1 1
check_error "convert refuses another number of classes" 'fc\.' "${convert[@]}" --model resnet8 --classes 9 --mean 0 0 0 --deviation 1 1 1
check_error "convert wants a mean per channel" '--mean: expected 3 numbers, found 1' "${convert[@]}" --model resnet8 --classes 10 --mean 0 --deviation 1 1 1
check_error "convert wants the number of classes" '--classes: expected' "${convert[@]}" --model resnet8 --mean 0 0 0 --deviation 1 1 1
check_error "a classifier's weights are no regressor's" 'plain\.safetensors.*missing' "${convert[@]}" --model resnet8 --task regression --size 64 --mean 0 0 0 --deviation 1 1 1
check_error "convert names the nearest network" "did you mean 'resnet8'" "${convert[@]}" --model resnet9 --classes 10 --mean 0 0 0 --deviation 1 1 1
head -c 5000 "$work/plain.safetensors" > "$work/cut.safetensors"
check_error "convert refuses a cut file" 'cut\.safetensors' "$limbeck" convert "$work/cut.safetensors" "$work/x.safetensors" --plain
check_absent "nothing is left after a refusal" $(find "$work" -name 'x.safetensors*')
printf '\x93NUMPY\x01\x00\x46\x00%-69s\n' "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 3, 4, 4), }" > "$work/small.npy"
head -c 48 /dev/zero >> "$work/small.npy"
check_error "predict refuses images of another size" 'expects images \[N, 3, 32, 32\], found \[1, 3, 4, 4\]' "$limbeck" predict --ckpt "$ckpt" --input "$work/small.npy" --out "$work/y.npy"
check_absent "predict leaves nothing after a refusal" "$work/y.npy"
check_error "predict names a missing file" 'none\.npy' "$limbeck" predict --ckpt "$ckpt" --input "$work/none.npy" --out "$work/y.npy"

python=${LIMBECK_PYTHON:-python3}
if command -v "$python" > /dev/null; then "$python" tests/oracle/interchange.py "$limbeck" "$work" || failures=1
else skip "interchange with PyTorch" "no $python"; fi
finish
