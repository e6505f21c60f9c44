#!/usr/bin/env bash
# evaluation.types: a classifier of second labels (which of three chairs it is), and the entropy of its classes among fakes and real images.
source "$(dirname "$0")/lib.sh"
chairs=(--set data.chairs.models=3 --set data.chairs.train=120 --set data.chairs.test=60)
small=(--set teacher.epochs=1 --set student.epochs=1 --set transfer.epochs=1 --set fake_responses.count=4)
check "a classifier of the models" "$limbeck" run configs/tiny.toml --out "$work/models" --stop-after teacher --quiet --set data.kind=chairs "${chairs[@]}" --set data.chairs.label=model --set teacher.epochs=4
classifier=$work/models/stages/teacher/model.safetensors
check "a run that uses it" "$limbeck" run configs/tiny-regression.toml --out "$work/run" --quiet "${chairs[@]}" "${small[@]}" --set evaluation.types="$classifier"
cp "$work/run/stages/evaluate/result.json" "$work/out" 2> /dev/null
value='\{"value": [0-9.e+-]+, "unit": "nats"'
check_output "has the entropies of real images and of every set" "type_entropy_real\": $value" "type_entropy_raw\": $value" "type_entropy_m1\": $value" "type_entropy_m2\": $value"
check_error "a regressor is no such classifier" 'evaluation.types: expected a classifier, found a regressor' "$limbeck" run configs/tiny-regression.toml --out "$work/no" "${chairs[@]}" \
  --set evaluation.types="$work/run/stages/teacher/model.safetensors"
check_error "nor is one of other images" 'evaluation.types: expected a classifier of 3 channels of 64 pixels, found 3 of 32' "$limbeck" run configs/tiny-regression.toml --out "$work/no" \
  "${chairs[@]}" --set data.image_size=64 --set gan.arch=sagan --set evaluation.types="$classifier"
check_error "a file that is missing" 'missing.safetensors' "$limbeck" run configs/tiny-regression.toml --out "$work/no" --set evaluation.types=missing.safetensors
check_absent "are refused before anything runs" "$work/no/stages"
finish
