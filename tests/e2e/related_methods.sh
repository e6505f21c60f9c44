#!/usr/bin/env bash
# CCKD, CMKD-R, CKD-R, HKD, KDIGA, VAM-R and what a teacher's batch norms go by, through the program: a plan of them alone and with fakes that is killed
# and ends with the same bits, the report, other forms, accuracy under attack, refusals.
source "$(dirname "$0")/lib.sh"
export OMP_NUM_THREADS=1
config=configs/tiny_plan.toml
plan=(--set 'plan.pairs=["resnet14 > resnet8"]' --set 'plan.methods=["none", "cckd", "cmkd", "ckd", "hkd", "kdiga", "vam"]' --set plan.seeds=[1]
  --set 'plan.fakes=["none", "m2"]' --set methods.hkd.auxiliary=resnet14 --set methods.vam.block=8 --set methods.cckd.form=t_reg
  --set methods.ckd.teacher_bn=adapt --set methods.cmkd.teacher_bn=refit --set methods.cmkd.ranks=projection --set methods.kdiga.teacher_bn=batch)
a=$work/a b=$work/b
result() { grep -o "\"$3\": {\"value\": [^,]*" "$1/stages/$2/result.json" | sed 's/.*: //'; }
differ() { [[ -n $1 && -n $2 && $1 != "$2" ]]; }

timed seconds check "a plan of the methods" "$limbeck" run $config --out "$a" "${plan[@]}" --quiet
for method in cckd cmkd ckd hkd kdiga vam; do
  for student in $method cgankd_$method; do
    check "$student has trained" test -s "$a/stages/$student.resnet14-resnet8.s1/model.safetensors"
  done
done
check "one auxiliary teacher serves both phases" test "$(ls -d "$a"/stages/*hkd_auxiliary* | wc -l)" = 1
for method in ckd cmkd; do
  student=cgankd_$method.resnet14-resnet8.s1
  check "$method tells what became of its teacher" differ "$(result "$a" $student teacher_loss_before)" "$(result "$a" $student teacher_loss_after)"
done
check "saved statistics tell nothing" test -z "$(result "$a" cgankd_cckd.resnet14-resnet8.s1 teacher_loss_before)"
check "report" "$limbeck" report "$a"
check_output "calls them by their names" '^cGAN-KD \+ CKD-R ' '^CMKD-R ' '^HKD ' '^KDIGA ' '^VAM-R '
kill_and_continue "the plan" "$seconds" "$limbeck" run $config --out "$b" "${plan[@]}" --quiet --checkpoint-seconds 0.1
check_same "a plan that was killed has the same bits" "$a" "$b"

few=(--set distillation.method=ckd --set methods.ckd.teacher_calls=40)
check "a teacher of few calls" "$limbeck" run configs/tiny.toml --out "$work/few" "${few[@]}" --quiet
check "says what it has to say once for both phases" test "$(ls -d "$work"/few/stages/*ckd*logits* | wc -l)" = 1
check "and students learn from it, alone and with fakes" test -s "$work/few/stages/ckd/done.json" -a -s "$work/few/stages/cgankd_ckd/done.json"
check "its cost is found before" "$limbeck" run configs/tiny.toml --out "$work/unused" "${few[@]}" --dry-run --threads 1
if grep -q "not measured" "$work/out"; then bad "all of it" "$(grep "not measured" "$work/out" | head -n 1)"; else ok "all of it"; fi

# Other forms, on the fakes that are there. The control has no fakes, so that there is nothing to swap.
form() { "$limbeck" run configs/tiny.toml --out "$work/few" --quiet --replace --set distillation.method="$1" "${@:2}"; }
weights() { cksum < "$work/few/stages/$1/model.safetensors"; }
check "CCKD" form cckd
real=$(weights cckd) fake=$(weights cgankd_cckd)
check "CCKD with swapped targets of fakes" form cckd --set methods.cckd.swap_for_fakes=true
check "is the same without fakes" test "$real" = "$(weights cckd)"
check "and another with them" test "$fake" != "$(weights cgankd_cckd)"
check "KDIGA by differences of logits" form kdiga --set methods.kdiga.form=igdm
check "trains both phases" test -s "$work/few/stages/kdiga/done.json" -a -s "$work/few/stages/cgankd_kdiga/done.json"

