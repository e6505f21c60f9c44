#!/usr/bin/env bash
# Every reader of tests/fuzz within 1 GB of address space and 5 seconds of processor time: valid inputs, those that once broke it, 50 cuts and 200 flipped bits
# of each, and files that are not what they seem: of a terabyte, links, pipes, devices, folders.
source "$(dirname "$0")/lib.sh"
tests=${limbeck}_tests
limited() { (ulimit -v 1048576; ulimit -t 5; export OMP_NUM_THREADS=1; exec "$@"); }

mapfile -t readers < <("$tests" --gtest_list_tests --gtest_filter='Fuzz/Reader.ReadsWhatIsValid/*' | sed -n 's|^ *ReadsWhatIsValid/\([a-z_]*\).*|\1|p')
check "the readers are known" test ${#readers[@]} -gt 20
for reader in "${readers[@]}"; do
  check "$reader" limited "$tests" --gtest_brief=1 --gtest_filter="Fuzz/Reader.*/$reader"
done

# Whatever stands where a file is expected: one line that names it.
check "a network" "$limbeck" run configs/tiny.toml --out "$work/run" --set data.shapes.train=20 --set data.shapes.test=20 --set teacher.epochs=1 --stop-after teacher --quiet
network=$work/run/stages/teacher/model.safetensors
truncate -s 1T "$work/terabyte"
ln -s loop "$work/loop"
mkdir "$work/folder"
"${LIMBECK_PYTHON:-python3}" -c "import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])" "$work/socket" 2> /dev/null
for path in "$work/terabyte" "$work/loop" "$work/folder" "$work/socket" /proc/self/mem /dev/zero; do
  [[ -e $path || -L $path ]] || { skip "${path##*/} for a file" "no $path here"; continue; }
  for command in "config $path" "eval --ckpt $path" "sample --ckpt $path --out $work/no" "convert $path $work/no --plain" "export $path $work/no" \
    "predict --ckpt $path --input docs/figures" "parity $path" "op softmax --in $path --out $work/no" "logits --teacher $path --data shapes --out $work/no" \
    "distill --logits $path --student resnet8 --out $work/no" "data info --kind container --path $path" "data info --kind npz --path $path" \
    "report $work/run --published $path"; do
    check_error "${command%% *} of ${path##*/}" "$path" limited "$limbeck" $command
  done
done
check_absent "nothing of it is written" "$work/no"
mkfifo "$work/pipe"
for command in "config $work/pipe" "eval --ckpt $work/pipe --kind shapes" "convert $work/pipe $work/no --plain" "data info --kind container --path $work/pipe"; do
  head -c 100000 /dev/zero > "$work/pipe" &
  check_error "${command%% *} of a pipe of zeros" "$work/pipe" limited "$limbeck" $command
  kill $! 2> /dev/null; wait $! 2> /dev/null  # a pipe that is refused unread has a writer that waits
done
cat "$network" > "$work/pipe" &
check "a network from a pipe" limited "$limbeck" convert "$work/pipe" "$work/piped" --plain
check "is the network" bash -c "'$limbeck' convert '$network' '$work/plain' --plain && cmp '$work/plain' '$work/piped'"
finish
