#!/usr/bin/env bash
# What is looked at before the first stage, and by --dry-run: settings, data, disk. Nothing of it leaves a folder behind.
source "$(dirname "$0")/lib.sh"
export OMP_NUM_THREADS=1
config=configs/tiny.toml
try() { "$limbeck" run $config --out "$work/run" --dry-run --no-measure "$@"; }
set_() { local s; for s in "$@"; do printf -- '--set\n%s\n' "$s"; done; }
refused() { local pattern=$1; shift; mapfile -t sets < <(set_ "$@"); check_error "$*" "$pattern" try "${sets[@]}"; }

# --- settings -------------------------------------------------------------------------------------------------------------------
check "the configuration itself" try
refused "gan.augment: .*unknown policy 'colour'.*did you mean 'color'" gan.augment=colour
refused "gan.d_steps: expected at least 1, found 0" gan.d_steps=0
refused "gan.batch: expected at least 2, found 1" gan.batch=1
refused "gan.batch: expected 1 to 120 .the number of training images., found 121" gan.batch=121
refused "gan.g_attention: no block of biggan .* ends at 24; expected some of 8, 16, 32" gan.g_attention=24
refused "gan.d_attention: no block of biggan .* ends at 8" gan.d_attention=8
refused "gan.arch: no architecture 'bigan'; did you mean 'biggan'" gan.arch=bigan
refused "gan.ema_decay: expected 0 to 1" gan.ema_decay=1.5
refused "gan.g_lr: expected a positive number, found nan" gan.g_lr=nan
refused "teacher.milestones: expected rising epochs" teacher.milestones=2,1
refused "ratio.milestones: expected 0 or more" ratio.milestones=-1
refused "student.batch: expected at least 2" student.batch=1
refused "student.crop_padding: .*less than its side, 32" student.crop_padding=32
refused "fakes.rho: 0.01 keeps none" fakes.form=paper fakes.rho=0.01
refused "methods.sskd.head_batch: expected at least 2" methods.sskd.head_batch=0
refused "teacher.lr: .*; gan.augment: .*; gan.d_steps: .*; fakes.sampling.batch: " teacher.lr=0 gan.augment=x gan.d_steps=0 fakes.sampling.batch=0
refused "student.batch: expected at most 120 .the number of images: incomplete batches are left out" distillation.method=semckd student.batch=200
refused "evaluation.reference: test, but the data have 1 test images" evaluation.reference=test data.shapes.test=1
refused "BigGAN: makes images of 32, 64 or 128 pixels .data.image_size., found 48" data.image_size=48
check "what only the GAN does not take keeps nobody from a teacher" try --set data.image_size=48 --stop-after teacher
check_error "a GAN for classes behind responses" "gan.arch: biggan is conditioned on classes, the task is regression" try --set task=regression
check_error "responses where classes are needed" "task: the training images have responses" try --set data.kind=chairs
check_error "classes where responses are needed" "task: the training images have classes" "$limbeck" run configs/tiny-regression.toml --out "$work/run" --dry-run --no-measure --set data.kind=shapes
check_error "responses: a size that the GAN does not make" "makes images of 32 or 64 pixels .data.image_size., found 48" \
  "$limbeck" run configs/tiny-regression.toml --out "$work/run" --dry-run --no-measure --set data.image_size=48
check "a milestone behind the end" try --set teacher.milestones=5
check_output "is remarked" "teacher.milestones: 5 is never reached in 2 epochs"

# --- data -----------------------------------------------------------------------------------------------------------------------
set=$work/set; mkdir "$set"
images() { local i; for ((i = 0; i < $1; ++i)); do { printf 'P6\n32 32\n255\n'; head -c 3072 /dev/zero | tr '\0' "\\$(printf %03o $((50 + i)))"; } > "$set/$i.ppm"; done; }
labels() { local i; echo file,class; for ((i = 0; i < $1; ++i)); do echo "$i.ppm,$((i % $2))"; done; }
images 17
folder=(--set data.kind=folder --set data.path="$set" --set gan.batch=8 --set ratio.batch=8)
check_error "a folder that does not exist" "data.path: $work/none: expected a folder with labels.csv" try "${folder[@]}" --set data.path="$work/none"
labels 17 1 > "$set/labels.csv"
check_error "one class only" "at least two classes, found 1" try "${folder[@]}"
labels 17 2 > "$set/labels.csv"
echo gone.ppm,1 >> "$set/labels.csv"
check_error "an image that is not there" "gone.ppm" try "${folder[@]}"
labels 17 2 > "$set/labels.csv"
check "a set of 17 images" try "${folder[@]}"
check_absent "none of these made a folder" "$work/run"

# 17 images in batches of 16 would leave one alone: every training joins it to the batch before.
check "batches of 16 of 17 images" "$limbeck" run $config --out "$work/seventeen" "${folder[@]}" --set teacher.batch=16 --set student.batch=16 --set features.batch=16 \
  --set ratio.batch=16 --set transfer.batch=16 --set fakes.per_class=8 --quiet
steps() { grep -o '"steps": {"value": [0-9]*' "$work/seventeen/stages/$1/result.json" | grep -o '[0-9]*$'; }
check "two epochs are two steps in every loop" test "$(steps teacher) $(steps nokd) $(steps blkd) $(steps features)" = "2 2 2 2"
check "of 17 + 16 images four" test "$(steps cgankd) $(steps nokd_equal)" = "4 4"
no_nan() { ! grep -l 'NaN\|nan' "$work"/seventeen/stages/*/metrics.jsonl; }
check "and nothing is undefined" no_nan

# --- no test images -------------------------------------------------------------------------------------------------------------
check "no test image: no value" grep -q '"test_accuracy": {"value": null' "$work/seventeen/stages/teacher/result.json"
check_absent "nor one in a curve" $(grep -l test_ "$work"/seventeen/stages/*/metrics.jsonl)
check "a report of it" "$limbeck" report "$work/seventeen"
check_output "has -" '^NOKD +- +0$' '^cGAN-KD \+ BLKD +- +0$'
no_zero() { ! grep -hE '(NOKD|teacher|KD).*\b0\.00' "$work/seventeen"/report.{md,tex,csv,table.csv,html}; }
check "and 0.00 nowhere" no_zero
check "the Markdown's cells" grep -q '^| NOKD *| *-' "$work/seventeen/report.md"
check "LaTeX's" grep -q '^NOKD & -' "$work/seventeen/report.tex"
check "eval" "$limbeck" eval --ckpt "$work/seventeen/stages/teacher/model.safetensors" --kind folder --path "$set"
check_output "says so" "^resnet14: accuracy -: the data set has no test images"
check "eval --json" "$limbeck" eval --json --ckpt "$work/seventeen/stages/teacher/model.safetensors" --kind folder --path "$set"
check_output "has null" '"accuracy":null'

# --- disk -----------------------------------------------------------------------------------------------------------------------
disk=$work/disk; mkdir "$disk"
if mount -t tmpfs -o size=1m tmpfs "$disk" 2> /dev/null; then
  cleanups+=("umount '$disk'")
  check_error "too small a disk" "disk/run: the run needs about .* MiB of disk .* stay., 1.0 MiB are free" "$limbeck" run $config --out "$disk/run"
  check_absent "is told before work" "$disk/run"
  check_error "and by a dry run" "are free" "$limbeck" run $config --out "$disk/run" --dry-run --no-measure
else
  skip "too small a disk" "mounting a small file system needs more rights"
fi
finish
