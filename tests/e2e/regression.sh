#!/usr/bin/env bash
# The workflow for responses at toy size on an image folder: every stage, kill -9 and continue with the same bits, sampling, evaluation
# and prediction in the unit of the responses.
source "$(dirname "$0")/lib.sh"
python=${LIMBECK_PYTHON:-python3}
command -v "$python" > /dev/null || { skip "the workflow for responses" "no $python"; finish; }
"$python" tests/e2e/tilted_bars.py "$work/bars" || { bad "images with responses" "tilted_bars.py failed"; finish; }
config=$work/regression.toml a=$work/undisturbed b=$work/killed
{
  sed -n '1,/^\[data\]/p' configs/tiny-regression.toml
  printf 'kind = "folder"\npath = "%s"\nimage_size = 32\n\n' "$work/bars"
  printf '[data.folder]\nresponse_low = 0\nresponse_high = 90\nresponse_unit = "degrees"\n\n'
  sed -n '/^\[teacher\]/,$p' configs/tiny-regression.toml
} > "$config"

timed seconds check "a run through every stage" "$limbeck" run "$config" --out "$a"
echo "tiny regression run: $seconds s"
for stage in embedding label_embedding gan autoencoder ratio fakes evaluate cgankd cgankd_fitnet nokd_equal; do
  check "$stage left its result" test -s "$a/stages/$stage/done.json" -a -s "$a/stages/$stage/result.json"
done
check "errors are in the unit" grep -q '"test_mae": {"value": [0-9.e-]*, "unit": "degrees", "better": "lower"' "$a/stages/cgankd/result.json"
steps() { grep -o '"steps": {"value": [0-9]*' "$a/stages/$1/result.json"; }
check "the control has as many steps" test "$(steps cgankd)" = "$(steps nokd_equal)"

kill_and_continue "the run" "$seconds" "$limbeck" run "$config" --out "$b" --threads 1 --checkpoint-seconds 0.05
check_same "a run that was killed, with one thread, has the same bits" "$a" "$b"

generator=$a/stages/gan/generator.safetensors
check "images of one response, without the data" "$limbeck" sample --ckpt "$generator" --label 55 --n 64 --out "$work/55.png"
check "a sweep" "$limbeck" sample --ckpt "$generator" --label-range 20:60:5 --n 3 --out "$work/sweep.png"
check "both are PNGs" bash -c "for f in 55 sweep; do head -c 4 '$work/'\$f.png | tail -c 3 | grep -q PNG || exit 1; done"
check "an animated sweep" "$limbeck" sample --ckpt "$generator" --label-range 20:60:5 --n 4 --out "$work/sweep.apng"
if "$python" -c 'import PIL' 2> /dev/null; then
  check "has a frame per response, of four images" "$python" - "$work/sweep.apng" << 'END'
import sys
from PIL import Image
with Image.open(sys.argv[1]) as image:
    found = (image.n_frames, image.size, image.info["duration"])
sys.exit(found != (9, (132, 132), 200.0) and f"found {found}")
END
else skip "the frames of the animation by another decoder" "no PIL in $python"; fi
check_error "a response outside of the scale" '--label: expected 0\.\.90 degrees' "$limbeck" sample --ckpt "$generator" --label 120 --out "$work/no.png"

student=$a/stages/cgankd/model.safetensors
folder=(--kind folder --path "$work/bars" --folder-response-low 0 --folder-response-high 90)
check "evaluation of a regressor" "$limbeck" eval --ckpt "$student" "${folder[@]}" --folder-response-unit degrees
check_output "speaks of degrees" 'mean absolute error [0-9.]+ degrees on 60 test images'
found=$(grep -o 'error [0-9.]*' "$work/out")
check "a regressor as PyTorch's weights" "$limbeck" convert "$student" "$work/plain.safetensors" --plain
check "and back, with its scale" "$limbeck" convert "$work/plain.safetensors" "$work/back.safetensors" --model resnet8 --task regression --size 32 \
  --mean 0.5 0.5 0.5 --deviation 0.5 0.5 0.5 --range 0 90 --unit degrees
check "has the same error" "$limbeck" eval --ckpt "$work/back.safetensors" "${folder[@]}" --folder-response-unit degrees
check_output "in degrees" "$found degrees on 60 test images"
check "errors of whole degrees" "$limbeck" eval --ckpt "$student" "${folder[@]}" --folder-response-unit degrees --folder-response-truncate true
check_output "stand beside them" "$found degrees" 'whole numbers, cut toward zero, [0-9.]+$'
check_error "another unit is refused" "predicts 'degrees', the responses of the data set are in 'years'" "$limbeck" eval --ckpt "$student" "${folder[@]}" --folder-response-unit years
printf '\x93NUMPY\x01\x00\x46\x00%-69s\n' "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 3, 32, 32), }" > "$work/x.npy"
head -c 3072 /dev/zero >> "$work/x.npy"
check "prediction" "$limbeck" predict --ckpt "$student" --input "$work/x.npy" --out "$work/y.npy"
check_output "is in degrees" 'outputs of resnet8 in degrees for 1 images'
check "report" "$limbeck" report "$a"
check "has the label scores" grep -q 'label_score_raw' "$a/report.md"

broken() { "$limbeck" run "$config" --out "$work/broken" "$@"; }
check_error "a method of classes alone is refused before any work" 'distillation.method: .*blkd' broken --set distillation.method=blkd
check_error "the task has to be that of the data" 'task: the training images have responses; expected regression' broken --set task=classification --set gan.arch=biggan
check_absent "nothing was begun" "$work/broken/stages"
finish
