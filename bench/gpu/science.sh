# shellcheck shell=bash
# bench/on_gpu.sh: a GAN of the paper's width, trained for as many steps as the time allows. A pilot of half a minute says how many that are;
# they are part of the run's configuration and stay what they are when the run goes on.
part_bytes=15M

# gan_run SECONDS FOLDER OPTION...: status 0 done, 3 stopped in time with a checkpoint.
gan_run() {
  local limit=$1 folder=$2; shift 2
  # shellcheck disable=SC2086
  timeout --foreground --preserve-status -s TERM -k 20 "$limit" "$limbeck" run configs/cifar10_gan.toml --out "$folder" --device cuda --quiet \
    --stop-after gan --set data.path="$DATA" ${SCIENCE_OPTIONS:-} "$@"
}
steps_of() { sed -nE 's/.*"step":([0-9]+).*/\1/p' "$1/stages/gan/metrics.jsonl" 2> /dev/null | tail -n 1; }

choose_steps() {
  local pilot=${PILOT:-30} done_steps status
  rm -rf "$work/science/pilot"
  gan_run "$pilot" "$work/science/pilot" --set gan.steps=100000000 --set gan.health_every=5 --set gan.sample_every=0
  status=$?
  done_steps=$(steps_of "$work/science/pilot")
  rm -rf "$work/science/pilot"
  ((status == 3)) && [[ -n $done_steps ]] || { echo "the pilot of $pilot s ended with status $status after ${done_steps:-no} steps"; return 1; }
  echo "$((done_steps * (part_deadline - SECONDS - 22) * 95 / (100 * pilot) + 1))" > "$work/science/steps"
}

full_width_gan() {
  local steps run=$work/science/run status
  mkdir -p "$work/science"
  [[ -s $work/science/steps ]] || choose_steps || return
  steps=$(< "$work/science/steps")
  ((part_deadline - SECONDS >= 20)) || return 3
  gan_run $((part_deadline - SECONDS - 15)) "$run" --set gan.steps="$steps" --set gan.sample_every=$(((steps + 7) / 8))
  status=$?
  ((status == 0)) || { echo "status $status at step $(steps_of "$run") of $steps"; return "$status"; }
  split -b $part_bytes -d "$run/stages/gan/generator.safetensors" "$work/science/generator.safetensors.part-"
  for file in "$work"/science/generator.safetensors.part-*; do deliver "$file" "$(basename "$file")"; done
  echo "$steps steps; cat generator.safetensors.part-* > generator.safetensors; sha256 $(sha256sum "$run/stages/gan/generator.safetensors" | cut -d ' ' -f 1)"
}
