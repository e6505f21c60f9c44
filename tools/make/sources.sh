#!/bin/sh
# Prints the generated file behind ops/sources.h: the SHA-256 of every source file that a CUDA kernel is made of, and the commit. Lines that are
# comments do not count: they make no other kernel.
# Not the shim's files: they are no part of what runs on a GPU. From the other folders: headers that compile for both sides.
set -eu
cd "$(dirname "$0")/../.."
export LC_ALL=C
command -v sha256sum > /dev/null || { echo "sources.sh: sha256sum (coreutils) was not found" >&2; exit 1; }
# -c: the checkout may belong to another user (a container's root), which git would refuse.
git='git -c safe.directory=*'
if [ "$($git rev-parse --show-prefix 2> /dev/null || echo none)" = "" ]; then commit=$($git describe --always --dirty --abbrev=10 --exclude '*' 2> /dev/null || echo unknown)
else commit=unknown; fi
printf '// Written by tools/make/sources.sh.\n#include "ops/sources.h"\n\nconst limbeck::RegisterSources kernel_sources_of_this_build("%s", {\n' "$commit"
{ find ops_cuda -path ops_cuda/sim -prune -o \( -name '*.cu' -o -name '*.cpp' -o -name '*.h' \) -print; grep -rlE --include='*.h' 'host_device|LIMBECK_HD' ops tensor; } |
  sort | while read -r file; do
    printf '    {"%s", "%s"},\n' "$file" "$(grep -v '^[[:space:]]*//' "$file" | sha256sum | cut -d ' ' -f 1)"
  done
echo '});'
