# shellcheck shell=bash
# bench/on_gpu.sh: what it needs on the machine, and the beginning of a call. Nothing is built or fetched here.
bundle=build/gpu-bundle.tar.gz
python=${PYTHON:-python3}

start() {
  trap 'exit 3' TERM INT HUP
  exec 9> "$work/.lock"
  flock -w 15 9 || die "another call works in $work, or left processes that do"
  find_programs
  find_checkout
  [[ $step != science ]] || find_data
  find_libraries
  same_programs
  trap end_early TERM INT HUP
  pack
}

# The newer of the bundle and what was built here.
find_programs() {
  limbeck=${LIMBECK:-build/cuda/limbeck} tests=${LIMBECK_TESTS:-build/cuda/limbeck_tests}
  if [[ -z ${LIMBECK:-} && -f $bundle && ! build/cuda/limbeck -nt $bundle ]]; then
    unpack_bundle
    limbeck=$work/bundle/build/cuda/limbeck tests=$work/bundle/build/cuda/limbeck_tests
  fi
  [[ -x $limbeck && -x $tests ]] || die "no $limbeck with $tests, and no $bundle: 'make CUDA=1 gpu-bundle CHECKOUT=cGAN-KD' makes one, where nvcc is"
  "$limbeck" --version > /dev/null || die "$limbeck does not run here (ldd $limbeck; it needs the C library of the machine that built it, or a newer one)"
}
# The programs and the original's networks; the rest of it is this folder.
unpack_bundle() {
  [[ $work/bundle/.unpacked -nt $bundle ]] && return
  rm -rf "$work/bundle" && mkdir -p "$work/bundle" && tar -xzf "$bundle" -C "$work/bundle" build && touch "$work/bundle/.unpacked" || die "cannot unpack $bundle"
}

# Sets `checkout`, and in `no_pytorch` why nothing can be compared with PyTorch here; empty: it can.
find_checkout() {
  local folder
  for folder in ${CHECKOUT:-"$(dirname "$limbeck")/cGAN-KD" cGAN-KD}; do
    checkout=$folder no_pytorch=
    [[ -d $folder/CIFAR-100 || -f $folder/models/__init__.py ]] && break
    no_pytorch="no original networks in $folder: CHECKOUT= a checkout of UBCDingXin/cGAN-KD, here or when the bundle is made"
  done
  if [[ -z $no_pytorch ]] && ! has_pytorch; then no_pytorch="no PyTorch in $python (PYTHON=)"; fi
  if [[ $step == pytorch && -n $no_pytorch ]]; then die "$no_pytorch"; fi
}
has_pytorch() { "$python" -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("torch") is None)' 2> /dev/null; }

find_data() {
  [[ -f ${DATA:-}/data_batch_1.bin && -f $DATA/test_batch.bin ]] || die "science: DATA= a folder with CIFAR-10's data_batch_1.bin and test_batch.bin, found '${DATA:-}'"
}

# cuBLAS and cuDNN that came with PyTorch, the same for both sides, or else the toolkit's.
find_libraries() {
  local folder found=${LD_LIBRARY_PATH:-}
  for folder in "$("$python" -c 'import site; print(site.getsitepackages()[0])' 2> /dev/null)"/nvidia/*/lib /usr/local/cuda/lib64; do
    compgen -G "$folder/libcu*.so*" > /dev/null && found=${found:+$found:}$folder
  done
  export LD_LIBRARY_PATH=$found
}

# What other programs measured is put aside: it says nothing about these.
same_programs() {
  local sum aside
  sum=$(cat "$limbeck" "$tests" | sha256sum | cut -d ' ' -f 1)
  if [[ -s $work/programs && $(< "$work/programs") != "$sum" && -z ${KEEP:-} ]]; then
    aside=$work/earlier/$(date -u '+%Y-%m-%dT%H-%M-%S')
    mkdir -p "$aside"
    find "$work" -mindepth 1 -maxdepth 1 ! -name earlier ! -name bundle ! -name .lock -exec mv -t "$aside" {} + || die "cannot put $work aside"
    mkdir -p "$work/parts"
    echo "other programs than before: the results of those are in $aside (KEEP=1 goes on with them)"
  fi
  echo "$sum" > "$work/programs"
}

about() {
  date -u; uname -srm; nproc
  nvidia-smi || echo "no nvidia-smi"
  nvcc --version 2> /dev/null | tail -n 2
  ldd --version | head -n 1
  timeout --foreground 20 "$python" -c 'import torch; print("PyTorch", torch.__version__, torch.cuda.get_device_name(0) if torch.cuda.is_available() else "without a GPU")' 2>&1 | tail -n 1
  within "$limbeck" ops support -o linear -o conv2d
  within "$limbeck" --version
}
# within COMMAND...: in what is left of the part.
within() {
  local seconds=$((part_deadline - SECONDS)) status
  ((seconds >= 1)) || return 3
  timeout --foreground -k 5 "$seconds" "$@"
  status=$?
  ((status == 124 || status == 137)) && return 3
  return $status
}
