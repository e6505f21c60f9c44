#!/usr/bin/env bash
# Data-free distillation: a plan with its report; a saved teacher alone, no data; a kill gives the same bits; its generator's images; the same of
# responses; refusals.
source "$(dirname "$0")/lib.sh"
check "a plan of students without data" "$limbeck" run configs/tiny-data-free.toml --out "$work/plan" --quiet
for method in cgdd dafl dfad; do
  check "$method left student, generator and sheet" ls "$work/plan/stages/$method.resnet14-resnet8.s1/"{model.safetensors,generator.safetensors,images/images-0003.png}
done
check "its report" "$limbeck" report "$work/plan"
check_output "has the reconstruction by its name" '^CGDD-R +[0-9.]+' '^DAFL +[0-9.]+' '^DFAD +[0-9.]+'
check_output "and what students without data lose" '^Without data' '^CGDD-R .resnet14 > resnet8. +[0-9.]+ % +[-0-9.]+ % +[0-9.]+ % +[0-9.]+ %'
check "the results of the stage" cat "$work/plan/stages/cgdd.resnet14-resnet8.s1/result.json"
check_output "say gap and health" gap_to_teacher relative_to_teacher hit_rate class_entropy agreement
teacher=$work/plan/stages/teacher.resnet14/model.safetensors
sets=(--set methods.cgdd.epochs=4 --set methods.cgdd.rounds=10 --set methods.cgdd.student_steps=2 --set methods.cgdd.batch=16
  --set methods.cgdd.generator.ch=8)
timed seconds check "a saved teacher, no data" "$limbeck" distill --method cgdd --teacher "$teacher" --student resnet8 --out "$work/alone" "${sets[@]}"
check_output "says that there are none" 'training images: none' 'test images: none'
kill_and_continue "the same training" "$seconds" "$limbeck" distill --method cgdd --teacher "$teacher" --student resnet8 --out "$work/killed" "${sets[@]}" \
  --checkpoint-seconds 0.01 --quiet
check_same "kills give the same bits" "$work/alone/stages" "$work/killed/stages"
check "soft targets, no data" "$limbeck" distill --method cgdd --teacher "$teacher" --student resnet8 --out "$work/soft" "${sets[@]}" \
  --set methods.cgdd.loss.targets=dirichlet --quiet
kill_and_continue "training on soft targets" "$seconds" "$limbeck" distill --method cgdd --teacher "$teacher" --student resnet8 --out "$work/soft_killed" \
  "${sets[@]}" --set methods.cgdd.loss.targets=dirichlet --checkpoint-seconds 0.01 --quiet
check_same "kills give the same bits" "$work/soft/stages" "$work/soft_killed/stages"
check "with images to measure on" "$limbeck" distill --method dfq --teacher "$teacher" --student resnet8 --out "$work/measured" --data shapes \
  --set data.image_size=16 --set data.shapes.train=20 --set data.shapes.test=30 --set methods.dfq.epochs=1 --set methods.dfq.rounds=1 \
  --set methods.dfq.batch=16 --set methods.dfq.generator.ch=8
check_output "has an accuracy" 'test_accuracy [0-9.]+'
generator=$work/alone/stages/cgdd.resnet14-resnet8.s0/generator.safetensors
check "its generator makes images" "$limbeck" sample --ckpt "$generator" --class 3 --n 4 --out "$work/grid.png"
check "a set of its images with their classes" "$limbeck" sample --ckpt "$generator" --n 5 --out "$work/made.safetensors"
check_output "has 5 of each" "made.safetensors: 50 images"
check "the set" "$limbeck" data info --kind container --path "$work/made.safetensors" --size 16
check_output "has classes" 'train: 50 images, 16 x 16' 'class +3 +5'
check "a student of made images alone" "$limbeck" distill --method blkd --teacher "$teacher" --student resnet8 --data container \
  --data-path "$work/made.safetensors" --set data.image_size=16 --set student.epochs=1 --out "$work/made"
check_output "trains on them" 'training images: 50'
check_error "a set has no columns" "columns: $work/no.safetensors is a data set and no grid; expected none, found 3" "$limbeck" sample --ckpt "$generator" \
  --columns 3 --out "$work/no.safetensors"
