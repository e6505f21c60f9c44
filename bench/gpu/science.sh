# shellcheck shell=bash
# bench/on_gpu.sh: a GAN of the paper's width, trained for as many steps as the time allows. A pilot of half a minute says how many that are;
# they are part of the run's configuration and stay what they are when the run goes on.
part_bytes=15M

# gan_run SECONDS FOLDER OPTION...: status 0 done, 3 stopped in time with a checkpoint.
gan_run() {
  local limit=$1 folder=$2; shift 2
  # shellcheck disable=SC2086
  timeout --foreground --preserve-status -s TERM -k 20 "$limit" "$limbeck" run configs/cifar10_gan.toml --out "$folder" --device cuda --quiet \
    --stop-after gan --set data.path="$DATA" "$@" ${SCIENCE_OPTIONS:-}
}
# steps_of FOLDER: that an unfinished run has done, from its checkpoint.
steps_of() { grep -m 1 -ao '"step":"[0-9]*"' "$1/stages/gan/checkpoint.safetensors" 2> /dev/null | head -n 1 | tr -dc 0-9; }

# One step at least, or the next call's pilot takes twice as long.
choose_steps() {
  local pilot done_steps status left
  pilot=$(cat "$work/science/pilot-seconds" 2> /dev/null || echo "${PILOT:-30}")
  rm -rf "$work/science/pilot"
  gan_run "$pilot" "$work/science/pilot" --set gan.steps=100000000 --set gan.sample_every=0
  status=$?
  done_steps=$(steps_of "$work/science/pilot")
  rm -rf "$work/science/pilot"
  ((status == 3 || status == 143)) || { echo "the pilot ended with status $status"; return 1; }
  if ((${done_steps:-0} == 0)); then
    echo $((2 * pilot)) > "$work/science/pilot-seconds"
    echo "no step in the pilot's $pilot s"
    return 3
  fi
  left=$((part_deadline - SECONDS - 22))
  echo "$((done_steps * (left > 0 ? left : 0) * 95 / (100 * pilot) + 1))" > "$work/science/steps"
}

# The weights, which gpu.tar.gz leaves out, to OUT; by every call, since OUT may be another folder each time.
bring_generator() {
  local file
  [[ $(state_of science) == ok ]] || return
  for file in "$work"/science/generator.safetensors.part-*; do [[ ! -f $file ]] || deliver "$file" "$(basename "$file")"; done
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
  echo "$steps steps; cat generator.safetensors.part-* > generator.safetensors; sha256 $(sha256sum "$run/stages/gan/generator.safetensors" | cut -d ' ' -f 1)"
}
