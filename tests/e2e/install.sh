#!/usr/bin/env bash
# make install into a staging folder, and a project outside of the repository that finds it by pkg-config and by CMake; make uninstall.
source "$(dirname "$0")/lib.sh" "${1:-build}"
prefix=$work/root/usr/local
target() { make --no-print-directory BUILD="$(dirname "$limbeck")" JOBS=2 DESTDIR="$work/root" PREFIX=/usr/local "$1"; }

if grep -q __asan_init "$limbeck"; then
  skip "make install" "a build with sanitizers is not for other programs"
  finish
fi
check "make install" target install
check "the installed program runs" "$prefix/bin/limbeck" methods
# Of the program itself.
methods=$("$limbeck" methods | tail -n +2 | grep -c .)
cp -r examples/external "$work/external"

# runs NAME PROGRAM: with everything that registers itself.
runs() {
  check "$1: the example runs" "$2"
  check_output "$1: operators, networks and methods are all there" "^[0-9]{2,} operators, [0-9]{2,} networks, $methods methods" '^two_layers: loss [0-9.]+' '^resnet8: loss [0-9.]+'
}

if command -v pkg-config > /dev/null; then
  check "pkg-config: the example builds" env PKG_CONFIG_PATH="$prefix/lib/pkgconfig" make -C "$work/external"
  runs pkg-config "$work/external/external"
else
  skip "the example by pkg-config" "no pkg-config"
fi
if command -v cmake > /dev/null; then
  check "CMake: the example is configured" cmake -S "$work/external" -B "$work/cmake" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_BUILD_TYPE=Release
  check "CMake: the example builds" cmake --build "$work/cmake"
  runs CMake "$work/cmake/external"
else
  skip "the example by CMake" "no cmake"
fi
check "make uninstall" target uninstall
check "leaves no file" test -z "$(find "$work/root" -type f)"
finish