check "the same with a pool, no data" "$limbeck" distill --method cgdd --teacher "$teacher" --student resnet8 --out "$work/pool" "${sets[@]}" \
  --set methods.cgdd.pool=64 --set methods.cgdd.flip=true --quiet
kill_and_continue "training with a pool" "$seconds" "$limbeck" distill --method cgdd --teacher "$teacher" --student resnet8 --out "$work/pool_killed" \
  "${sets[@]}" --set methods.cgdd.pool=64 --set methods.cgdd.flip=true --checkpoint-seconds 0.01 --quiet
check_same "kills give the same bits" "$work/pool/stages" "$work/pool_killed/stages"
check "its generator in the place of the GAN" "$limbeck" run configs/tiny-data-free.toml --out "$work/inside" --quiet --set plan.generator=cgdd \
  --set 'plan.methods=["none", "cgdd"]' --set 'plan.fakes=["none", "m2", "equal"]' --set fakes.per_class=12 --set transfer.epochs=1 --set transfer.batch=32
check "cGAN-KD learns from what M2 left of its images" ls "$work/inside/stages/"{fakes_raw/fake_data.safetensors,cgankd.resnet8.s1/model.safetensors}
check_absent "without GAN, density ratio and M1" "$work/inside/stages/"{gan,features,ratio,fakes_m1}
check_error "a method that makes no images is no generator" "plan.generator: 'blkd' makes no images" "$limbeck" run configs/tiny-data-free.toml \
  --out "$work/no" --set plan.generator=blkd
check_error "M1 has no density ratio" "plan.fakes: with plan.generator expected none, raw, m2 or equal, found m1" "$limbeck" run configs/tiny-data-free.toml \
  --out "$work/no" --set plan.generator=cgdd --set 'plan.fakes=["m1"]'

# Of responses: the error in the unit, a teacher alone, images of a requested response, its generator inside cGAN-KD.
regression=("$limbeck" run configs/tiny-regression.toml --quiet --set ablation=false --set 'plan.pairs=["resnet14 > resnet8"]'
  --set 'plan.methods=["none", "cgdd"]' --set data.chairs.train=60 --set data.chairs.test=30 "${sets[@]}" --set methods.cgdd.epochs=2)
check "a plan of responses" "${regression[@]}" --out "$work/responses" --set 'plan.fakes=["none"]'
check "its report" "$limbeck" report "$work/responses"
check_output "has teacher and student in the unit" 'test_mae in degrees' '^teacher +[0-9.]+' '^CGDD-R +[0-9.]+'
check "the results of the stage" cat "$work/responses/stages/cgdd.resnet14-resnet8.s1/result.json"
check_output "say gap and health in the unit" '"gap_to_teacher": \{"value": [-0-9.e]+, "unit": "degrees", "better": "lower"' \
  '"label_error": \{"value": [0-9.e-]+, "unit": "degrees"' '"disagreement"'
regressor=$work/responses/stages/teacher.resnet14/model.safetensors
check "its generator in the place of the GAN of responses" "${regression[@]}" --out "$work/inside_responses" --set 'plan.fakes=["none", "m2"]' \
  --set plan.generator=cgdd --set fakes.per_class=4 --set transfer.epochs=1
