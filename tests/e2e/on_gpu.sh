#!/usr/bin/env bash
# A dry run of bench/on_gpu.sh, which has to work at first try on a machine that is there for minutes: the bundle unpacked in an empty folder,
# without network, the programs of the SIMT shim, PyTorch's side on the CPU. Cut off at a random second, then stopped by SIGTERM, then finished.
# What was measured is not measured again, not even on another machine that has only what came back.
source "$(dirname "$0")/lib.sh"
simulated=$(dirname "$limbeck")/sim/sanitized_limbeck tests=$(dirname "$limbeck")/sim/sanitized_tests
[[ -x $simulated && -x $tests ]] || { simulated=$(dirname "$limbeck")/sim/limbeck tests=$(dirname "$limbeck")/sim/limbeck_tests; }
if [[ ! -x $simulated || ! -x $tests ]]; then
  skip "the dry run" "no $simulated with $tests (make CUDA=sim)"
  finish
fi
python=${PYTHON:-python3}

# --- stand-ins ---------------------------------------------------------------------------------------------------------------------------
# A checkout of the original networks with one that is quick.
models=$work/original/CIFAR-100/RepDistiller/models
mkdir -p "$models" "$work/original/CIFAR-100/BigGAN" "$work/original/SteeringAngle" "$work/original/images"
touch "$work/original/LICENSE" "$work/original/images/large.png"
cat > "$models/__init__.py" << 'PYTHON'
from torch import nn
model_dict = {"resnet8": lambda num_classes: nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, num_classes))}
PYTHON
# ncu: runs the program, and writes a table as ncu does.
cat > "$work/ncu" << 'NCU'
#!/usr/bin/env bash
while [[ $1 == --* ]]; do
  case $1 in --log-file) log=$2; shift 2 ;; --csv) shift ;; *) shift 2 ;; esac
done
"$@" || exit
columns='"ID","Process ID","Process Name","Host Name","Kernel Name","Context","Stream","Block Size","Grid Size","Device","CC","Section Name","Metric Name","Metric Unit","Metric Value"'
row() { echo "\"$1\",\"9\",\"limbeck\",\"127.0.0.1\",\"$2\",\"1\",\"7\",\"(256, 1, 1)\",\"(4, 1, 1)\",\"0\",\"9.0\",\"Command line profiler metrics\",\"gpu__time_duration.sum\",\"ns\",\"$3\""; }
{ echo "==PROF== Connected to process 9"; echo "$columns"; for i in 0 2; do row $i "void limbeck::cuda::relu_kernel<float>(const T1 *, T1 *, long)" "3,000"; row $((i + 1)) "sgd(float *, long)" 1,000; done; } > "$log"
NCU
chmod +x "$work/ncu"

# --- a place with nothing but the bundle, and no network -----------------------------------------------------------------------------------
check "the bundle" tools/make/gpu_bundle.sh "$work/gpu-bundle.tar.gz" "$simulated" "$tests" "$work/original"
place=$work/elsewhere
mkdir "$place"
check "it unpacks in an empty folder" tar -xzf "$work/gpu-bundle.tar.gz" -C "$place"
check_absent "and has of the original only networks" "$place/build/cuda/cGAN-KD/images"

offline=()
if unshare -rn true 2> /dev/null; then offline=(unshare -rn); else skip "without network" "unshare -n is not permitted"; fi
small=(FIRST_OPERATORS=relu OPERATORS="exp permute" TESTS="*CudaTable.AgreesWithTheReference*relu*" SHARDS=2 FIXTURES=tests/data/fixtures/cifar100/resnet8.json MODEL=resnet8
  STEP_OPTIONS="--batch 2 --size 8" WARMUP=0 MEASURE_SECONDS=0.01 FIRST_BATCH=2 NCU="$work/ncu" RECORD_OPTIONS=--record-simulated
  PYTHON_OPTIONS="--torch-device cpu --size 8 --kernels own --precisions f32 bf16 --settings f32 bf16" PYTHON="$python"
  RUN_OPTIONS="--stop-after teacher --set data.shapes.train=10 --set data.shapes.test=4 --set teacher.model=resnet8 --set teacher.epochs=1 --set teacher.batch=6")
become() { # FOLDER STEP [NAME=VALUE...]
  local one=$2
  cd "$1" || exit
  shift 2
  exec "${offline[@]}" env "${small[@]}" "$@" bench/on_gpu.sh "$one" out
}
dry_run() { (become "$@"); }
to_the_end() { # as dry_run; what a slow machine leaves is done by further calls
  local i status
  for i in 1 2 3 4 5 6; do
    dry_run "$@"
    status=$?
    ((status == 3)) || return $status
  done
  return 3
}
refused() { # NAME PATTERN COMMAND...: at once, with status 2 and one line
  local name=$1 pattern=$2; shift 2
  "$@" > "$work/out" 2> "$work/err"
  local status=$?
  if ((status == 2)) && [[ $(wc -l < "$work/err") == 1 ]] && grep -Eq "$pattern" "$work/err"; then ok "$name"
  else bad "$name" "status $status: $(tail -n 3 "$work/err" | tr '\n' ' ')"; fi
}
mkdir -p "$work/bare/out"
cp -r bench "$work/bare"
refused "without programs it says what makes them" "make CUDA=1 gpu-bundle" dry_run "$work/bare" first
refused "PyTorch's side needs the original networks" "no original networks in $work/none" dry_run "$place" pytorch CHECKOUT="$work/none"
refused "science needs its images" "DATA= a folder with CIFAR-10" dry_run "$place" science

