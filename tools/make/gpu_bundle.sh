#!/usr/bin/env bash
# Packs what a machine with a GPU needs into one file: gpu_bundle.sh OUT.tar.gz LIMBECK LIMBECK_TESTS [CHECKOUT]
# The programs, bench/on_gpu.sh with what it reads, and of CHECKOUT, a checkout of UBCDingXin/cGAN-KD, the folders of networks that are compared.
# Unpacked in an empty folder it is complete; in a checkout the script takes the programs and networks from it (build/cuda/).
set -eu
out=$(realpath "$1") limbeck=$(realpath "$2") tests=$(realpath "$3") checkout=${4:+$(realpath "$4")}
cd "$(dirname "$0")/../.."
staged=$out.dir
rm -rf "$staged"
mkdir -p "$staged/build/cuda"
trap 'rm -rf "$staged" "$out.new"' EXIT
strip -o "$staged/build/cuda/limbeck" "$limbeck"
strip -o "$staged/build/cuda/limbeck_tests" "$tests"
find bench configs tests/data/fixtures ops_cuda/gpu.txt -type f ! -name '*.pyc' ! -name '*.cpp' -exec cp --parents -t "$staged" {} +
if [ -n "$checkout" ]; then
  [ -d "$checkout/CIFAR-100/RepDistiller/models" ] || { echo "gpu-bundle: CHECKOUT=$checkout: expected a checkout of UBCDingXin/cGAN-KD, found no CIFAR-100/RepDistiller/models" >&2; exit 1; }
  mkdir "$staged/build/cuda/cGAN-KD"
  (cd "$checkout" && find LICENSE CIFAR-100/RepDistiller/models CIFAR-100/BigGAN SteeringAngle -type f \( -name '*.py' -o -name LICENSE \) -exec cp --parents -t "$staged/build/cuda/cGAN-KD" {} +)
fi
(cd "$staged" && tar -czf "$out.new" -- *)
mv "$out.new" "$out"
[ -n "$checkout" ] || echo "without the original's networks, so nothing will be compared with PyTorch: CHECKOUT= a checkout of UBCDingXin/cGAN-KD adds them"
