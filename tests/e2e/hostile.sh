#!/usr/bin/env bash
# Files made to break readers, each read within 1 GB of address space and 10 seconds of processor time: refused in one line. Then limits of the
# system: a file that may not grow, devices in the place of files. (Damaged files of every format: tests/fuzz.)
source "$(dirname "$0")/lib.sh"
limited() { (ulimit -v 1048576; ulimit -t 10; export OMP_NUM_THREADS=1; exec "$@"); }
refused() { local name=$1 pattern=$2; shift 2; check_error "$name" "$pattern" limited "$limbeck" "$@"; }

# safetensors HEADER-FILE OUT [DATA-FILE]: a file with this header.
safetensors() {
  local n i; n=$(stat -c %s "$1")
  { for ((i = 0; i < 8; ++i)); do printf "\\x$(printf %02x $((n >> 8 * i & 255)))"; done; cat "$1" ${3:+"$3"}; } > "$2"
}
head -c 1048576 /dev/zero > "$work/data"
awk 'BEGIN { printf "{"; for (i = 0; i < 4000; ++i) printf "%s\"%d\":{\"dtype\":\"U8\",\"shape\":[1048576],\"data_offsets\":[0,1048576]}", i ? "," : "", i; printf "}" }' > "$work/header"
safetensors "$work/header" "$work/overlap.safetensors" "$work/data"
refused "4,000 tensors on the same megabyte" 'overlap or gap' data info --kind container --path "$work/overlap.safetensors"
awk 'BEGIN { printf "{"; for (i = 0; i < 60000; ++i) printf "%s\"%d\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}", i ? "," : "", i; printf "}" }' > "$work/header"
safetensors "$work/header" "$work/many.safetensors"
refused "60,000 empty tensors" 'expected an array images_train' data info --kind container --path "$work/many.safetensors"
awk 'BEGIN { printf "{\"__metadata__\":{"; for (i = 0; i < 120000; ++i) printf "%s\"%d\":\"\"", i ? "," : "", i; printf "}}" }' > "$work/header"
safetensors "$work/header" "$work/metadata.safetensors"
refused "120,000 keys of metadata" 'expected an array images_train' data info --kind container --path "$work/metadata.safetensors"
printf '{"__metadata__":{"network":"resnet8","outputs":"1000000","channels":"3","size":"32","mean":"0 0 0","deviation":"1 1 1"}}' > "$work/header"
safetensors "$work/header" "$work/outputs.safetensors"
refused "a network of a million classes without tensors" 'larger than its tensors' eval --ckpt "$work/outputs.safetensors"
printf '{"a":{"dtype":"U8","shape":[4611686018427387904,4],"data_offsets":[0,0]}}' > "$work/header"
safetensors "$work/header" "$work/product.safetensors"
refused "sizes whose product overflows" "tensor 'a'" data info --kind container --path "$work/product.safetensors"

mkdir "$work/idx"
# 512 MB of zeros behind one image.
{ printf '\0\0\x8\3\0\0\0\1\0\0\0\2\0\0\0\2'; head -c 536870912 /dev/zero; } | gzip -1 > "$work/idx/train-images-idx3-ubyte.gz"
printf '\0\0\x8\3\0\0\0\1\0\0\0\2\0\0\0\2\0\0\0\0' > "$work/idx/t10k-images-idx3-ubyte"
printf '\0\0\x8\1\0\0\0\1\0' | tee "$work/idx/train-labels-idx1-ubyte" > "$work/idx/t10k-labels-idx1-ubyte"
refused "a gzip bomb" 'train-images-idx3-ubyte.gz' data info --kind idx --path "$work/idx"

folder() { rm -rf "$work/folder"; mkdir "$work/folder"; cat > "$work/folder/a.img"; printf 'file,label\na.img,0\n' > "$work/folder/labels.csv"; }
printf '\0\0\2\0\0\0\0\0\0\0\0\0\377\377\377\377\40\0' | folder
refused "18 bytes of TGA that stand for 17 GB" 'a.img' data info --kind folder --path "$work/folder"
printf 'P6 60000 60000 255\n' | folder
refused "a PNM of 10 GB without pixels" 'a.img' data info --kind folder --path "$work/folder"

folder < /dev/null; printf 'file,label\n"a\nb\033[31m.png",0\n' > "$work/folder/labels.csv"
refused "a name with a line break and a colour is one line of error" 'labels.csv: line 2: .*no such file' data info --kind folder --path "$work/folder"
if grep -q $'\033' "$work/err"; then bad "without what steers a terminal" "$(cat -v "$work/err")"; else ok "without what steers a terminal"; fi
printf 'seed = 1 # m\303\270ller\n\303\270 = 2\n' > "$work/letters.toml"
refused "a letter that toml++ takes for impossible" 'letters.toml:2: not TOML' config "$work/letters.toml"

deep=$(head -c 100000 /dev/zero | tr '\0' '[')
echo "seed = $deep" > "$work/deep.toml"
refused "100,000 brackets in a configuration" 'deep.toml' config "$work/deep.toml"
mkdir -p "$work/run/stages"; echo "{\"format\": 2, \"stages\": $deep" > "$work/run/run.json"
refused "in run.json" 'run.json' report "$work/run"
refused "in a fixture" 'deep.toml' parity "$work/deep.toml"

for command in "config /dev/zero" "eval --ckpt /dev/zero" "parity /dev/zero" "convert /dev/zero $work/no.safetensors --plain" "sample --ckpt /dev/zero --out $work/no.png" \
  "op softmax --in /dev/zero --out $work/no.safetensors" "data info --kind container --path /dev/zero"; do
  refused "a device for a file: ${command%% *}" '/dev/zero' $command
done

check "a run to convert" "$limbeck" run configs/tiny.toml --out "$work/tiny" --stop-after teacher --quiet
small_files() { (ulimit -f 8; exec "$@"); }
check_error "a file that may not grow" 'File too large' small_files "$limbeck" convert "$work/tiny/stages/teacher/model.safetensors" "$work/large.safetensors" --plain
check_absent "leaves nothing behind" "$work"/large.safetensors*
check_error "nor does a run" 'File too large' small_files "$limbeck" run configs/tiny.toml --out "$work/limited" --quiet
check_absent "nor does it leave half a file" $(find "$work/limited" -name '*.tmp')
finish
