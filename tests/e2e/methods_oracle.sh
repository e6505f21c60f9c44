#!/usr/bin/env bash
# Five steps of the methods with heads and memories in PyTorch, beside the numbers that the tests in C++ compare with; skipped where no Python with
# torch and numpy is (LIMBECK_PYTHON names one).
python=${LIMBECK_PYTHON:-python3}
if ! command -v "$python" > /dev/null; then
  echo "skip five steps of methods in PyTorch: no $python"
  exit 0
fi
here=$(dirname "$0")
"$python" "$here/../oracle/methods_vs_torch.py" "$here/../data/fixtures/kd/five_steps.json"
