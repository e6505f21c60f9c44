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
check_error "plain weights are no checkpoint" "no 'network' in the metadata.*limbeck convert FILE OUT --model NAME" "$limbeck" eval --ckpt "$work/plain.safetensors" --kind shapes
numbers=$(tr -d '\0' < "$ckpt" | grep -ao '"mean":"[^"]*"' | cut -d'"' -f4)
deviations=$(tr -d '\0' < "$ckpt" | grep -ao '"deviation":"[^"]*"' | cut -d'"' -f4)
names=$(tr -d '\0' < "$ckpt" | grep -ao '"class_names":"[^"]*"' | cut -d'"' -f4 | sed 's/\\n/ /g')
# shellcheck disable=SC2086
check "convert back" "$limbeck" convert "$work/plain.safetensors" "$work/back.safetensors" --model resnet8 --classes 10 --mean $numbers --deviation $deviations --class-names $names
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

# --checksum: whatever reads the weights names a flipped bit, of a value or of the metadata.
sealed=$work/sealed.safetensors
check "convert --checksum" "$limbeck" convert "$ckpt" "$sealed" --checksum
check_output "says what it wrote" '[0-9]+ tensors of resnet8 and their checksum'
check "the checkpoint is read" "$limbeck" predict --ckpt "$sealed" --input docs/figures --resize crop
check "and comes back" "$limbeck" convert "$sealed" "$work/unsealed.safetensors" --plain
check "as it was" cmp "$work/plain.safetensors" "$work/unsealed.safetensors"
# shellcheck disable=SC2086
check "--checksum with --model" "$limbeck" convert "$work/plain.safetensors" "$work/sealed2.safetensors" --model resnet8 --classes 10 --mean $numbers --deviation $deviations --class-names $names --checksum
check "writes the same file" cmp "$sealed" "$work/sealed2.safetensors"
check "--checksum with --plain" "$limbeck" convert "$ckpt" "$work/sealed3.safetensors" --plain --checksum
flip "$work/sealed3.safetensors" $(($(stat -c %s "$work/sealed3.safetensors") - 3))
flip "$sealed" $(($(stat -c %s "$sealed") - 3))
named='sealed.safetensors: damaged: its contents have the checksum [0-9a-f]{16}, expected [0-9a-f]{16}'
for command in "eval --ckpt $sealed --kind shapes" "predict --ckpt $sealed --input docs/figures --out $work/y.csv" "export $sealed $work/y.onnx" "convert $sealed $work/y.safetensors --plain" \
  "convert $sealed $work/y.safetensors --checksum" "logits --teacher $sealed --data shapes --out $work/y.safetensors" "distill --teacher $sealed --student resnet8 --data shapes --out $work/y"; do
  check_error "${command%% *} names a flipped bit" "$named" "$limbeck" $command
done
check_error "convert --model names it in plain weights" 'sealed3.safetensors: damaged' "$limbeck" convert "$work/sealed3.safetensors" "$work/y.safetensors" --model resnet8 --classes 10 --mean 0 0 0 --deviation 1 1 1
check_absent "nothing of it is written" $(find "$work" -maxdepth 1 -name 'y*')

# The last four bytes are an element of fc.bias.
nan() { cp "$1" "$2" && printf '\x00\x00\xc0\x7f' | dd of="$2" bs=1 seek=$(($(stat -c %s "$2") - 4)) conv=notrunc status=none; }
nan "$work/plain.safetensors" "$work/nan.safetensors"
nan "$ckpt" "$work/nan_ckpt.safetensors"
to_net=(--model resnet8 --classes 10 --mean 0 0 0 --deviation 1 1 1)
bad="tensor 'fc.bias' holds NaN or infinite values \(1 of 10\)"
check_error "convert names NaN weights" "$bad" "$limbeck" convert "$work/nan.safetensors" "$work/x.safetensors" "${to_net[@]}"
check_error "convert --plain names NaN weights" "$bad" "$limbeck" convert "$work/nan_ckpt.safetensors" "$work/x.safetensors" --plain
check_error "eval names NaN weights" "$bad" "$limbeck" eval --ckpt "$work/nan_ckpt.safetensors" --kind shapes
check_error "predict names NaN weights" "$bad" "$limbeck" predict --ckpt "$work/nan_ckpt.safetensors" --input none.npy --out "$work/y.npy"
check_absent "nothing of NaN weights is written" "$work/x.safetensors"
check "unless they are allowed" "$limbeck" convert "$work/nan.safetensors" "$work/x.safetensors" "${to_net[@]}" --allow-nonfinite
check_error "a prefix that no key has" "no key begins with 'student\.'; its keys begin with 'bn1\.'" "$limbeck" convert "$work/plain.safetensors" "$work/y.safetensors" "${to_net[@]}" --prefix student.
check_error "a key to ignore that is not there" "no key 'head' to ignore" "$limbeck" convert "$work/plain.safetensors" "$work/y.safetensors" "${to_net[@]}" --ignore head
cp "$work/plain.safetensors" "$work/net.pth" && printf 'PK\x03\x04' | dd of="$work/net.pth" bs=1 conv=notrunc status=none
check_error "a .pth is named as such" "net.pth: a file of PyTorch.*tools/pth.py" "$limbeck" eval --ckpt "$work/net.pth" --kind shapes

