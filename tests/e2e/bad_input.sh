#!/usr/bin/env bash
# Bad input: one line that names the thing, exit code 1, nothing left that looks whole.
source "$(dirname "$0")/lib.sh"

bytes() { printf "$(printf '\\x%02x' "$@")"; }
zeros() { head -c "$1" /dev/zero; }
info() { "$limbeck" data info "$@"; }

# --- data files -----------------------------------------------------------------------------------------------------------------
cifar=$work/cifar; mkdir "$cifar"
record() { bytes "$1"; zeros 3072; }
{ record 0; record 1; } > "$cifar/data_batch_1.bin"
cp "$cifar/data_batch_1.bin" "$cifar/test_batch.bin"
check "a whole CIFAR-10 file is read" info --kind cifar10 --path "$cifar"
{ record 0; record 1; zeros 1000; } > "$cifar/data_batch_1.bin"
check_error "truncated CIFAR file" "data_batch_1.bin: record 2: expected 3073 bytes, found 1000" info --kind cifar10 --path "$cifar"
{ record 0; record 77; } > "$cifar/data_batch_1.bin"
check_error "label out of range" "data_batch_1.bin: record 1: label 77, expected 0\.\.9" info --kind cifar10 --path "$cifar"
check_error "missing data folder" "$work/nowhere" info --kind cifar10 --path "$work/nowhere"

idx=$work/idx; mkdir "$idx"
images() { bytes 0 0 8 3 0 0 0 2 0 0 0 28 0 0 0 28; zeros $((2 * 784)); }
labels() { bytes 0 0 8 1 0 0 0 2 0 1; }
for part in train t10k; do images > "$idx/$part-images-idx3-ubyte"; labels > "$idx/$part-labels-idx1-ubyte"; done
check "a whole IDX set is read" info --kind idx --path "$idx"
{ bytes 0 0 9 9; images | tail -c +5; } > "$idx/train-images-idx3-ubyte"
check_error "IDX with a wrong magic" "train-images-idx3-ubyte: .*(magic|0x)" info --kind idx --path "$idx"
images | head -c 1000 > "$idx/train-images-idx3-ubyte"
check_error "truncated IDX file" "train-images-idx3-ubyte" info --kind idx --path "$idx"

folder=$work/folder; mkdir "$folder"
"$limbeck" data preview --shapes-train 10 --shapes-test 10 --per-class 1 --zoom 1 --out "$folder/a.png" > /dev/null 2>&1
printf 'file,class\na.png,0\n' > "$folder/labels.csv"
head -c 200 "$folder/a.png" > "$folder/b.png"
printf 'file,class\na.png,0\nb.png,1\n' > "$folder/labels.csv"
check_error "corrupt PNG" "b\.png" info --kind folder --path "$folder"
printf 'file,class\na.png,0\nc.png,1\n' > "$folder/labels.csv"
check_error "missing image" "c\.png" info --kind folder --path "$folder"

