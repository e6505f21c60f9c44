#!/usr/bin/env bash
# Builds program and unit tests, warnings as errors, with every compiler that can be had here, and runs the tests. docs/dependencies.md has the outcome.
#   tools/portability.sh                            all of the following
#   tools/portability.sh g++-11 clang++-16          compilers of this machine
#   tools/portability.sh debian-13 ubuntu-22.04/g++ a distribution's compilers, or one of them, in a root by debootstrap (as root, from its mirror)
#   tools/portability.sh aarch64                    the cross compiler; the tests under qemu-user, with libraries that debootstrap fetches
# What cannot be had is skipped by name. JOBS=N: files compiled at a time. GTEST_FILTER chooses tests. ROOTS=FOLDER: where roots are kept. DEBIAN, UBUNTU:
# mirrors other than debootstrap's own. TESTS=0 only builds. Exit code 1 where a build or a test failed.
set -u
cd "$(dirname "$0")/.." || exit 2
work=$PWD/build/portability
ROOTS=${ROOTS:-$work/roots}
mkdir -p "$work"
rows=() failed=0

# A distribution: suite, name of its mirror, debootstrap's script, compilers. Ubuntu 22.04 has no toml++.
declare -A distribution=(
  [debian-12]="bookworm DEBIAN bookworm g++ g++-11 clang++ clang++-15 clang++-16 clang++-19"
  [debian-13]="trixie DEBIAN trixie g++ g++-13 clang++"
  [ubuntu-22.04]="jammy UBUNTU jammy g++ clang++"
  [ubuntu-24.04]="noble UBUNTU gutsy g++ g++-14 clang++ clang++-17"
)
libraries=libstb-dev,libcli11-dev,nlohmann-json3-dev,zlib1g-dev,libgtest-dev

row() { rows+=("$(printf '%-26s %-36s %s' "$1" "$2" "$3")"); echo "portability: ${rows[-1]}"; }
skip() { row "$1" - "skipped: $2"; }

# outcome LOG STATUS: what GoogleTest said last.
outcome() {
  local good bad left
  good=$(sed -n 's/^\[  PASSED  \] \([0-9]*\) test.*/\1/p' "$1") bad=$(sed -n 's/^ *\([0-9]*\) FAILED TEST.*/\1/p' "$1")
  left=$(sed -n 's/^\[  SKIPPED \] \([0-9]*\) test.*/\1/p' "$1")
  if [[ -z $good ]]; then echo "tests ended with status $2: $1"; else echo "$good passed, ${bad:-0} failed, ${left:-0} skipped"; fi
}

