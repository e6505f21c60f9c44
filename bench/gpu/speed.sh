# shellcheck shell=bash
# bench/on_gpu.sh: how fast are kernels and training steps, alone and beside PyTorch?
model=${MODEL:-resnet20}
gans=${GANS:-biggan sngan sagan biggan-deep}
every_classifier=${STEP_MODELS:-resnet8 resnet14 resnet20 resnet32 resnet44 resnet56 resnet110 resnet8x4 resnet32x4 ResNet18 ResNet34 ResNet50 wrn_16_1 wrn_16_2 wrn_40_1 wrn_40_2 vgg8 vgg11 vgg13 vgg16 vgg19 MobileNetV2 ShuffleV1 ShuffleV2 efficientnetb0 densenet121}
compared=${MODELS:-resnet20 resnet8x4 vgg8 wrn_40_2}
measured_for=${MEASURE_SECONDS:-0.3}

batch_of() {
  case $1 in biggan) echo 32 ;; sngan | sagan) echo 64 ;; biggan-deep) echo 16 ;; *) echo 128 ;; esac
}
# step_options MODEL: of `bench train`, for both sides of a comparison and alone.
step_options() { echo "--device cuda --model $1 --only train ${STEP_OPTIONS:---batch $(batch_of "$1")}"; }

# train "MODEL ..." "PRECISION ..." "own|tuned ...": training steps, in runs/gpu/steps/MODEL,KERNELS,PRECISION.log
train() {
  local name precision kernels file files=()
  for name in $1; do
    for precision in $2; do
      for kernels in $3; do
        file=$work/steps/$name,$kernels,$precision
        files+=("$file")
        # shellcheck disable=SC2046
        unit "$file" $part_limit "$limbeck" bench train $(step_options "$name") --kernels "$kernels" --precision "$precision" --warmup "${WARMUP:-8}" --seconds "$measured_for" --json
        step_line "$file"
      done
    done
  done
  outcome "${files[@]}"
}
# step_line FILE: a row of the table, when it was measured.
step_line() {
  [[ $(cat "$1.status" 2> /dev/null) == 0 ]] || return
  grep '^{' "$1.log" | sed -E 's/.*"batch":([0-9]+).*"peak_tensor_mib":([0-9.]+).*"train":\{"gflop_per_s":([-+.e0-9]+),"images_per_s":([-+.e0-9]+),"seconds_per_step":([-+.e0-9]+)\}.*/\1 \2 \3 \4 \5/' |
    awk -v name="$(basename "$1")" '{ split(name, n, ","); printf "| %s | %d | %s | %s | %.0f | %.3f | %.0f | %.0f |\n", n[1], $1, n[3], n[2], $4, 1e3 * $5, $3, $2 }'
}

