#!/usr/bin/env bash
# Bad responses and bad files of responses: one line that names the thing, exit code 1, what was done before stays.
source "$(dirname "$0")/lib.sh"
config=configs/tiny-regression.toml
run() { "$limbeck" run "$config" --out "$work/$1" --quiet --threads 1 "${@:2}"; }
small=(--set teacher.epochs=1 --set student.epochs=1 --set embedding.epochs=1 --set embedding.net=ResNet18_embed --set label_embedding.epochs=1 --set gan.steps=2)

# --- a folder with labels.csv ---------------------------------------------------------------------------------------------------
bars=$work/bars; mkdir "$bars"
for i in 1 2 3 4 5 6; do
  "$limbeck" data preview --kind chairs --chairs-train 10 --chairs-test 10 --seed "$i" --per-class 1 --zoom 1 --size 32 --out "$bars/sheet$i.png" > /dev/null 2>&1
done
responses() { # RESPONSE OF IMAGE 2: a labels.csv with it; the other ones are 10, 20, 30, ...
  printf 'file,angle\n'
  for i in 1 2 3 4 5 6; do printf 'sheet%s.png,%s\n' "$i" "$([[ $i == 2 ]] && echo "$1" || echo $((10 * i)))"; done
}
folder=(--set data.kind=folder --set "data.path=$bars" --set data.image_size=4096)
info() { "$limbeck" data info --kind folder --path "$bars" --size 4096 "$@"; }
responses 20 > "$bars/labels.csv"
check "the folder is read" info
responses nan > "$bars/labels.csv"
check_error "a response that is NaN" "labels.csv: line 3: column angle: expected a number, found 'nan'" run folder "${folder[@]}"
responses 1e999 > "$bars/labels.csv"
check_error "a response that is infinite" "labels.csv: line 3: column angle: expected a number" run folder "${folder[@]}"
responses 95 > "$bars/labels.csv"
check_error "a response outside of the stated range" 'labels.csv: line 3: response 95, expected 0\.\.90 \(data\.folder\.response_low and response_high\)' \
  run folder "${folder[@]}" --set data.folder.response_high=90
check "unless it is cut" info --folder-response-high 90 --folder-response-from 1 --folder-response-to 90
check_output "which leaves the others" '^train: 5 images'
check_error "a cut that leaves none" 'data\.folder\.response_from and response_to, 200\.\.300, found none' \
  run folder "${folder[@]}" --set data.folder.response_from=200 --set data.folder.response_to=300
printf 'file,angle\nsheet1.png,7\nsheet2.png,7\n' > "$bars/labels.csv"
check_error "responses that are all the same" 'expected different training responses, found only 7' run folder "${folder[@]}"
responses 20 > "$bars/labels.csv"
check_error "a whole turn" 'the responses wrap \(360 degrees is 0 again\).*leave response_wraps out' run folder "${folder[@]}" \
  --set data.folder.response_high=360 --set data.folder.response_unit=degrees --set data.folder.response_wraps=true
check_absent "none of these began a run" "$work/folder/stages"

# --- responses that a GAN has to do with ----------------------------------------------------------------------------------------
check "one image per response" run single --set data.chairs.train=12 --set data.chairs.step=0 "${small[@]}" --stop-after gan
check_error "the same response in all images" 'expected different responses, found only 0\.1 degrees in all 4 training images' run constant --set data.chairs.step=89.95 --set data.chairs.train=4
check_error "a vicinity that is always empty" 'gan\.vicinity: no image within 1e-12 of .* in 100000 draws; lower sigma \(0\.5\) or widen the vicinity' \
  run single --set data.chairs.train=12 --set data.chairs.step=0 "${small[@]}" --set gan.vicinity.type=hard --set gan.vicinity.sigma=0.5 --set gan.vicinity.kappa=1e-12
check_absent "is told before any stage" "$work/single/stages/teacher"
check "and the finished generator stays" test -s "$work/single/stages/gan/generator.safetensors"
check_error "a kappa that holds nothing" 'gan\.vicinity\.kappa: expected a number above 0' run vicinity --set gan.vicinity.kappa=0
check_absent "is refused before any work" "$work/vicinity/stages"

# --- HDF5 -----------------------------------------------------------------------------------------------------------------------
h5=$work/chairs.h5
if ! "$limbeck" data convert chairs "$h5" --set chairs.train=24 --set chairs.test=6 --set image_size=32 > /dev/null 2> "$work/err"; then
  skip "HDF5 files" "$(head -c 200 "$work/err")"
  finish
fi
hdf5=(--set data.kind=hdf5 --set "data.path=$h5" "${small[@]}")
check "whole numbers beside reals" run whole "${hdf5[@]}" --set data.hdf5.response_truncate=true --stop-after nokd
check "are in the results" grep -q '"test_mae_truncated": {"value": [0-9.]*, "unit": "degrees", "better": "lower", "kind": "test"' "$work/whole/stages/nokd/result.json"
check "a report of them" "$limbeck" report "$work/whole"
check_output "has both errors" '^Result: test_mae in degrees' '^Result: test_mae_truncated in degrees'
check "a run on HDF5" run hdf5 "${hdf5[@]}" --stop-after teacher
checksums "$work/hdf5/stages/teacher" > "$work/teacher.sum"
cp "$h5" "$work/whole.h5"
head -c 20000 "$work/whole.h5" > "$h5"
check_error "a truncated file" "chairs\.h5: expected an HDF5 file.*truncated" run hdf5 "${hdf5[@]}" --stop-after nokd
printf 'no HDF5 at all' > "$h5"
check_error "another file" "chairs\.h5: expected an HDF5 file" run hdf5 "${hdf5[@]}" --stop-after nokd
: > "$h5"
check_error "an empty file" "chairs\.h5: expected an HDF5 file" run hdf5 "${hdf5[@]}" --stop-after nokd
rm "$h5"
check_error "no file" "data\.path: .*chairs\.h5: expected a file" run hdf5 "${hdf5[@]}" --stop-after nokd
cp "$work/whole.h5" "$h5"
checksums "$work/hdf5/stages/teacher" > "$work/teacher2.sum"
check "the teacher is untouched" cmp "$work/teacher.sum" "$work/teacher2.sum"
check "and the run goes on with the whole file" run hdf5 "${hdf5[@]}" --stop-after nokd
check_error "a missing key" 'chairs\.h5: array angles is missing; found images_test, images_train' run keys "${hdf5[@]}" --set data.hdf5.train_images=images_train --set data.hdf5.train_labels=angles
check_error "images of another type" 'array labels_train: expected u8 images' run keys "${hdf5[@]}" --set data.hdf5.train_images=labels_train --set data.hdf5.train_labels=labels_train
check_error "labels of another shape" 'array images_train: expected labels \[N\]' run keys "${hdf5[@]}" --set data.hdf5.train_images=images_train --set data.hdf5.train_labels=images_train
check_absent "none of these began a run" "$work/keys/stages"
finish
