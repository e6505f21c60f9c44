#!/usr/bin/env bash
# How many instructions a warp issues for each tensor instruction, from the machine code of the kernels that multiply on tensor cores.
#   tools/make/instructions.sh NVCC DIR       DIR: what `make CUDA=1` built, build/cuda
# One line for each architecture and innermost loop with tensor instructions. A loop is what lies between the target of a backward branch and the
# branch: code in it that runs seldom counts, code outside that it jumps to does not. Needs cuobjdump and nvdisasm (PATH, or beside nvcc).
set -euo pipefail
nvcc=$1 dir=$2
PATH=$PATH:$(dirname "$(realpath "$(command -v "$nvcc")")")
for tool in cuobjdump nvdisasm; do
  command -v $tool > /dev/null || { echo "instructions: no $tool in PATH or beside $nvcc (of the CUDA toolkit, or Python's package nvidia-cuda-$tool)" >&2; exit 1; }
done

# A kernel's loops from its listing: address and text of each instruction.
loops='
  function hex(text,    i, value) {
    for (i = 1; i <= length(text); ++i) value = value * 16 + index("0123456789abcdef", substr(text, i, 1)) - 1
    return value
  }
  function count(array, from, to,    i, sum) {
    for (i = from; i <= to; ++i) sum += array[i]
    return sum + 0
  }
  function report(    head, other, innermost, tensors, all) {
    for (head in end) if (!count(tensor, head + 0, end[head])) delete end[head]
    for (head in end) {
      innermost = 1
      for (other in end) if (other != head && other + 0 >= head + 0 && end[other] <= end[head]) innermost = 0
      if (!innermost) continue
      tensors = count(tensor, head + 0, end[head]); all = count(issued, head + 0, end[head])
      printf "%s %d %d %.1f %s %s\n", arch, all, tensors, all / tensors, file, kernel
    }
    split("", end); split("", tensor); split("", issued)
  }
  /^[ \t]*code for sm_/ { report(); arch = $3 }
  /^[ \t]*Function : / { report(); kernel = $3 }
  /^ *\/\*[0-9a-f]+\*\/ .*;/ {
    split($1, part, /[\/*]+/); at = hex(part[2]) / 16
    issued[at] = !/ NOP/; tensor[at] = / [HIDQ]G?MMA[. ]/
    if (match($0, / BRA(\.[A-Z.]+)? .*0x[0-9a-f]+ ;/)) {
      target = $0; sub(/ ;.*/, "", target); sub(/.*0x/, "", target); target = hex(target) / 16
      if (target <= at) end[target] = at
    }
  }
  END { report() }'

echo "# Written by 'make instructions' with $("$nvcc" --version | sed -n 's/.*release \([0-9.]*\).*/nvcc \1/p')."
echo "# arch instructions tensor-instructions instructions-per-tensor-instruction file kernel"
# Only what includes the tensor instructions.
grep -l 'ops_cuda/instructions\.h' "$dir"/obj/ops_cuda/*.cu.d | while read -r depends; do
  object=${depends%.d}.o
  cuobjdump --dump-sass "$object" | awk -v file="$(basename "$object" .o)" "$loops"
done | c++filt | sed -E 's/limbeck::cuda:://g; s/\(anonymous namespace\):://g; s/limbeck:://g; s/void //; s/\([A-Za-z_]*\)([0-9])/\1/g; s/\(.*$//
                         s/TileShape<([0-9]+), ([0-9]+)[^>]*>/\1x\2/; /product_tiles_kernel/ { s/, false>$/, any width>/; s/, true>$/, wide>/; }' | LC_ALL=C sort -k5 -k1,1
