#!/usr/bin/env bash
# What there is to know about Limbeck on a machine with a GPU, in steps of under nine minutes, each one command:
#   bench/on_gpu.sh STEP OUT       STEP: suite | sanitize | ops | steps | pytorch | all
# A step is made of parts. Each writes OUT/PART.txt; one that fails does not stop the others; one that is done is not run again, so the same
# command goes on where the time ran out (remove OUT/.done/PART to repeat one). The last lines sum up; exit code 0: all parts done and well,
# 1: some failed, 3: some are left. docs/cuda.md, "The first hour on a GPU".
#   suite     the kernels' tests, `ops check --record` (OUT/gpu.txt), gradients, PyTorch's fixtures in f64 and f32, a small workflow
#   sanitize  compute-sanitizer: memcheck, racecheck, synccheck, initcheck over as many operators as the time allows
#   ops       every operator beside the copy rate, cuBLAS and cuDNN; attention beside PyTorch's
#   steps     training steps of every network, in each precision, own kernels and tuned
#   pytorch   training steps beside the original networks in PyTorch; CHECKOUT=a checkout of UBCDingXin/cGAN-KD
# Environment: LIMBECK and LIMBECK_TESTS, the programs (build/cuda/; unpacked from build/gpu-bundle.tar.gz of `make gpu-bundle`, or built);
# PYTHON, with PyTorch; BUDGET, seconds of a step; TESTS, a filter; OPERATORS, FIXTURES; STEP_MODELS; MODELS, BATCHES of the comparison.
set -u
step=${1:-} out=${2:-}
case $step in
  suite | sanitize | ops | steps | pytorch | all) ;;
  *) sed -n '2,/^set -u/{/^#/s/^# \{0,1\}//p}' "$0" >&2; exit 2 ;;
esac
[[ -n $out ]] || { echo "on_gpu.sh: expected a folder after '$step'" >&2; exit 2; }
mkdir -p "$out/.done" || exit 2
out=$(realpath "$out")
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2

limbeck=${LIMBECK:-build/cuda/limbeck} tests=${LIMBECK_TESTS:-build/cuda/limbeck_tests}
python=${PYTHON:-python3} checkout=${CHECKOUT:-cGAN-KD} budget=${BUDGET:-520} cores=$(nproc)
networks=${MODELS:-resnet20 resnet8x4 vgg8 wrn_40_2}
deadline=$((SECONDS + budget))
summary=() failed=0 left=0
export OMP_WAIT_POLICY=passive

remaining() { echo $((deadline - SECONDS)); }

# --- parts ------------------------------------------------------------------------------------------------------------------------------
# note STATE PART TEXT
note() {
  summary+=("$(printf '%-7s %-28s %s' "$1" "$2" "$3")")
  case $1 in FAILED) failed=1 ;; left) left=1 ;; esac
  echo "${summary[-1]}"
}
# part NAME LIMIT COMMAND...: within LIMIT seconds and what is left of the step. Status 3, and a timeout, mean: to be continued.
part() {
  local name=$1 limit=$2 begin=$SECONDS status seconds; shift 2
  [[ -e $out/.done/$name ]] && { note ok "$name" "done before"; return; }
  seconds=$(remaining)
  ((seconds < limit)) || seconds=$limit
  ((seconds >= 5)) || { note left "$name" "no time left"; return; }
  part_deadline=$((SECONDS + seconds))
  if [[ $(type -t "$1") == function ]]; then "$@" > "$out/$name.txt" 2>&1; else timeout -k 5 "$seconds" "$@" > "$out/$name.txt" 2>&1; fi
  status=$?
  case $status in
    0) touch "$out/.done/$name"; note ok "$name" "$((SECONDS - begin)) s: $(last_line "$name")" ;;
    3 | 124 | 137) note left "$name" "stopped after $((SECONDS - begin)) s: $(last_line "$name")" ;;
    *) note FAILED "$name" "$((SECONDS - begin)) s, status $status: $(last_line "$name")" ;;
  esac
}
last_line() { grep -v '^[[:space:]]*$' "$out/$1.txt" | tail -n 1 | cut -c 1-120; }
# within COMMAND...: in what is left of this part.
within() {
  local seconds=$((part_deadline - SECONDS))
  ((seconds > 0)) || return 124
  timeout -k 5 "$seconds" "$@"
}

