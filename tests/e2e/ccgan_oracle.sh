#!/usr/bin/env bash
# The numbers of tests/data/fixtures/oracle/ccgan_steps.json, computed again where a Python with torch and numpy exists (LIMBECK_PYTHON names one); skipped
# elsewhere. tests/gan/ccgan_steps_test.cpp compares GanTrainer with them everywhere.
python=${LIMBECK_PYTHON:-python3}
command -v "$python" > /dev/null || { echo "skip ten steps of CcGAN against PyTorch: no $python"; exit 0; }
cd "$(dirname "$0")/../.." || exit 2
OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1 "$python" tests/oracle/ccgan_steps.py --check tests/data/fixtures/oracle/ccgan_steps.json
