#!/usr/bin/env bash
# What the README promises: its C++ example is examples/train.cpp, builds, and learns.
source "$(dirname "$0")/lib.sh"
awk '/^```cpp$/ { on = 1; next } /^```$/ { on = 0 } on' README.md > "$work/readme.cpp"
check "the example of the README is examples/train.cpp" diff "$work/readme.cpp" examples/train.cpp
check "the example builds" make BUILD="$(dirname "$limbeck")" "$(dirname "$limbeck")/examples/train"
program=$(realpath "$(dirname "$limbeck")/examples/train")
check "the example runs" bash -c "cd '$work' && '$program' > steps"
check "its loss falls" awk '/^step/ { if (!first) first = $4; last = $4 } END { exit !(last < first) }' "$work/steps"
check "and it saves the network" test -s "$work/resnet8.safetensors"
finish