# --- configurations -------------------------------------------------------------------------------------------------------------
run() { "$limbeck" run "$1" --out "$work/run" "${@:2}"; }
printf '[gan]\nsteps = "many"\n' > "$work/type.toml"
check_error "configuration with a wrong type" "type.toml:2: 'gan.steps': expected an integer, found a string" run "$work/type.toml"
printf 'seed = 1\n[gan]\nstep = 3\n' > "$work/key.toml"
check_error "unknown key names its line and the nearest key" "key.toml:3: unknown key 'gan.step'; did you mean 'gan.steps'\?" run "$work/key.toml"
printf '[gan\nsteps = 3\n' > "$work/syntax.toml"
check_error "syntax error names its line" "syntax.toml:1: not TOML" run "$work/syntax.toml"
check_error "missing configuration" "$work/none.toml" run "$work/none.toml"
check_error "unknown key in --set" "did you mean 'student.model'" run configs/tiny.toml --set student.modle=resnet8
check_error "a key of an earlier version" "did you mean 'data.shapes.train'\?" run configs/tiny.toml --set data.shapes_train=10
check_error "missing data" "data.path: $work/nowhere: expected a folder with data_batch" run configs/cifar10.toml --set data.path="$work/nowhere"
check_error "suggestions look past upper case" "did you mean 'gan.batch'" run configs/tiny.toml --set gan.BATCH=4
check_error "suggestions stay in the section" "did you mean 'teacher.batch'" run configs/tiny.toml --set teacher.bacth=4
check_error "a name like none lists the section" "unknown key 'teacher.steps'; .teacher. has model, epochs, batch" run configs/tiny.toml --set teacher.steps=4
check_error "unknown data source" "data.kind: unknown source 'shape'; did you mean 'shapes'" run configs/tiny.toml --set data.kind=shape
check_error "unknown network" "student.model: unknown network 'resnet9'" run configs/tiny.toml --set student.model=resnet9
check_error "unknown stage" "unknown stage 'techer'; did you mean 'teacher'" run configs/tiny.toml --stop-after techer
check_absent "none of these made a finished stage" "$work"/run/stages/*/done.json

# --- checkpoints ----------------------------------------------------------------------------------------------------------------
run=$work/small
check "a teacher to work with" "$limbeck" run configs/tiny.toml --out "$run" --set teacher.epochs=1 --stop-after teacher
ckpt=$run/stages/teacher/model.safetensors
check_error "a classifier where a generator is expected" "model.safetensors" "$limbeck" sample --ckpt "$ckpt" --n 4 --out "$work/grid.png"
head -c $(($(stat -c %s "$ckpt") - 100)) "$ckpt" > "$work/short.safetensors"
check_error "truncated checkpoint" "short.safetensors" "$limbeck" eval --ckpt "$work/short.safetensors"
sed 's/"network":"resnet14"/"network":"resnet20"/' "$ckpt" > "$work/other.safetensors"  # as long, so the header stays whole
check "the checkpoint names its network" grep -aq '"network":"resnet20"' "$work/other.safetensors"
check_error "checkpoint of another network" "other.safetensors" "$limbeck" eval --ckpt "$work/other.safetensors"
check_absent "no picture was left" "$work/grid.png"
check_error "report of a folder that is no run" "not a run folder" "$limbeck" report "$work"

# 2^61 + 1 images of 3072 values: the product is 3072 modulo 2^64, and so many bytes follow.
{ bytes 0x93; printf 'NUMPY\001\000\166\000%-117s\n' "{'descr': '|u1', 'fortran_order': False, 'shape': (2305843009213693953, 3, 32, 32), }"; zeros 3072; } > "$work/wraps.npy"
check_error "a shape whose product wraps" "wraps.npy: npy shape .* is too large" "$limbeck" predict --ckpt "$ckpt" --input "$work/wraps.npy" --out "$work/o.npy"
check_absent "no prediction was left" "$work/o.npy"

# --- reports of folders with nulls ------------------------------------------------------------------------------------------------
nulls=$work/nulls; mkdir -p "$nulls/stages/s"
echo '{"format":3,"stages":[{"name":"s","title":"t","needs":[],"fingerprint":"x","labels":{"role":"fakes"}}]}' > "$nulls/run.json"
echo '{"fingerprint":"x"}' > "$nulls/stages/s/done.json"
echo '{"found":{"value":0.5,"unit":"share","better":"higher","kind":"fakes"},"consistency":{"value":null,"unit":"share","better":"higher","kind":"fakes"}}' > "$nulls/stages/s/result.json"
echo '{"step":1,"candidates":1,"candidates_consistent":null,"kept":1,"kept_consistent":null}' > "$nulls/stages/s/metrics.jsonl"
check "a report of a run with missing numbers" "$limbeck" report "$nulls"
check_output "shows them as -" "^s +consistency +- +0$"
echo '{"format":3,"stages":{}}' > "$nulls/run.json"
check_error "a list that is none" "nulls/run.json: \"stages\": expected array, found object" "$limbeck" report "$nulls"

# --- places to write ------------------------------------------------------------------------------------------------------------
check_error "read-only place for a run" "/proc/limbeck: .*cannot be created" "$limbeck" run configs/tiny.toml --out /proc/limbeck
check_error "read-only place for a report" "/proc/report.html" "$limbeck" report "$run" --out /proc/report.html
check_error "a file in place of the run folder" "is a file; expected a folder" "$limbeck" run configs/tiny.toml --out "$ckpt"
for command in "run configs/tiny.toml --set teacher.epochs=1 --out" report status; do
  mkdir -p "$work/old/stages"; : > "$work/old/.lock"
  echo '{"stages": []}' > "$work/old/run.json"
  check_error "${command%% *} of a folder of an earlier version" "run.json: of an earlier version .*format 3" "$limbeck" $command "$work/old"
  echo '{"format": 3, "stages": [{"na' > "$work/old/run.json"
  check_error "${command%% *} of a folder with a torn run.json" "run.json: malformed" "$limbeck" $command "$work/old"
done
check_error "a wrong --only" "no stage has stage 'gna'; did you mean 'gan'" "$limbeck" run configs/tiny.toml --out "$work/unused" --only stage=gna
check_absent "leaves no folder" "$work/unused"
check_error "a folder with other things in it" "not of a run" "$limbeck" run configs/tiny.toml --out "$folder"

linked=$work/linked; mkdir -p "$linked/stages" "$work/precious"
touch "$linked/.lock" "$work/precious/thesis.txt"
ln -s ../../precious "$linked/stages/teacher"
check_error "a stage's folder that is a link" "stages/teacher: is a symbolic link" "$limbeck" run configs/tiny.toml --out "$linked" --stop-after teacher
check "nothing was cleared behind it" test -e "$work/precious/thesis.txt"

mkdir "$work/dev"
if mknod "$work/dev/null" c 1 3 2> /dev/null && : 2> /dev/null > "$work/dev/null"; then
  check "--out on a device" "$limbeck" convert "$ckpt" "$work/dev/null" --plain
  check "leaves the device what it is" test -c "$work/dev/null"
  check_error "a run on a device" "expected a folder" "$limbeck" run configs/tiny.toml --out "$work/dev/null"
else
  skip "--out on a device" "making a device needs more rights"
fi
check_error "--out on a folder" "precious: is a folder; expected a file" "$limbeck" convert "$ckpt" "$work/precious" --plain
check "to a pipe" bash -c "'$limbeck' convert '$ckpt' /dev/stdout --plain | cat > '$work/piped'"
check "comes what a file would hold" bash -c "'$limbeck' convert '$ckpt' '$work/plain.safetensors' --plain > /dev/null && head -c \$(stat -c %s '$work/plain.safetensors') '$work/piped' | cmp - '$work/plain.safetensors'"
# A name of the descriptor in a folder of the test: were it replaced, /dev/stdout itself would stay.
ln -s /proc/self/fd/1 "$work/stdout"
check "to a file by the name of the descriptor" bash -c "'$limbeck' convert '$ckpt' '$work/stdout' --plain > '$work/redirected'"
check "comes what a file would hold there too" bash -c "head -c \$(stat -c %s '$work/plain.safetensors') '$work/redirected' | cmp - '$work/plain.safetensors'"
check "and the name stays" test -L "$work/stdout"
check "nor does a name without a folder go" bash -c "cd '$work' && '$(realpath "$limbeck")' convert '$(realpath "$ckpt")' stdout --plain > again && test -L stdout"
echo keep > "$work/victim"
ln -s victim "$work/o.safetensors.tmp"
check "a link where a temporary file was" "$limbeck" convert "$ckpt" "$work/o.safetensors" --plain
check "is not followed" grep -q '^keep$' "$work/victim"

# A file-size limit stands in for the full disk where no file system can be mounted: writes beyond it fail (the signal is ignored).
limited() { (trap '' XFSZ; ulimit -f 64; "$@"); }
check_error "writes that fail" "stage teacher: .*stages/teacher/.*: cannot write" limited "$limbeck" run configs/tiny.toml --out "$work/limited" --set teacher.epochs=1 --stop-after teacher
check_absent "leave nothing that looks whole" "$work/limited/stages/teacher/done.json" "$work/limited/stages/teacher/model.safetensors" $(find "$work/limited" -name '*.tmp')
check "and the run continues when there is room" "$limbeck" run configs/tiny.toml --out "$work/limited" --set teacher.epochs=1 --stop-after teacher
check_same "with the same bits" "$run" "$work/limited"

disk=$work/disk; mkdir "$disk"
if mount -t tmpfs -o size=128k tmpfs "$disk" 2> /dev/null; then
  cleanups+=("umount '$disk'")
  # Before work a full disk is refused (before_work.sh); a worker of --jobs does not look again.
  check_error "full disk" "No space left on device" "$limbeck" run configs/tiny.toml --out "$disk/run" --set teacher.epochs=1 --stop-after teacher --worker
  check_absent "leaves nothing that looks whole" "$disk/run/stages/teacher/done.json" $(find "$disk" -name '*.tmp')
else
  skip "full disk" "mounting a small file system needs more rights"
fi
finish