ckpt=$a/stages/kdiga.resnet14-resnet8.s1/model.safetensors
data=(--kind shapes --size 32 --shapes-train 120 --shapes-test 100)
check "accuracy under attack" "$limbeck" eval --ckpt "$ckpt" "${data[@]}" --fgsm 0.031
check_output "is told beside the other" 'accuracy .* on 100 test images' 'accuracy .* under FGSM with epsilon 0.031$'
check "as JSON" "$limbeck" eval --ckpt "$ckpt" "${data[@]}" --fgsm 0.031 --json
check_output "too" '"fgsm":0.031,"accuracy_fgsm":[0-9.]+'
check_error "an epsilon beyond the range of pixels" "--fgsm: expected a number in \[0, 1\], found 8" "$limbeck" eval --ckpt "$ckpt" "${data[@]}" --fgsm 8

teacher=$a/stages/teacher.resnet14/model.safetensors
tree=(distill --method kdexplainer --teacher "$teacher" --student explainer_tree --data shapes --set data.image_size=32
  --set data.shapes.train=120 --set data.shapes.test=100 --set student.epochs=2 --set student.batch=32 --quiet)
check "a student that explains itself" "$limbeck" "${tree[@]}" --out "$work/tree"
file=$(find "$work/tree" -name model.safetensors | grep kdexplainer)
check "is explained" "$limbeck" explain --ckpt "$file"
check_output "level by level" '^blocks of level 2 of those of level 1' '^classes of blocks of level 3' 'entropy [01]\.[0-9]+$' '^t 5, mean entropy 0\.[0-9]+ '
check "with one parent in the second half" "$limbeck" "${tree[@]}" --out "$work/hard" --set methods.kdexplainer.hard_from=0.5
check "its mixtures" "$limbeck" explain --ckpt "$(find "$work/hard" -name model.safetensors | grep kdexplainer)"
check_output "are none" 'mean entropy 0\.000 '
check "by labels alone" "$limbeck" "${tree[@]}" --out "$work/labels" --set methods.kdexplainer.soft_weight=0 --set methods.kdexplainer.hard_weight=1
check "its mixtures too" "$limbeck" explain --ckpt "$(find "$work/labels" -name model.safetensors | grep kdexplainer)"
check_error "another network" "expected the network explainer_tree, found resnet14" "$limbeck" explain --ckpt "$teacher"
check_error "another student" "kdexplainer: the student is explainer_tree, found resnet8" "$limbeck" distill --method kdexplainer --teacher "$teacher" \
  --student resnet8 --data shapes --out "$work/unused"

run() { "$limbeck" run configs/tiny.toml --out "$work/unused" --set distillation.method="$1" "${@:2}"; }
check_error "an unknown form" "methods.cckd.form: expected l, t or t_reg, found 'x'" run cckd --set methods.cckd.form=x
check_error "ranks of an unknown kind" "methods.cmkd.ranks: expected pairwise or projection, found 'sort'" run cmkd --set methods.cmkd.ranks=sort
check_error "ranks that are nothing" "methods.cmkd.eps: expected a positive number, found 0" run cmkd --set methods.cmkd.eps=0
check_error "an unknown form of KDIGA" "methods.kdiga.form: expected norm, squared or igdm, found 'gradients'" run kdiga --set methods.kdiga.form=gradients
check_error "a step in bytes" "methods.kdiga.eps: expected a number in \(0, 1\], found 8" run kdiga --set methods.kdiga.form=igdm --set methods.kdiga.eps=8
check_error "a word for yes" "methods.cckd.swap_for_fakes" run cckd --set methods.cckd.swap_for_fakes=maybe
check "the settings are listed" "$limbeck" methods --settings
check_output "with what they mean" 'ranks = "pairwise" .*permutahedron' 'eps = 0.5' 'swap_for_fakes = false' 'alpha = 20' 'form = "norm" .*igdm'
check_output "those of a part with their keys" '^    generator.arch = "cgdd" .*cgdd_cbn' '^    loss.labelled = 0.5 '
check_error "a share of more than all" "methods.kdexplainer.hard_from: expected a number in \[0, 1\], found 2" run kdexplainer --set student.model=explainer_tree --set methods.kdexplainer.hard_from=2
check_error "a way of the statistics that is none" "methods.blkd.teacher_bn: expected eval, batch, adapt or refit, found 'train'" run blkd --set methods.blkd.teacher_bn=train
check_error "a teacher that is in train mode anyway" "reviewkd: its teacher is in train mode anyway" run reviewkd --set methods.reviewkd.teacher_bn=adapt
check_error "a student without a larger relative" "hkd: no larger network is known for MobileNetV2" run hkd --set student.model=MobileNetV2
check_error "blocks as large as the student" "vam: the student has no 3x3 convolution" run vam --set methods.vam.block=64
check_absent "none of these began" "$work/unused"
finish
