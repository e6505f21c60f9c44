#!/usr/bin/env bash
# Every operator against PyTorch, where a Python with torch, numpy and safetensors exists (LIMBECK_PYTHON names one); skipped elsewhere.
build=${1:?usage: ops_oracle.sh BUILD_DIR}
python=${LIMBECK_PYTHON:-python3}
if ! command -v "$python" > /dev/null; then
  echo "skip operators against PyTorch: no $python"
  exit 0
fi
"$python" "$(dirname "$0")/../oracle/ops_vs_torch.py" "$build/limbeck"
