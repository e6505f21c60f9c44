# shellcheck shell=bash
# bench/on_gpu.sh: what a call leaves in OUT, at most eight files of at most 16 MiB, and the end of a call.
packed=0 planned=()
largest=$((2 << 20))   # bytes of a file that is packed; longer ones stay in runs/gpu

# Results of kernels: of this machine, and what ops_cuda/gpu.txt has of others that were not run.
merge_record() {
  head -n 3 ops_cuda/gpu.txt
  cat "$work"/check/*.txt ops_cuda/gpu.txt 2> /dev/null | awk '/^#/ { next } !seen[$1, $2, $3]++' | LC_ALL=C sort
}

report() {
  local file
  echo "# on_gpu.sh $step, $(date -u '+%Y-%m-%d %H:%M') UTC"
  printf '\n%s\n\n' "$("$limbeck" --version | tr '\n' ';')"
  printf '| part | state | what |\n|---|---|---|\n'
  for file in $(ls -tr "$work"/parts/*.state 2> /dev/null); do
    awk -F '\t' -v name="$(basename "$file" .state)" '{ gsub(/\|/, "/", $2); printf "| %s | %s | %s |\n", name, $1, $2 }' "$file"
  done
  printf '\nKernels of gpu.txt: %s passed, %s failed\n' "$(grep -c ' passed' "$work/gpu.txt")" "$(grep -c ' failed' "$work/gpu.txt")"
  grep ' failed' "$work/gpu.txt" | sed 's/^/    /'
  report_failures
  report_steps
  report_kernel_times
  for file in "$work"/pytorch/*.md; do
    [[ -s $file ]] && printf '\n## Beside PyTorch: %s\n\n%s\n' "$(basename "$file" .md)" "$(< "$file")"
  done
}
report_failures() {
  grep -hE '^FAILED|^shard ' "$work"/parts/*.txt 2> /dev/null | sort -u | head -n 60 | sed '1s/^/\n## Failures\n\n/; s/^FAILED/- FAILED/; s/^shard/- shard/'
}
report_steps() {
  compgen -G "$work/steps/*.status" > /dev/null || return
  printf '\n## Training steps\n\n| network | batch | precision | kernels | images/s | ms | GFLOP/s | MiB |\n|---|---|---|---|---|---|---|---|\n'
  for file in "$work"/steps/*.status; do step_line "${file%.status}"; done
}
report_kernel_times() {
  local file
  for file in "$work"/kernel-times/*.csv; do
    [[ -s $file ]] || continue
    printf '\n## Kernels of a step: %s\n\n| us | share | launches | kernel |\n|---|---|---|---|\n%s\n' "$(basename "$file" .csv)" "$(kernel_table "$file" | head -n 40)"
  done
}

# OUT's three files, each complete at any moment. Programs, weights and what is too long stay behind.
pack() {
  packed=$SECONDS
  merge_record > "$work/gpu.txt"
  report > "$work/report.md"
  find "$work" \( -name bundle -o -name earlier \) -prune -o -type f -size "-$((largest))c" ! -name '*.safetensors' ! -name '*.part-*' ! -name '.*' -printf 'gpu/%P\n' > "$work/.packed"
  tar -czf "$work/.gpu.tar.gz" -C "$work/.." --verbatim-files-from -T "$work/.packed" 2> "$work/.tar"
  (($? < 2)) || { echo "on_gpu.sh: cannot pack $work: $(tail -n 1 "$work/.tar")" >&2; return; }
  deliver "$work/.gpu.tar.gz" gpu.tar.gz
  deliver "$work/gpu.txt" gpu.txt
  deliver "$work/report.md" report.md
}
# deliver FILE NAME: to OUT, where it has its name only when it is whole.
deliver() { cp "$1" "$out/.$2.new" && mv "$out/.$2.new" "$out/$2" || echo "on_gpu.sh: cannot write $out/$2" >&2; }

# finish: the exit code says how the parts of this step ended.
finish() {
  local name failed=0 left=0 status=0
  pack
  for name in "${planned[@]}"; do
    case $(state_of "$name") in FAILED) failed=1 ;; left) left=1 ;; esac
  done
  ((left)) && status=3
  ((failed)) && status=1
  sed -n '1,/^Kernels of/p' "$work/report.md"
  echo "$out: $(ls "$out" | tr '\n' ' ')"
  ((left)) && echo "parts are left: the same command goes on with them; on another machine, after 'mkdir -p runs && tar -xzf gpu.tar.gz -C runs'"
  exit "$status"
}
descendants() {
  local child
  for child in $(cat "/proc/$1/task/$1/children" 2> /dev/null); do
    descendants "$child"
    echo "$child"
  done
}
end_early() {
  trap '' TERM INT HUP
  # shellcheck disable=SC2046
  kill $(descendants $$) 2> /dev/null
  finish
}