check "M3 learns from what M2 left" ls "$work/inside_responses/stages/"{fakes_raw/fake_data.safetensors,cgankd.resnet8.s1/model.safetensors}
alone=("$limbeck" distill --method cgdd --teacher "$regressor" --student resnet8 "${sets[@]}" --set methods.cgdd.rounds=4)
timed seconds check "a saved regressor, no data" "${alone[@]}" --out "$work/regressor"
check_output "says that there are none" 'training images: none' 'label_error [0-9.]+'
kill_and_continue "the same training" "$seconds" "${alone[@]}" --out "$work/regressor_killed" --checkpoint-seconds 0.01 --quiet
check_same "kills give the same bits" "$work/regressor/stages" "$work/regressor_killed/stages"
generator=$work/regressor/stages/cgdd.resnet14-resnet8.s0/generator.safetensors
check "images of a response" "$limbeck" sample --ckpt "$generator" --label 45 --n 4 --out "$work/45.png"
check "a sweep of responses" "$limbeck" sample --ckpt "$generator" --label-range 0:90:10 --n 3 --out "$work/sweep.png"
check "a set of its images with their responses" "$limbeck" sample --ckpt "$generator" --label-range 0:90:10 --n 3 --out "$work/sweep.safetensors"
check "the set" "$limbeck" data info --kind container --path "$work/sweep.safetensors"
check_output "has responses" 'train: 30 images, 32 x 32' '90'
check "a set of one response" "$limbeck" sample --ckpt "$generator" --label 45 --n 4 --out "$work/45.safetensors"
check_error "a response outside of the scale" "label: expected 0..90 degrees" "$limbeck" sample --ckpt "$generator" --label 120 --out "$work/no.png"
check_error "a method that asks for nothing" "methods.dafl.loss.cls: of responses the generator is asked" "$limbeck" distill --method dafl \
  --teacher "$regressor" --student resnet8 --out "$work/no"
check_error "an adversary of classes" "methods.cgdd.loss.adversary: of responses expected none or l1, found 'kl'" "${alone[@]}" --out "$work/no" \
  --set methods.cgdd.loss.adversary=kl
check_error "a generator of no responses" "methods.cgdd.generator.arch: cmi is asked for nothing" "${alone[@]}" --out "$work/no" \
  --set methods.cgdd.generator.arch=cmi
check_error "another scale than the teacher's" "predicts responses of .0, 90. degrees, expected those of the data, .0, 1." "${alone[@]}" --out "$work/no" \
  --data none --set task=regression --set data.none.classes=0 --set data.image_size=32
check_error "an empty scale" "data.none.response_low: expected less than response_high, found 2 and 1" "${alone[@]}" --out "$work/no" --data none \
  --set task=regression --set data.none.classes=0 --set data.image_size=32 --set data.none.response_low=2

check "methods are listed" "$limbeck" methods
check_output "with the data-free ones" '^cgdd +CGDD-R +data-free' '^zskt +ZSKT +data-free'
check_error "stored logits are refused" "logits: cgdd makes its own images" "$limbeck" distill --method cgdd --logits x --student resnet8 --out "$work/no"
check_error "fakes are refused" "fake: cgdd makes its own images" "$limbeck" distill --method cgdd --teacher "$teacher" --fake x --student resnet8 \
  --out "$work/no"
check_error "a generator that knows no classes is not asked for them" "loss.cls: the generator cmi" "$limbeck" distill --method cgdd --teacher "$teacher" \
  --student resnet8 --out "$work/no" --set methods.cgdd.generator.arch=cmi
check_error "other methods need data" "at least two training images, found 0" "$limbeck" distill --method blkd --teacher "$teacher" --student resnet8 \
  --out "$work/no" --data none --set data.image_size=16
check_error "a setting out of range" "methods.dafl.rounds: expected .*found 0" "$limbeck" distill --method dafl --teacher "$teacher" --student resnet8 \
  --out "$work/no" --set methods.dafl.rounds=0
check_error "soft targets of no requested class" "methods.dafl.loss.targets: dirichlet is of requested classes" "$limbeck" distill --method dafl \
  --teacher "$teacher" --student resnet8 --out "$work/no" --set methods.dafl.loss.targets=dirichlet
check_absent "refusals leave nothing" "$work/no"
check "bench train measures a round" "$limbeck" bench train --model resnet8 --teacher resnet8 --method dafl --batch 2 --classes 10 --only train --steps 2 --warmup 1
check_output "and says what is one" "one step of the generator and 5 of the student by dafl from resnet8"
check "bench train measures a synthesis" "$limbeck" bench train --model resnet8 --teacher resnet8 --method cmi --batch 2 --only train --steps 2 --warmup 1
check_output "and says what is one" "a synthesis of 5 steps by cmi from resnet8"
check_error "a round needs a teacher" "bench train: --method dafl needs --teacher" "$limbeck" bench train --model resnet8 --method dafl
finish