# attempt NAME CXX RUNNER IN...: make and the tests in the folder that IN (nothing, or chroot) sees as /limbeck; RUNNER runs a test program.
attempt() {
  local name=$1 cxx=$2 runner=$3 log=$work/${1//\//-}.log source=. build version prefix status
  shift 3
  build=build/portability/${name//\//-}
  (($#)) && source=/limbeck
  version=$("$@" ${cxx} --version | head -n 1)
  prefix=$(openmp "$cxx" "$@")
  echo "portability: $name builds with $version"
  if ! "$@" make -k -C "$source" BUILD="$build" CXX="$cxx" WERROR=1 JOBS="${JOBS:-$(nproc)}" ${prefix:+PREFIX=$prefix} \
    "$build/limbeck" "$build/limbeck_tests" > "$log" 2>&1; then
    failed=1
    row "$name" "$version" "FAILED to build: $(grep -m 1 -E 'error:|Error ' "$log" | cut -c -120) ($log)"
    return
  fi
  [[ ${TESTS:-1} == 0 ]] && { row "$name" "$version" "built without a warning"; return; }
  "$@" env OMP_NUM_THREADS=2 OMP_WAIT_POLICY=passive sh -c "cd $source && exec $runner $build/limbeck_tests" > "$log.tests" 2>&1
  status=$?
  ((status)) && failed=1
  row "$name" "$version" "built without a warning; tests: $(outcome "$log.tests" $status)"
}

# openmp CXX IN...: a folder, of the root or below build/, with the OpenMP of another clang, where this one has none. (Debian installs the header of one
# version only.)
openmp() {
  local cxx=$1 root="" folder=$work/openmp header library
  shift
  [[ ${1:-} == chroot ]] && root=$2 folder=/usr/local/lib/openmp
  printf '#include <omp.h>\nint main() { return omp_get_max_threads() < 1; }\n' | "$@" $cxx -fopenmp -x c++ - -o /dev/null > /dev/null 2>&1 && return
  header=$(find "$root"/usr/lib/llvm-*/lib/clang -name omp.h 2> /dev/null | head -n 1) library=$(find "$root"/usr/lib/llvm-*/lib -name libomp.so 2> /dev/null | head -n 1)
  [[ -n $header && -n $library ]] || return
  mkdir -p "$root$folder"/{include,lib}
  ln -sf "${header#"$root"}" "$root$folder/include/omp.h"
  ln -sf "${library#"$root"}" "$root$folder/lib/libomp.so"
  echo "$folder"
}

# root NAME SUITE MIRROR SCRIPT PACKAGES OPTION...: made once, in $ROOTS/NAME.
root() {
  local name=$1 suite=$2 mirror=$3 script=$4 packages=$5 target=$ROOTS/$1
  shift 5
  [[ -e $target/ready ]] && return
  rm -rf "$target" && mkdir -p "$ROOTS"
  echo "portability: debootstrap $suite"
  debootstrap "$@" --variant=minbase --include="$packages" "$suite" "$target" "$mirror" "$script" > "$work/$name.debootstrap" 2>&1 && touch "$target/ready"
}

# distribution_root NAME: its root with compilers, libraries, and the working tree as /limbeck.
distribution_root() {
  local suite mirror script compilers packages=make,libomp-dev,$libraries cxx file components=main
  read -r suite mirror script compilers <<< "${distribution[$1]}"
  for cxx in $compilers; do packages+=,${cxx/clang++/clang}; done
  [[ $mirror == UBUNTU ]] && components=main,universe
  [[ $suite == jammy ]] || packages+=,libtomlplusplus-dev
  root "$1" "$suite" "${!mirror:-}" "$script" "$packages" --components=$components || return
  [[ $suite == jammy && -d /usr/include/toml++ ]] && cp -r /usr/include/toml++ "$ROOTS/$1/usr/local/include/"
  mkdir -p "$ROOTS/$1/limbeck"
  # What is gone here goes there; what differs is copied with the present time: objects may be younger than an edit that came after their compilation began.
  (cd "$ROOTS/$1/limbeck" && find . -path ./build -prune -o -type f -print0) | while IFS= read -r -d '' file; do
    [[ -e $file ]] || rm "$ROOTS/$1/limbeck/$file"
  done
  git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
    [[ ! -f $file ]] || cmp -s "$file" "$ROOTS/$1/limbeck/$file" || cp --parents --preserve=mode "$file" "$ROOTS/$1/limbeck"
  done
}

in_distribution() {
  local name=${1%%/*} only=${1#*/} cxx
  [[ -n ${distribution[$name]:-} ]] || { skip "$1" "unknown; there are: ${!distribution[*]}"; failed=1; return; }
  [[ $(id -u) == 0 ]] && command -v debootstrap > /dev/null || { skip "$1" "needs root and debootstrap"; return; }
  distribution_root "$name" || { skip "$1" "no root could be made: $work/$name.debootstrap"; return; }
  for cxx in $(cut -d ' ' -f 4- <<< "${distribution[$name]}"); do
    [[ $only == "$name" || $only == "$cxx" ]] && attempt "$name/$cxx" "$cxx" "" chroot "$ROOTS/$name"
  done
}

# The libraries of an arm64 machine: unpacked, not installed, so nothing of them needs to run.
sysroot() {
  local package
  [[ -e $ROOTS/arm64/unpacked ]] && return
  root arm64 bookworm "${DEBIAN:-}" bookworm "libgomp1,libtomlplusplus-dev,$libraries" --foreign --arch=arm64 || return
  for package in "$ROOTS"/arm64/var/cache/apt/archives/*.deb; do dpkg-deb --extract "$package" "$ROOTS/arm64" || return; done
  touch "$ROOTS/arm64/unpacked"
}

cross() {
  local need
  for need in aarch64-linux-gnu-g++ qemu-aarch64-static debootstrap; do command -v $need > /dev/null || { skip aarch64 "no $need"; return; }; done
  sysroot || { skip aarch64 "no libraries could be fetched: $work/arm64.debootstrap"; return; }
  attempt aarch64 "aarch64-linux-gnu-g++ --sysroot=$ROOTS/arm64" "qemu-aarch64-static -L $ROOTS/arm64"
}

targets=("$@")
if ((!$#)); then
  for cxx in g++-1{1,2,3,4} clang++-1{4,5,6,7,8,9}; do command -v "$cxx" > /dev/null && targets+=("$cxx"); done
  targets+=(debian-12 debian-13 ubuntu-22.04 ubuntu-24.04 aarch64)
fi
for target in "${targets[@]}"; do
  case $target in
    aarch64) cross ;;
    debian-* | ubuntu-*) in_distribution "$target" ;;
    *) if command -v "$target" > /dev/null; then attempt "$target" "$target" ""; else skip "$target" "not on this machine"; fi ;;
  esac
done
printf '\n%s\n' "${rows[@]}"
exit $failed