# kernel_times PRECISION...: two eager training steps under ncu, in runs/gpu/kernel-times/. A third one would be recorded as a graph.
kernel_times() {
  local precision file files=() ncu=${NCU:-$(command -v ncu || echo /usr/local/cuda/bin/ncu)}
  [[ -x $ncu ]] || { echo "no ncu"; return 1; }
  for precision; do
    file=$work/kernel-times/$model-$precision
    files+=("$file")
    # shellcheck disable=SC2046
    unit "$file" $part_limit "$ncu" --clock-control none --metrics gpu__time_duration.sum --print-units base --csv --log-file "$file.csv" \
      "$limbeck" bench train $(step_options "$model") --precision "$precision" --warmup 0 --steps 2
    kernel_table "$file.csv"
    [[ $(cat "$file.status" 2> /dev/null) != 0 || -n $(kernel_table "$file.csv") ]] || { echo "$ncu saw no kernel: $(tail -n 1 "$file.csv")"; return 1; }
  done
  outcome "${files[@]}"
}
# kernel_table FILE.csv: time and launches of each kernel in a step, longest first.
kernel_table() {
  [[ -s $1 ]] || return
  awk -F '","' '
    /^"ID",/ { for (i = 1; i <= NF; ++i) { gsub(/"/, "", $i); column[$i] = i }; next }
    /^"[0-9]/ && column["Metric Value"] {
      name = $column["Kernel Name"]; value = $column["Metric Value"]; gsub(/[",]/, "", value)
      gsub(/limbeck::cuda::|<unnamed>::|\(anonymous namespace\)::|^void /, "", name)
      time[name] += value / 2000; launches[name] += 0.5; total += value / 2000
    }
    END { for (name in time) printf "| %.1f | %.1f %% | %g | `%s` |\n", time[name], 100 * time[name] / total, launches[name], substr(name, 1, 110)
          if (total) printf "| %.1f | all | | |\n", total }' "$1" | sort -t '|' -k 2,2 -rn
}

bench_products() {
  local op files=()
  for op in ${OPERATORS:-conv2d conv_transpose2d linear matmul}; do
    files+=("$work/ops/$op-tuned-$1")
    unit "$work/ops/$op-tuned-$1" $part_limit "$limbeck" ops bench --device cuda --precision "$1" --kernels tuned --seconds 0.02 -o "$op"
  done
  outcome "${files[@]}"
}
bench_operators() {
  local op files=()
  for op in $(operators); do
    files+=("$work/ops/$op")
    unit "$work/ops/$op" $part_limit "$limbeck" ops bench --device cuda --seconds 0.01 -o "$op"
  done
  outcome "${files[@]}"
}

# --- beside PyTorch ---------------------------------------------------------------------------------------------------------------------
# operator_beside_pytorch NAME: attention | convolution
operator_beside_pytorch() {
  has_pytorch || { echo "no PyTorch in $python (PYTHON=)"; return 4; }
  # shellcheck disable=SC2086
  within "$python" "bench/$1_pytorch.py" --limbeck "$limbeck" ${OPERATOR_OPTIONS:-}
}

# compare NAME RESERVE GROUP OPTION...: rates in runs/gpu/pytorch/NAME.json after each side, tables in NAME.md. Begins no side of a network that
# would have less than RESERVE seconds.
compare() {
  local name=$1 end=$((part_deadline - SECONDS - $2)) result=$work/pytorch/$1 status
  [[ -z $no_pytorch ]] || { echo "$no_pytorch"; return 4; }
  mkdir -p "$work/pytorch"
  # shellcheck disable=SC2086
  within "$python" bench/compare_pytorch.py --checkout "$checkout" --device cuda --limbeck "$limbeck" --threads "$cores" --group "$3" --turns 1 --seconds "$measured_for" \
    --json "$result.json" --resume --deadline "$((end > 1 ? end : 1))" "${@:4}" ${PYTHON_OPTIONS:-} > "$result.new" 2>> "$result.log"
  status=$?
  [[ -s $result.new ]] && mv "$result.new" "$result.md"
  tail -n 3 "$result.log"
  return $status
}
eager=(f32 "f32 step graph" tf32 "tf32 step graph" bf16 "bf16 step graph")
# Compilation takes a minute for a network, so it comes last, and each side is kept when it is measured.
pytorch_first() {
  part pytorch-first 250 compare first 15 cifar --models "$model" --batch ${FIRST_BATCH:-128} --precisions f32 bf16 --settings f32 "f32 step graph" bf16 "bf16 step graph" "f32 graphs" "bf16 graphs"
}
pytorch_classifiers() {
  # shellcheck disable=SC2086
  part pytorch-classifiers 400 compare classifiers 15 cifar --models $compared --batch ${BATCHES:-128 256 64} --settings "${eager[@]}"
}
pytorch_gans() {
  # shellcheck disable=SC2086
  part pytorch-gans 400 compare gans 30 gan --models $gans --settings "${eager[@]}"
}
pytorch_compiled() {
  # shellcheck disable=SC2086
  part pytorch-compiled 500 compare compiled 60 cifar --models $compared --batch ${FIRST_BATCH:-128} --precisions f32 bf16 --settings "${eager[@]}" "f32 graphs" "bf16 compile" "bf16 graphs"
}
