#!/usr/bin/env bash
# limbeck models, parity and bench train: what they print, and how they refuse.
source "$(dirname "$0")/lib.sh" "${1:-build}"

check "models lists the networks" "$limbeck" models --input 3x32x32 --classes 100
check_output "models shows parameters and multiply-adds" '^resnet20 +resnet +278324 +40\.8' '^vgg8 +vgg +3965028 +96\.2' '^wrn_40_1 +wrn +569780 +83\.3' '^InceptionV3 +inception +needs images of at least 75x75'
check "models goes layer by layer" "$limbeck" models resnet8 --classes 100
check_output "models shows a layer" '^layer2\.0\.conv1 +conv 3x3 stride 2 +16x32x32 +32x16x16 +4608 +1179648' '^tap f4: 64' '83892 parameters'
check "models lists the regression networks" "$limbeck" models --task regression
check_output "models shows regressors and their helper networks" '^resnet20 +resnet +570609 ' '^ResNet34_embed +resnet_embed +21610945 ' '^y2h +label_embedding +67328 ' '^sparse_encoder +sparse_autoencoder +52722240 ' '^ratio_MLP5 +density_ratio +13416321 '
check_error "models names the nearest network" "did you mean 'resnet20'" "$limbeck" models resnet21
check_error "models refuses a wrong input" '--input: expected channels x height x width' "$limbeck" models --input 3x32

fixture=tests/data/fixtures/cifar100/resnet8.json
check "parity holds" "$limbeck" parity "$fixture"
check_output "parity says what it compared" '^resnet8 +gradients +30 numbers .* ok' 'all hold'
sed 's/"sum": 6.2352312158168/"sum": 6.2362312158168/' "$fixture" > "$work/changed.json"
"$limbeck" parity "$work/changed.json" > "$work/out" 2> "$work/err"; status=$?
if ((status == 1)); then ok "parity ends with 1 on a wrong number"; else bad "parity ends with 1 on a wrong number" "status $status"; fi
check_output "parity names the wrong number" 'eval logits .* FAILED' 'all, sum: expected 6\.236'
head -c 1000 "$fixture" > "$work/cut.json"
check_error "parity refuses a cut file" 'cut\.json: not a fixture' "$limbeck" parity "$work/cut.json"
check_error "parity names a missing file" 'none\.json' "$limbeck" parity "$work/none.json"

check "bench train runs" "$limbeck" bench train --model resnet8 --batch 4 --steps 3 --warmup 3 --threads 1 --json
check_output "bench train gives its numbers" '"images_per_s":[0-9.]+' '"peak_tensor_mib":[0-9.]+' '"macs_per_image":12'
check_output "a training step in steady state asks the system for no memory" '"system_allocations_after_warmup":0[,}]'
check "bench train profiles" "$limbeck" bench train --model resnet8 --batch 4 --seconds 0.01 --only train --warmup 1 --threads 1 --profile shapes
check_output "the profile names operators and shapes" '[0-9]+ +conv2d backward \[4, 32, 32, 16\]' 'outside of operators'
check "bench train measures a method" "$limbeck" bench train --model resnet8 --teacher resnet14 --method sskd --size 8 --batch 4 --steps 1 --warmup 1 \
  --only train --threads 1 --json
check_output "and says which" '"step":"distillation by sskd from resnet14, SGD"'
check_error "bench train refuses a method without a teacher" 'needs --teacher' "$limbeck" bench train --model resnet8 --method blkd
check_error "bench train refuses another profile" 'operators or shapes' "$limbeck" bench train --model resnet8 --profile all
check_error "bench train refuses a batch of one" 'at least 2' "$limbeck" bench train --model resnet8 --batch 1
check "bench train measures a regressor" "$limbeck" bench train --model resnet8x4 --task regression --batch 2 --steps 1 --warmup 1 --threads 1 --json
check_output "a regressor has its own size and step" '"size":64' '"step":"squared error, SGD"' '"inference":\{"gflop_per_s":[0-9.]+'
check "bench train knows what only regresses" "$limbeck" bench train --model ResNet18_embed --batch 2 --steps 1 --warmup 0 --only train --threads 1 --json
check_output "an embedding network is trained for responses" '"step":"squared error, SGD"'
for gan in biggan:32:10 sagan:64:100 sngan:64:100; do
  IFS=: read -r name size classes <<< "$gan"
  check "bench train measures $name" "$limbeck" bench train --model "$name" --batch 2 --width 8 --classes "$classes" --steps 2 --warmup 3 --threads 1 --json
  check_output "a step of $name is one of D and one of G, in steady state without the system's memory" "\"size\":$size," 'one step of D and one of G' \
    '"train":\{"gflop_per_s":[0-9]+\.[0-9]*[1-9]' '"inference":\{"gflop_per_s":[0-9]+\.[0-9]*[1-9]' '"system_allocations_after_warmup":0[,}]'
done
check "bench train measures the label-to-embedding net" "$limbeck" bench train --model y2h --batch 8 --steps 2 --warmup 1 --threads 1
check_output "the label-to-embedding net has no image" '^y2h, batch 8, 1 threads' 'training step +[0-9.]+ images/s'
check "bench train measures a density-ratio net" "$limbeck" bench train --model ratio_MLP3 --batch 4 --size 8 --steps 1 --warmup 1 --threads 1 --json
check_output "a density-ratio net has its own step" 'softplus loss' '"size":8'
check_error "bench train names the nearest network" "did you mean 'biggan'" "$limbeck" bench train --model bigan
check_error "bench train refuses a task that a GAN does not serve" 'biggan is not for the task regression' "$limbeck" bench train --model biggan --task regression
check_error "bench train refuses a size that a GAN has not" 'sagan|SAGAN' "$limbeck" bench train --model sagan --size 48
check_error "bench train refuses a width where there is none" '--width is for GANs' "$limbeck" bench train --model resnet8 --width 8
check_error "bench train refuses an unknown task" "unknown task 'painting'" "$limbeck" bench train --model resnet8 --task painting
finish
