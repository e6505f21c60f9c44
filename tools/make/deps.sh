#!/bin/sh
# Finds what Limbeck needs by compiling a probe for each need, and installs what is missing where it can.
#   tools/make/deps.sh BUILD_DIR GROUP...      groups: build, test, bench
# As root on Debian or Ubuntu it runs apt-get; elsewhere it names the packages and stops. It writes BUILD_DIR/deps.GROUP, and
# BUILD_DIR/deps.mk for the group "build", with the flags of the optional HDF5 where that is found. CXX and PREFIX come from make.
set -u
build=$1; shift
groups=$*
CXX=${CXX:-g++}
PREFIX=${PREFIX:-}
flags=${PREFIX:+-I$PREFIX/include -L$PREFIX/lib}
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT INT TERM

# What each group needs: "package|probe|argument|what it is".
needs_build='g++|compiler|-|a C++20 compiler with OpenMP
zlib1g-dev|library|zlib.h -lz|zlib
libstb-dev|header|stb/stb_image.h|stb (image files)
libcli11-dev|header|CLI/CLI.hpp|CLI11 (command line)
libtomlplusplus-dev|header|toml++/toml.h|toml++ (configuration)
nlohmann-json3-dev|header|nlohmann/json.hpp|nlohmann-json'
needs_test='libgtest-dev|library|gtest/gtest.h -lgtest|GoogleTest'
needs_bench='libbenchmark-dev|library|benchmark/benchmark.h -lbenchmark|Google Benchmark'

# probe KIND ARGUMENT: true when it is there.
probe() {
  case $1 in
    compiler)
      printf '#include <omp.h>\n#include <concepts>\n#include <cmath>\nint main() { return omp_get_max_threads() > 0 && std::integral<int> ? 0 : 1; }\n' > "$scratch/p.cpp"
      $CXX -std=c++20 -fopenmp $flags "$scratch/p.cpp" -o "$scratch/p" > "$scratch/log" 2>&1 ;;
    header)  # preprocessing is enough and quick
      printf '#include <%s>\n' "$2" > "$scratch/p.cpp"
      $CXX -std=c++20 $flags -E "$scratch/p.cpp" -o "$scratch/p.i" > "$scratch/log" 2>&1 ;;
    library)
      printf '#include <%s>\nint main() { return 0; }\n' "${2%% *}" > "$scratch/p.cpp"
      $CXX -std=c++20 $flags "$scratch/p.cpp" ${2#* } -pthread -o "$scratch/p" > "$scratch/log" 2>&1 ;;
  esac
}

# Optional, never installed: prints what make needs to know of the HDF5 library, where there is one. Debian and Ubuntu (libhdf5-dev)
# have it under a name and in a folder of its own.
find_hdf5() {
  printf '#include <hdf5.h>\nint main() { return H5open(); }\n' > "$scratch/p.cpp"
  for place in '|-lhdf5' '-I/usr/include/hdf5/serial|-lhdf5_serial'; do
    # shellcheck disable=SC2086
    $CXX -std=c++20 $flags ${place%|*} "$scratch/p.cpp" ${place#*|} -o "$scratch/p" > "$scratch/log" 2>&1 || continue
    printf 'HDF5_FLAGS := -DLIMBECK_HDF5 %s\nHDF5_LIBS := %s\n' "${place%|*}" "${place#*|}"
    return
  done
  echo '# HDF5 (optional; Debian and Ubuntu: libhdf5-dev) was not found.'
}

list() { for g in $groups; do eval "printf '%s\n' \"\$needs_$g\""; done; }

# Sets `missing` (packages) and `names` (for people).
look() {
  missing=''; names=''
  list > "$scratch/needs"
  while IFS='|' read -r package kind argument title; do
    probe "$kind" "$argument" < /dev/null || { missing="$missing $package"; names="$names
  $title (Debian and Ubuntu: $package)"; }
  done < "$scratch/needs"
}

look
if [ -n "$missing" ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null 2>&1; then
    echo "deps: installing$missing (apt-get, as root)"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq > "$scratch/apt" 2>&1 || { cat "$scratch/apt" >&2; echo "deps: 'apt-get update' failed; trying to install all the same" >&2; }
    # shellcheck disable=SC2086
    if ! apt-get install -y -qq --no-install-recommends $missing > "$scratch/apt" 2>&1; then
      tail -20 "$scratch/apt" >&2
      echo "deps: 'apt-get install$missing' failed, see above" >&2
      exit 1
    fi
    look
  fi
  if [ -n "$missing" ]; then
    echo "deps: missing:$names" >&2
    echo "deps: install them, for example: sudo apt-get install$missing" >&2
    echo "deps: or keep them under a folder of your own (include/, lib/) and say: make PREFIX=/that/folder" >&2
    [ -s "$scratch/log" ] && { echo "deps: what $CXX said last:" >&2; head -5 "$scratch/log" >&2; }
    exit 1
  fi
fi

mkdir -p "$build" || exit 1
for g in $groups; do
  touch "$build/deps.$g"
  [ "$g" = build ] || continue
  echo "# Written by tools/make/deps.sh: the needs of the build were found with $CXX." > "$build/deps.mk"
  find_hdf5 >> "$build/deps.mk"
done
exit 0
