#!/usr/bin/env bash
# Image folders as people have them: labels, class folders, paths of configurations, and predictions about image files.
source "$(dirname "$0")/lib.sh"
export OMP_NUM_THREADS=1

info() { "$limbeck" data info --kind folder --path "$@"; }
# folder NAME LABELS: a folder with images a to d.png and these labels.
folder() {
  mkdir -p "$work/$1"
  cp "$work"/images/?.png "$work/$1/"
  printf "$2" > "$work/$1/labels.csv"
}

mkdir "$work/images"
for ((i = 0; i < 4; ++i)); do
  printf 'P6 32 32 255\n' > "$work/images/x.ppm"
  head -c 3072 /dev/zero | tr '\0' "\\$((100 + 10 * i))" >> "$work/images/x.ppm"
  printf 'file,class\nx.ppm,0\n' > "$work/images/labels.csv"
  "$limbeck" data preview --kind folder --path "$work/images" --per-class 1 --zoom 1 --size 32 --out "$work/images/$(printf "\\$((141 + i))").png" > /dev/null 2>&1
done
check "images to work with" test -s "$work/images/d.png"
size=(--set resize=stretch)

# --- labels ---------------------------------------------------------------------------------------------------------------------
folder space 'filename,Label,Split\na.png, 0,train\nb.png,1.0,train \n c.png,1,TEST\n'
check "blanks, floats and capitals" info "$work/space" "${size[@]}"
check_output "are read as they are meant" 'class +0 +1' 'class +1 +1' '^test: 1 images'
folder names 'file;category\na.png;cat\nb.png;cat \n"c.png";dog\n'
check "semicolons and names" info "$work/names" "${size[@]}"
check_output "without the blanks" 'class +0 +2 +cat' 'class +1 +1 +dog'
folder wide 'file\tclass\r\na.png\t0\r\nb.png\t1\r\n'
iconv -f UTF-8 -t UTF-16 "$work/wide/labels.csv" > "$work/wide/utf16" 2> /dev/null && mv "$work/wide/utf16" "$work/wide/labels.csv"
check "UTF-16 with tabs" info "$work/wide" "${size[@]}"
folder ones ',file,class\n0,a.png,1\n1,b.png,2\n'
check_error "labels from 1 on" 'no training image of class 0 of 0\.\.2 \(the labels begin with 1\); data\.compact_labels = true' info "$work/ones" "${size[@]}"
check "are numbered anew when told to" info "$work/ones" "${size[@]}" --set compact_labels=true
check_output "under their old names" 'class +0 +1 +1$' 'class +1 +1 +2$'
folder twice 'file,class,split\na.png,0,train\nb.png,1,train\na.png,1,train\nb.png,1,test\n'
check "an image twice" info "$work/twice" "${size[@]}"
check_output "is said" 'warning: .*with different labels \(a.png in lines 2 and 4\)' 'warning: .*in the training and the test part \(b.png' \
  'warning: 2 classes have few training images'
folder missing 'file,class\na.png,0\nb.png,\n'
check_error "no label" 'labels.csv: line 3: column class: no label' info "$work/missing" "${size[@]}"
folder absolute "file,class\n$work/images/a.png,0\nb.png,1\n"
check "absolute paths" info "$work/absolute" "${size[@]}"
folder digits 'file,digit\na.png,0\nb.png,1\nc.png,1\nd.png,0\n'
check "whole numbers under another name" info "$work/digits" "${size[@]}"
check_output "are responses, which is said" 'responses +0 to 1' 'warning: .*data.folder.task=classification'

# --- class folders, a run on them, predictions -----------------------------------------------------------------------------------
for class in dark light; do
  mkdir -p "$work/tree/train/$class" "$work/tree/val/$class"
  value=$([[ $class == dark ]] && echo 040 || echo 340)
  for ((i = 0; i < 12; ++i)); do
    part=$([[ $i -lt 8 ]] && echo train || echo val)
    { printf 'P6 %d %d 255\n' $((20 + i)) $((30 - i)); head -c $((3 * (20 + i) * (30 - i))) /dev/zero | tr '\0' "\\$value"; } > "$work/tree/$part/$class/$i.ppm"
  done
done
mkdir "$work/configs"
cat > "$work/configs/tree.toml" <<TOML
[data]
kind = "folder"
path = "../tree"
image_size = 32
resize = "fit"

[teacher]
model = "resnet8"
epochs = 6
batch = 8
milestones = []
TOML
check "a run whose configuration has a relative path" env -C / "$limbeck" run "$work/configs/tree.toml" --out "$work/run" --stop-after teacher
check_output "says what the data hold" '^training images: 16, 2 classes: dark 8, light 8$' '^test images: 8' 'warning: 2 classes have few training images'
check "in any folder" "$limbeck" run "$work/run/config.toml" --out "$work/run" --stop-after teacher
ckpt=$work/run/stages/teacher/model.safetensors
check_error "a folder that is not there has its whole path" "data.path: $(realpath "$work")/nowhere" "$limbeck" run "$work/configs/tree.toml" --out "$work/no" --set data.path="$work/configs/../nowhere"
check "predictions about a folder" "$limbeck" predict --ckpt "$ckpt" --input "$work/tree/val" --resize fit --out "$work/p.csv"
check "have a line for each image" test "$(wc -l < "$work/p.csv")" = 9
check "and the right classes" test "$(grep -Ec '/dark/[0-9]+.ppm,dark,|/light/[0-9]+.ppm,light,' "$work/p.csv")" -ge 6
ls -d "$work"/tree/val/*/*.ppm | LC_ALL=C sort | sed "s|^$work/tree/||" > "$work/tree/list.txt"
check "a list of paths" "$limbeck" predict --ckpt "$ckpt" --input "$work/tree/list.txt" --resize fit --out "$work/q.csv"
check "means the same images" cmp "$work/q.csv" "$work/p.csv"
check "one image, both classes" "$limbeck" predict --ckpt "$ckpt" --input "$work/tree/val/dark/9.ppm" --resize fit --top 2
check_output "the likeliest first" '^file,class,probability,class_2,probability_2$' '9.ppm,dark,[01][^,]*,light,'
check_error "an image of another size" '--resize crop, fit or stretch' "$limbeck" predict --ckpt "$ckpt" --input "$work/images/a.png"
printf 'GIF89a' > "$work/x.gif"
check_error "an image of another format" 'x.gif: expected an image \(PNG, JPEG, BMP, PNM\), found GIF' "$limbeck" predict --ckpt "$ckpt" --input "$work/x.gif"
finish