train_gan() {
  "$limbeck" run configs/tiny.toml --out "$work/gan" --set data.shapes.train=20 --set data.shapes.test=20 --stop-after gan --quiet
}
check "a GAN to convert" train_gan
generator=$work/gan/stages/gan/generator.safetensors
check "a generator's plain weights" "$limbeck" convert "$generator" "$work/G.safetensors" --plain
check "BigGAN's sizes are read from the weights" "$limbeck" convert "$work/G.safetensors" "$work/G_back.safetensors" --model biggan
check_output "convert says what they are" 'biggan generator, [0-9]+ tensors, [0-9]+ parameters'
if cmp -s "$generator" "$work/G_back.safetensors"; then ok "a generator's round trip keeps every bit"; else bad "a generator's round trip keeps every bit" "files differ"; fi
check "a generator with its checksum" "$limbeck" convert "$generator" "$work/G_sealed.safetensors" --checksum
check "is sampled from" "$limbeck" sample --ckpt "$work/G_sealed.safetensors" --n 2 --out "$work/sealed.png"
flip "$work/G_sealed.safetensors" $(($(stat -c %s "$work/G_sealed.safetensors") - 3))
check_error "sample names a flipped bit" 'G_sealed.safetensors: damaged' "$limbeck" sample --ckpt "$work/G_sealed.safetensors" --n 2 --out "$work/x.png"
check_error "a generator's weights need convert" 'limbeck convert FILE OUT --model biggan' "$limbeck" sample --ckpt "$work/G.safetensors" --out "$work/x.png"
check_error "a network's weights are no BigGAN" "plain.safetensors: expected a tensor 'output_layer.2.weight'" "$limbeck" convert "$work/plain.safetensors" "$work/y.safetensors" --model biggan
check_error "CcGAN's sizes are not read" 'not of sagan' "$limbeck" convert "$work/G.safetensors" "$work/y.safetensors" --model sagan
nan "$generator" "$work/nan_G.safetensors"
check_error "sample names NaN weights" 'holds NaN or infinite values' "$limbeck" sample --ckpt "$work/nan_G.safetensors" --out "$work/x.png"
printf '\x93NUMPY\x01\x00\x46\x00%-69s\n' "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 3, 4, 4), }" > "$work/small.npy"
head -c 48 /dev/zero >> "$work/small.npy"
check_error "predict refuses images of another size" 'expects images \[N, 3, 32, 32\], found \[1, 3, 4, 4\]' "$limbeck" predict --ckpt "$ckpt" --input "$work/small.npy" --out "$work/y.npy"
check_absent "predict leaves nothing after a refusal" "$work/y.npy"
check_error "predict names a missing file" 'none\.npy' "$limbeck" predict --ckpt "$ckpt" --input "$work/none.npy" --out "$work/y.npy"

python=${LIMBECK_PYTHON:-python3}
if command -v "$python" > /dev/null; then
  "$python" tests/oracle/checkpoints.py "$limbeck" "$work/plain.safetensors" "$work" || failures=1
  "$python" tests/oracle/interchange.py "$limbeck" "$work" || failures=1
else skip "interchange with PyTorch" "no $python"; fi
finish