# --- cut off, stopped, finished --------------------------------------------------------------------------------------------------------------
measured() { (cd "$1/runs/gpu" && find . -name '*.status' -exec sh -c 'for f; do echo "$f"; echo "${f%status}log"; done' - {} + | LC_ALL=C sort | xargs -r sha256sum); }
keeps() { (cd "$1/runs/gpu" && [[ -s $2 ]] && sha256sum --quiet -c "$2"); }
set -m
become "$place" first > "$work/first" 2>&1 &
first=$!
set +m
for ((i = 0; i < 600; ++i)); do
  compgen -G "$place/runs/gpu/*/*.status" > /dev/null && break
  sleep 0.1
done
wanted=$((RANDOM % 12))
sleep $wanted
kill -KILL -- "-$first" 2> /dev/null
{ wait "$first"; } 2> /dev/null
measured "$place" > "$work/measured"
check "cut off $wanted s after the first result" test -s "$work/measured"
check "OUT is whole then, too" sh -c "[ ! -e '$place/out/gpu.tar.gz' ] || tar -tzf '$place/out/gpu.tar.gz'"

become "$place" first > "$work/second" 2>&1 &
second=$!
for ((i = 0; i < 600; ++i)); do
  [[ -s $work/second ]] && break
  sleep 0.1
done
sleep $((RANDOM % 3))
kill -TERM $second 2> /dev/null
wait $second
status=$?
if ((status == 3 || status == 0)); then ok "stopped by SIGTERM"; else bad "stopped by SIGTERM" "status $status: $(tail -n 3 "$work/second")"; fi
check "nothing measured was lost" keeps "$place" "$work/measured"
check "it leaves what it has" tar -tzf "$place/out/gpu.tar.gz"
measured "$place" > "$work/measured"

check "the first step to its end" to_the_end "$place" first

check "nothing measured was lost again" keeps "$place" "$work/measured"
report=$place/out/report.md
cp "$report" "$work/out"
check_output "the report has parts, steps and kernels" "^\| check-first \| ok" "^\| tests \| ok" "^\| workflow \| ok" "^\| resnet8 \| 2 \| bf16 \| own \|" '^\| 3\.0 \| 75\.0 % \| 1 \| `relu_kernel'
cp "$place/out/gpu.txt" "$work/out"
check_output "the results file has the kernels" "^relu cuda-naive f32 passed-simulated" "^permute cuda[^ ]* f32 passed-simulated"
check "at most eight files come back, none large" sh -c "[ \$(ls -A '$place/out' | wc -l) -le 8 ] && [ -z \"\$(find '$place/out' -size +16383k)\" ]"
if "$python" -c 'import torch' 2> /dev/null; then
  cp "$report" "$work/out"
  check_output "PyTorch's side" "^\| pytorch-first \| ok" "^\| resnet8 \| [0-9.]+ \| (-|[0-9.]+) \| [0-9.]+ \|"
else
  skip "PyTorch's side" "$python has no torch"
fi

# --- another machine, other programs ---------------------------------------------------------------------------------------------------------
# It has a checkout with the bundle in build/, which the script unpacks.
mkdir -p "$work/third-place/runs" "$work/third-place/build"
tar -xzf "$work/gpu-bundle.tar.gz" -C "$work/third-place" --exclude=build
cp "$work/gpu-bundle.tar.gz" "$work/third-place/build"
tar -xzf "$place/out/gpu.tar.gz" -C "$work/third-place/runs"
SECONDS=0
check "another machine goes on with what came back" dry_run "$work/third-place" first
check "and measures nothing again" test -z "$(grep '^ok' "$work/out" | grep -v 'done before')"
check "as it was" keeps "$work/third-place" "$work/measured"

# A GAN: real images are a colour for each class.
for ((i = 0; i < 20; ++i)); do printf "\\x0$((i % 10))"; head -c 3072 /dev/zero | tr '\0' "\\$(printf %o $((40 + 10 * i)))"; done > "$work/test_batch.bin"
cp "$work/test_batch.bin" "$work/data_batch_1.bin"
printf '#!/bin/sh\nexec "%s" "$@"\n' "$simulated" > "$work/other"
chmod +x "$work/other"
gan=(DATA="$work" PILOT=4 BUDGET=40 LIMBECK="$work/other" LIMBECK_TESTS="$tests"
  SCIENCE_OPTIONS="--set gan.batch=2 --set gan.d_steps=1 --set gan.g_ch=2 --set gan.d_ch=2 --set gan.sample_every=0")
dry_run "$place" science "${gan[@]}" > "$work/out" 2>&1  # its generator may be done or left
check_output "other programs do not take over results" "other programs than before: the results of those are in runs/gpu/earlier/"
check "a GAN for the time there is" to_the_end "$place" science "${gan[@]}"
check "its generator comes back in parts" sh -c "cat '$place'/out/generator.safetensors.part-* > '$work/generator.safetensors'"
check "and draws" "$limbeck" sample --ckpt "$work/generator.safetensors" --class 1 --n 2 --out "$work/grid.png"
finish
