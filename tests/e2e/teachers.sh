#!/usr/bin/env bash
# The whole workflow with a teacher that has no feature taps and, at this size, has learned nothing: all its losses are nearly equal.
source "$(dirname "$0")/lib.sh"
run=$work/run
check "a run with an EfficientNet as teacher" "$limbeck" run configs/tiny.toml --set teacher.model=efficientnetb0 --out "$run" --quiet
check "evaluates its fakes" grep -q '"fid_m2": {"value": [0-9]' "$run/stages/evaluate/result.json"
check "is reported" "$limbeck" report "$run"
check_output "with the distances" "^evaluate +fid_m2 +[0-9]"
finish
