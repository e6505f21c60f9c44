#!/usr/bin/env bash
# limbeck logits: a teacher's logits in a file, a student of it by `limbeck distill --logits`; the student is killed and continues; refusals.
source "$(dirname "$0")/lib.sh"
sets=(--data shapes --set data.image_size=32 --set data.shapes.train=120 --set data.shapes.test=100 --set student.epochs=3
  --set student.batch=24)
check "a teacher" "$limbeck" run configs/tiny.toml --out "$work/run" --stop-after teacher --quiet
teacher=$work/run/stages/teacher/model.safetensors
store() { "$limbeck" logits --teacher "$teacher" --views 2 --seed 5 --out "$1" "${sets[@]}" --quiet "${@:2}"; }
file() { echo "$1/stages/logits/logits.safetensors"; }
learning=("$limbeck" distill --logits "$(file "$work/one")" --student resnet8 "${sets[@]}" --quiet)
learn() { "${learning[@]}" --method "$1" --out "$2" "${@:3}"; }

check "its logits" store "$work/one"
check "again, with one thread" store "$work/two" --threads 1
check "the same bits" cmp "$(file "$work/one")" "$(file "$work/two")"
check "the file is a data set, too" "$limbeck" data info --kind container --path "$(file "$work/one")"
timed seconds check "a student of them" learn dkd "$work/dkd" --threads 1
check "a student of file and images alone" "$limbeck" distill --method blkd --logits "$(file "$work/one")" --student resnet8 --out "$work/blkd" \
  "${sets[@]:2}" --data container --data-path "$(file "$work/one")" --quiet

kill_and_continue "the student" "$seconds" "${learning[@]}" --method dkd --out "$work/killed" --threads 1 --checkpoint-seconds 0
check_same "the student has the same bits" "$work/dkd" "$work/killed"

check_error "a method that needs more" "plan.logits: fitnet must see the teacher itself" learn fitnet "$work/no"
check_error "both of teacher and logits" "give one of --teacher and --logits" learn blkd "$work/no" --teacher "$teacher"
check_error "fakes" "stored logits are of the real images" learn blkd "$work/no" --fake x
check_error "other images" "image 0 is not the training image of that number" learn blkd "$work/no" --set data.seed=9
check_error "another augmentation" "views were drawn with crop_padding 4 and flip true" learn blkd "$work/no" --set student.flip=false
check_error "another file" "expected a file of .limbeck logits" "$limbeck" distill --method blkd --logits "$teacher" --student resnet8 --out "$work/no" "${sets[@]}"
check_absent "are refused before anything runs" "$work/no"
finish