# --- programs ---------------------------------------------------------------------------------------------------------------------------
find_programs() {
  if [[ ! -x $limbeck && -z ${LIMBECK:-} && -f build/gpu-bundle.tar.gz ]]; then tar -xzf build/gpu-bundle.tar.gz -C build; fi
  if [[ ! -x $limbeck || ! -x $tests ]]; then
    make CUDA=1 JOBS="$cores" build/cuda/limbeck build/cuda/limbeck_tests || { echo "on_gpu.sh: no $limbeck and no $tests, and they could not be built" >&2; exit 2; }
  fi
  "$limbeck" --version > /dev/null || { echo "on_gpu.sh: $limbeck does not run here (ldd $limbeck; it needs glibc 2.35 or newer when it was built on Debian 12)" >&2; exit 2; }
}
# cuBLAS and cuDNN that came with PyTorch, the same for both sides, or else the toolkit's.
find_libraries() {
  local folder found=${LD_LIBRARY_PATH:-}
  for folder in "$("$python" -c 'import site; print(site.getsitepackages()[0])' 2> /dev/null)"/nvidia/*/lib /usr/local/cuda/lib64; do
    compgen -G "$folder/libcu*.so*" > /dev/null && found=${found:+$found:}$folder
  done
  export LD_LIBRARY_PATH=$found
}
about() {
  date -u; uname -srm; nproc; nvidia-smi || echo "no nvidia-smi"
  nvcc --version 2> /dev/null | tail -n 2
  ldd --version | head -n 1
  git log -1 --format='commit %h %cd' 2> /dev/null
  "$limbeck" --version && "$limbeck" ops support -o linear -o conv2d
  "$python" -c 'import torch; print("PyTorch", torch.__version__, torch.cuda.get_device_name(0))' 2>&1 | tail -n 1
}

# --- suite ------------------------------------------------------------------------------------------------------------------------------
# shards LOGS COUNT AT_ONCE FILTER [WRAPPER...]: the tests in many processes, because a kernel that crashes takes its process with it.
# What has been run is not run again. Prints the tests that failed or have no result; status 1 for these, 3 when shards are left.
shards() {
  local logs=$1 count=$2 at_once=$3 filter=$4 i wanted passed bad; shift 4
  mkdir -p "$logs"
  for ((i = 0; i < count; ++i)); do
    [[ -s $logs/$i.status ]] && continue
    while (($(jobs -rp | wc -l) >= at_once)); do wait -n; done
    ((part_deadline - SECONDS > 3)) || break
    run_shard "$logs" "$count" "$i" "$filter" "$@" &
  done
  wait
  wanted=$("$tests" --gtest_list_tests --gtest_filter="$filter" | grep -c '^  ')
  cat "$logs"/*.log 2> /dev/null | grep -E '^\[  FAILED  \] .*ms\)$' | sort -u
  for i in $(grep -lvx 0 "$logs"/*.status 2> /dev/null); do
    grep -q '^\[  FAILED  \]' "${i%.status}.log" || echo "shard $(basename "$i" .status) ended with status $(cat "$i") in: $(grep '^\[ RUN ' "${i%.status}.log" | tail -n 1)"
  done
  passed=$(cat "$logs"/*.log | grep -c '^\[       OK \]') bad=$(cat "$logs"/*.log | grep -cE '^\[  FAILED  \] .*ms\)$')
  echo "$wanted tests: $passed passed, $bad failed, $((wanted - passed - bad)) without a result; $(ls "$logs"/*.status 2> /dev/null | wc -l) of $count shards"
  ((bad == 0)) && ! grep -qvx 0 "$logs"/*.status 2> /dev/null || return 1
  (($(ls "$logs"/*.status 2> /dev/null | wc -l) == count)) || return 3
}
run_shard() {
  local logs=$1 count=$2 i=$3 filter=$4 status; shift 4
  GTEST_TOTAL_SHARDS=$count GTEST_SHARD_INDEX=$i OMP_NUM_THREADS=1 within "$@" "$tests" --gtest_filter="$filter" > "$logs/$i.log" 2>&1
  status=$?
  ((status == 124 || status == 137)) || echo "$status" > "$logs/$i.status"
}
kernel_tests() { shards "$out/tests" 48 $((cores < 8 ? cores : 8)) "${TESTS:-*}"; }

operators() {
  if [[ -n ${OPERATORS:-} ]]; then printf '%s\n' ${OPERATORS}
  else "$limbeck" ops support | awk 'NR == 1 { next } /^\*/ { exit } { print $1 }'; fi
}
# A process and a file for each operator: after a crash nothing that follows in the same process means anything. Then all in one file.
record() {
  local op files=$out/record bad=0 missing=0
  mkdir -p "$files"
  for op in $(operators); do
    [[ -s $files/$op.status ]] && continue
    while (($(jobs -rp | wc -l) >= 8)); do wait -n; done
    ((part_deadline - SECONDS > 3)) || break
    record_one "$files" "$op" &
  done
  wait
  { head -n 3 ops_cuda/gpu.txt; cat "$files"/*.txt | grep -v '^#' | LC_ALL=C sort; } > "$out/gpu.txt"
  for op in $(operators); do
    [[ -s $files/$op.status ]] || { missing=1; echo "left: $op"; continue; }
    [[ $(< "$files/$op.status") == 0 ]] || { bad=1; echo "FAILED $op, status $(< "$files/$op.status"): $(grep '^FAILED' "$files/$op.log" | head -n 3; tail -n 1 "$files/$op.log")"; }
  done
  echo "$(grep -c ' passed' "$out/gpu.txt") kernels passed, $(grep -c ' failed' "$out/gpu.txt") failed: gpu.txt"
  ((bad)) && return 1
  ((missing)) && return 3
  return 0
}
record_one() {
  local status
  # shellcheck disable=SC2086
  OMP_NUM_THREADS=2 within "$limbeck" ops check --device cuda -o "$2" --record "$1/$2.txt" ${RECORD_OPTIONS:-} > "$1/$2.log" 2>&1
  status=$?
  ((status == 124 || status == 137)) || echo "$status" > "$1/$2.status"
}
parity() {
  local status=0 fixture
  for fixture in ${FIXTURES:-$(find tests/data/fixtures -name '*.json' | LC_ALL=C sort)}; do
    within "$limbeck" parity --device cuda --dtype "$1" "$fixture" && continue
    ((part_deadline - SECONDS > 0)) || { echo "the time was up at $fixture"; return 3; }
    status=1; echo "FAILED $fixture"
  done
  if ((status)); then echo "some fixtures do not hold"; else echo "all fixtures hold"; fi
  return $status
}
workflow() {
  # shellcheck disable=SC2086
  within "$limbeck" run configs/tiny.toml --out "$out/tiny" --device cuda --quiet ${RUN_OPTIONS:-} || return
  within "$limbeck" report "$out/tiny"
}
suite() {
  part about 60 about
  part record 240 record
  part tests 400 kernel_tests
  part parity-f64 120 parity f64
  part parity-f32 120 parity f32
  part grad 120 "$limbeck" ops grad --device cuda --max-elements 20
  part workflow 120 workflow
}

# --- sanitize ---------------------------------------------------------------------------------------------------------------------------
sanitize_tool() { shards "$out/$1" 96 $((cores < 12 ? cores : 12)) "${TESTS:-*CudaTable.AgreesWithTheReference*}" "$sanitizer" --tool "$1" --error-exitcode 9; }
sanitize() {
  local tool
  sanitizer=${COMPUTE_SANITIZER:-$(command -v compute-sanitizer || echo /usr/local/cuda/bin/compute-sanitizer)}
  [[ -x $sanitizer ]] || { note FAILED sanitize "no compute-sanitizer"; return; }
  for tool in memcheck racecheck synccheck initcheck; do part "$tool" $((budget / 4)) sanitize_tool "$tool"; done
}

# --- ops, steps, pytorch ----------------------------------------------------------------------------------------------------------------
ops() {
  local precision
  for precision in f32 tf32 bf16; do
    part "ops-products-$precision" 150 "$limbeck" ops bench --device cuda --precision "$precision" --kernels tuned --seconds 0.02 -o conv2d -o conv_transpose2d -o linear -o matmul
  done
  part ops-attention 100 "$python" bench/attention_pytorch.py --limbeck "$limbeck" ${PYTHON_OPTIONS:-}
  part ops-all 300 "$limbeck" ops bench --device cuda --seconds 0.01
}

# train KERNELS PRECISION: a line of JSON for each network.
train() {
  local status=0 model options lines=$out/steps-$1-$2.jsonl
  touch "$lines"
  for model in ${STEP_MODELS:-resnet8 resnet14 resnet20 resnet32 resnet44 resnet56 resnet110 resnet8x4 resnet32x4 ResNet18 ResNet34 ResNet50 wrn_16_1 wrn_16_2 wrn_40_1 wrn_40_2 vgg8 vgg11 vgg13 vgg16 vgg19 MobileNetV2 ShuffleV1 ShuffleV2 efficientnetb0 densenet121 biggan sngan sagan biggan-deep}; do
    grep -q "\"model\":\"$model\"" "$lines" && continue
    case $model in biggan) options="--batch 32" ;; sngan | sagan) options="--batch 64" ;; biggan-deep) options="--batch 16" ;; *) options="--batch 64" ;; esac
    # shellcheck disable=SC2086
    within "$limbeck" bench train --device cuda --model "$model" ${STEP_OPTIONS:-$options} --kernels "$1" --precision "$2" --warmup 8 --seconds 0.3 --only train --json > "$out/line" || {
      ((part_deadline - SECONDS > 0)) || return 3
      status=1; echo "FAILED $model"; continue
    }
    cat "$out/line" >> "$lines"
    sed -E 's/.*"model":"([^"]*)".*/\1/' "$out/line" | tr '\n' ' '
    sed -E 's/.*"train":\{([^}]*)\}.*/\1/' "$out/line"
  done
  return $status
}
steps() {
  local precision
  for precision in f32 bf16 tf32; do part "steps-own-$precision" 140 train own "$precision"; done
  for precision in f32 bf16 tf32; do part "steps-tuned-$precision" 200 train tuned "$precision"; done
}

# compare NAME SECONDS-OF-A-NETWORK GROUP OPTION...: begins no network that might not be finished.
compare() {
  local name=$1 end=$((part_deadline - SECONDS - $2)) status
  # shellcheck disable=SC2086
  within "$python" bench/compare_pytorch.py --checkout "$checkout" --device cuda --limbeck "$limbeck" --threads "$cores" --group "$3" --turns 1 --seconds 0.3 \
    --json "$out/$name.json" --resume --deadline "$((end > 1 ? end : 1))" ${PYTHON_OPTIONS:-} "${@:4}" 2> "$out/$name.log"
  status=$?
  tail -n 3 "$out/$name.log"
  return $status
}
pytorch() {
  local eager=(f32 "f32 step graph" tf32 "tf32 step graph" bf16 "bf16 step graph")
  [[ -d $checkout ]] || { note FAILED pytorch "no checkout of the original networks at '$checkout' (CHECKOUT=)"; return; }
  # shellcheck disable=SC2086
  part pytorch-cifar 520 compare pytorch-cifar 60 cifar --models $networks --batch ${BATCHES:-64 128 256} --settings "${eager[@]}"
  part pytorch-gan 520 compare pytorch-gan 100 gan --models biggan sngan sagan --settings "${eager[@]}"
  # Compilation takes most of the time: one batch, the two precisions that matter.
  # shellcheck disable=SC2086
  part pytorch-compiled 520 compare pytorch-compiled 240 cifar --models $networks --batch 128 --precisions f32 bf16 --settings "${eager[@]}" "f32 graphs" "bf16 compile" "bf16 graphs"
}

# ----------------------------------------------------------------------------------------------------------------------------------------
find_programs
find_libraries
if [[ $step == all ]]; then
  for one in suite sanitize ops steps pytorch; do
    deadline=$((SECONDS + budget))
    echo "--- $one"
    "$one"
  done
else
  "$step"
fi
rm -f "$out/line"
{ echo "on_gpu.sh $step, $(date -u '+%Y-%m-%d %H:%M') UTC, $SECONDS s"; printf '%s\n' "${summary[@]}"; } > "$out/summary-$step.txt"
echo
cat "$out/summary-$step.txt"
[[ -s $out/gpu.txt ]] && echo "results of kernels: $out/gpu.txt (to be kept as ops_cuda/gpu.txt)"
((failed)) && exit 1
((left)) && { echo "parts are left: the same command goes on with them"; exit 3; }
exit 0
