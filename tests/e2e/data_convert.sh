#!/usr/bin/env bash
# limbeck data convert: from every kind of source to one file and back, and the exchange with numpy and h5py where a Python with both exists
# (LIMBECK_PYTHON names one).
source "$(dirname "$0")/lib.sh" "${1:-build}"

convert() { "$limbeck" data convert "$@"; }
info() { "$limbeck" data info --size 512 "$@"; }
same() { if cmp -s "$2" "$3"; then ok "$1"; else bad "$1" "$2 and $3 differ"; fi; }

a=$work/a.safetensors
check "a procedural set becomes a file" convert chairs "$a" --size 16 --set chairs.train=12 --set chairs.test=5
check_output "convert says what it wrote" '12 and 5 images of 16 x 16'
check "the file is a data set" info --kind container --path "$a"
check_output "with its scale" 'train: 12 images' 'scale      0 to 90 degrees'
check "a container to a container" convert "$a" "$work/b.safetensors"
same "keeps every bit" "$a" "$work/b.safetensors"

check "classes in a folder" "$limbeck" data preview --shapes-train 10 --shapes-test 10 --per-class 1 --zoom 1 --out "$work/img.png"
mkdir "$work/folder" && cp "$work/img.png" "$work/folder/"
printf 'file,class\nimg.png,cat\nimg.png,dog\n' > "$work/folder/labels.csv"
check "a folder becomes a file" convert "$work/folder" "$work/f.safetensors" --kind folder
check "with its class names" info --kind container --path "$work/f.safetensors"
check_output "which info prints" 'class +0 +1 +cat' 'class +1 +1 +dog'

check_error "an ending that says nothing" 'set\.bin: expected a name that ends in \.safetensors' convert "$a" "$work/set.bin"
check_error "a source that says nothing" '--kind' convert "$work/folder" "$work/x.safetensors"
check_error "a fake set has no test part" 'fake set.*5 images' convert "$a" "$work/x.safetensors" --fake
head -c 9000 "$a" > "$work/cut.safetensors"
check_error "a cut container" 'cut\.safetensors' convert "$work/cut.safetensors" "$work/x.safetensors"
printf 'no zip' > "$work/no.npz"
check_error "no zip archive" 'no\.npz: expected a zip archive' info --kind npz --path "$work/no.npz"
printf 'no HDF5' > "$work/no.h5"
check_error "no HDF5 file" 'no\.h5: (expected an HDF5 file|this build has no HDF5)' info --kind hdf5 --path "$work/no.h5"
check_error "a folder where a file has to be" "data.path: $work: expected a file" info --kind npz --path "$work"
check_absent "nothing is left after a refusal" "$work"/x.safetensors*

if convert "$a" "$work/a.h5" > "$work/out" 2> "$work/err"; then
  ok "a set becomes HDF5"
  check "HDF5 to a container" convert "$work/a.h5" "$work/b.safetensors"
  same "keeps every bit too" "$a" "$work/b.safetensors"
  check "a fake set" convert chairs "$work/fake.h5" --size 16 --set chairs.train=7 --set chairs.test=0 --fake
  check "is read" info --kind hdf5 --path "$work/fake.h5"
  check_output "as a training part" 'train: 7 images'
else
  skip "HDF5" "$(cut -c1-100 "$work/err")"
fi

python=${LIMBECK_PYTHON:-python3}
if [[ -e $work/a.h5 ]] && "$python" -c 'import h5py, numpy' 2> /dev/null; then
  cat > "$work/official.py" <<'END'
import sys, h5py, numpy
folder, ours = sys.argv[1:]
random = numpy.random.default_rng(1)
images = random.integers(0, 256, (20, 3, 16, 16), dtype=numpy.uint8)
ages = random.integers(1, 61, 20)
with h5py.File(folder + "/utkface.h5", "w") as f:  # as the original writes its files
    f.create_dataset("images_train", data=images[:15], dtype="uint8", compression="gzip", compression_opts=6)
    f.create_dataset("labels_train", data=ages[:15])
    f.create_dataset("images_test", data=images[15:], dtype="uint8", compression="gzip", compression_opts=6)
    f.create_dataset("labels_test", data=ages[15:])
parts = dict(images_train=images[:15], labels_train=ages[:15].astype(float), images_test=images[15:], labels_test=ages[15:].astype(float))
numpy.savez(folder + "/stored.npz", **parts)
numpy.savez_compressed(folder + "/packed.npz", **parts)
with h5py.File(folder + "/chunks.h5", "w") as f:
    f.create_dataset("images_train", data=images, chunks=(4, 3, 16, 16), compression="gzip")
    f["labels_train"] = ages
whole = open(folder + "/chunks.h5", "rb").read()
sizes = numpy.array([4, 3, 16, 16, 1], "<u4").tobytes()  # as the header has them, with the bytes of an element
assert whole.count(sizes) == 1
open(folder + "/chunks.h5", "wb").write(whole.replace(sizes, numpy.array([4000, 3, 16, 16, 1], "<u4").tobytes()))
with h5py.File(folder + "/lzf.h5", "w") as f:
    f.create_dataset("images_train", data=images, compression="lzf")
    f["labels_train"] = ages
with h5py.File(folder + "/text.h5", "w") as f:
    f["images_train"], f["labels_train"], f.attrs["response_low"] = images, ages, "0"
with h5py.File(folder + "/link.h5", "w") as f:
    f["images_train"], f["labels_train"] = h5py.ExternalLink("utkface.h5", "images_train"), ages[:15]
with h5py.File(folder + "/names.h5", "w") as f:
    f["images_train"], f["labels_train"] = images, [b"x"] * 20
with h5py.File(ours) as f:
    assert f["images_train"].shape == (12, 3, 16, 16) and f["images_train"].dtype == "uint8"
    assert f["labels_test"].shape == (5,) and f["labels_test"].dtype == "float64"
    assert f.attrs["response_high"] == b"90" or f.attrs["response_high"] == "90"
END
  check "h5py reads our HDF5 and writes the original's" "$python" "$work/official.py" "$work" "$work/a.h5"
  for file in utkface.h5 stored.npz packed.npz; do check "$file is read" convert "$work/$file" "$work/$file.safetensors"; done
  same "numpy's two archives hold the same" "$work/stored.npz.safetensors" "$work/packed.npz.safetensors"
  same "and the HDF5 file too" "$work/stored.npz.safetensors" "$work/utkface.h5.safetensors"
  refused() { check_error "$1" "$2" info --kind hdf5 --path "$3"; }
  refused "chunks beyond the array" 'chunks\.h5: array images_train: expected chunks of at most 20' "$work/chunks.h5"
  refused "a filter that is not there" 'array images_train: packed with filter 32000 lzf' "$work/lzf.h5"
  refused "a text of variable length" 'attribute response_low: expected one text of fixed length' "$work/text.h5"
  refused "a link to another file" 'array images_train: lies in another file' "$work/link.h5"
  refused "labels that are texts" 'array labels_train: expected integers or real numbers' "$work/names.h5"
else
  skip "exchange with h5py" "no HDF5, or no Python with numpy and h5py"
fi
finish
