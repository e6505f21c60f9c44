#!/usr/bin/env bash
# Checksums of what stages wrote: limbeck verify, and every reader of a finished stage's files, name a flipped bit and the stage to run again.
source "$(dirname "$0")/lib.sh"
run=$work/run teacher=$work/run/stages/teacher
command=("$limbeck" run configs/tiny.toml --out "$run" --quiet)
check "teacher and first student" "${command[@]}" --only stage=teacher --only stage=nokd
check "is as it was written" "$limbeck" verify "$run"
check_output "stage by stage" '^teacher +ok$' '^nokd +ok$'
model=$teacher/model.safetensors end=$(($(stat -c %s "$teacher/model.safetensors") - 3))
flip "$model" $end
named='teacher/model.safetensors: is not what the stage wrote .checksum [0-9a-f]{16}, expected [0-9a-f]{16}.; delete .*/stages/teacher and run the same command again'
check_error "a flipped bit is an error" 'verify: 1 file is not as written' "$limbeck" verify "$run"
check_output "verify names file and stage" '^teacher +DAMAGED$' "$named" '^nokd +ok$'
check_error "eval names it" "$named" "$limbeck" eval --ckpt "$model" --kind shapes
check_error "predict names it" "$named" "$limbeck" predict --ckpt "$model" --input docs/figures
check_error "export names it" "$named" "$limbeck" export "$model" "$work/no.onnx"
check_error "convert names it" "$named" "$limbeck" convert "$model" "$work/no.safetensors" --plain
check_error "a stage that needs it names it" "$named" "${command[@]}" --only stage=fakes --only stage=gan --only stage=features --only stage=ratio
check_absent "and leaves nothing" "$work/no.onnx" "$work/no.safetensors" "$run/stages/fakes/done.json"
flip "$model" $end
check "flipped back it is whole" "$limbeck" verify "$run"
flip "$teacher/result.json" 30
check_error "report names a number that was changed" 'teacher/result.json: is not what' "$limbeck" report "$run"
rm -r "$teacher"
check "the stage runs again" "${command[@]}" --only stage=teacher --only stage=nokd
check "and the run is whole" "$limbeck" verify "$run"
cp "$teacher/done.json" "$work/done.json"
echo '{' > "$teacher/done.json"
check_error "checksums that cannot be read are no missing ones" 'teacher/done.json: malformed' "$limbeck" convert "$model" "$work/no.safetensors" --plain
echo '{"files": []}' > "$teacher/done.json"
check_error "nor are those of another type" 'teacher/done.json: "files": expected an object, found array' "$limbeck" convert "$model" "$work/no.safetensors" --plain
cp "$work/done.json" "$teacher/done.json"
rm "$run/stages/nokd/model.safetensors"
check_error "a missing file" 'verify: 1 file is not as written' "$limbeck" verify "$run"
check_output "is named" 'nokd/model.safetensors: is missing'
check_error "a folder that is no run" 'not a run folder' "$limbeck" verify "$work"
finish
