#!/usr/bin/env bash
# Finished stages whose settings, or data, have changed: a run stops, --replace keeps the old, --extend trains on.
source "$(dirname "$0")/lib.sh"
export OMP_NUM_THREADS=1
set=$work/set; mkdir "$set"
for ((i = 0; i < 12; ++i)); do { printf 'P6\n32 32\n255\n'; head -c 3072 /dev/zero | tr '\0' "\\$(printf %03o $((50 + 9 * i)))"; } > "$set/$i.ppm"; done
labels() { echo file,class,split; for ((i = 0; i < 12; ++i)); do echo "$i.ppm,$(((i + $1) % 2)),$( ((i < 8)) && echo train || echo test)"; done; }
labels 0 > "$set/labels.csv"
run=$work/run
go() { "$limbeck" run configs/tiny.toml --out "$run" --set data.kind=folder --set data.path="$set" --set gan.batch=4 --stop-after blkd "$@"; }
nothing() { check "$1" go "${@:2}"; check_output "$1: nothing to do" '^\[1/2\] teacher: done before' '^\[2/2\] blkd: done before'; }

check "a teacher and a student" go
checksums "$run/stages" > "$work/first.sum"

# --- what is no change ------------------------------------------------------------------------------------------------------------
ln -s set "$work/link"
nothing "another spelling of the folder" --set data.path="$work/./link/../set/"
nothing "a link to it" --set data.path="$work/link"
cp -r "$set" "$work/copy"
nothing "a copy" --set data.path="$work/copy"
touch "$set/labels.csv"
nothing "a file that was only touched"
nothing "settings without influence" --set gan.loader_threads=2 --set gan.sample_every=5 --set gan.health_every=3 --set gan.loss_bound=1e3 --set teacher.evaluate_every=2 \
  --set student.evaluate_every=0 --set ratio.restarts=1
nothing "settings of stages that are not there" --set gan.steps=7 --set fakes.rho=0.5 --set methods.fitnet.weight=3

# What is known of files is read from beside the run: the images are not opened for it.
sleep 2.1
nothing "the state of the files is remembered"
nothing "no image is read, or it would be too large" --set data.max_pixels=1
check "beside the run" grep -q '8 + 4 images' "$run/identities.json"

# --- what stops a run -------------------------------------------------------------------------------------------------------------
check_error "changed settings" "run: a finished stage has other settings now, .* of work: blkd .student.lr, .*--replace .*blkd.1" go --set student.lr=0.04
check_output "are listed with the time" '^finished before +now +took +changed' '^blkd +to be replaced +[0-9.]+ s +student.lr'
check_error "with what needs them" "2 finished stages .*teacher .teacher.lr, .*blkd .teacher, " go --set teacher.lr=0.04
labels 1 > "$set/labels.csv"
check_error "swapped labels" "2 finished stages .*teacher .data.content, " go
labels 0 > "$set/labels.csv"
cp "$set/1.ppm" "$work/1.ppm"; cp "$set/2.ppm" "$set/1.ppm"
check_error "another image under the same name" "data.content" go
cp "$work/1.ppm" "$set/1.ppm"
check "a dry run goes on to say so" go --set student.lr=0.04 --dry-run --no-measure
check_output "with the reason" '^blkd +changed .*changed: student.lr' '^blkd +to be replaced'
checksums "$run/stages" > "$work/second.sum"
check "none of them touched anything" diff "$work/first.sum" "$work/second.sum"
check "nor in other processes" go --jobs 2

# --- --replace --------------------------------------------------------------------------------------------------------------------
cp -r "$run/stages/blkd" "$work/old"
check "--replace" go --set student.lr=0.04 --replace
check "keeps the old folder" diff -r "$work/old" "$run/stages/blkd.1"
check "and makes a new one" test -s "$run/stages/blkd/done.json"
check "--replace in several processes" go --set student.lr=0.03 --replace --jobs 2
check "keeps that too" test -s "$run/stages/blkd.2/done.json"
check_absent "of what did not change nothing is kept" "$run/stages/teacher.1"
check "status does not count them" "$limbeck" status "$run"
check_output "but what is the run's" '^teacher +done' '^blkd +done'
check "the report neither" bash -c "'$limbeck' report '$run' > /dev/null && ! grep -q 'blkd\.[12]' '$run/report.csv'"

# --- --extend ---------------------------------------------------------------------------------------------------------------------
gan() { "$limbeck" run configs/tiny.toml --out "$1" --stop-after "$2" "${@:3}"; }
check "a GAN that keeps its last state" gan "$work/gan" gan --keep-state
check "does" test -s "$work/gan/stages/gan/checkpoint.safetensors"
check "also when it is looked at again" gan "$work/gan" gan
check "still" test -s "$work/gan/stages/gan/checkpoint.safetensors"
check_error "longer" "gan .gan.steps, " gan "$work/gan" gan --set gan.steps=10
check "--extend" gan "$work/gan" gan --set gan.steps=10 --extend --keep-state
check_output "says so" 'changed since it ran .gan.steps.; training on' 'resuming from its last checkpoint'
check "and goes on where it ended" grep -q '"steps": {"value": 10' "$work/gan/stages/gan/result.json"
check "as long from the start" gan "$work/long" gan --set gan.steps=10 --keep-state
rm -r "$work/gan/stages/gan.1"
check_same "has the same bits" "$work/gan" "$work/long"
check_error "--extend of other changes" "gan .gan.g_lr, gan.steps, " gan "$work/gan" gan --set gan.steps=12 --set gan.g_lr=1e-4 --extend
check_error "--extend to a shorter one" "gan .gan.steps, " gan "$work/gan" gan --set gan.steps=8 --extend
check "a teacher that keeps its last state" gan "$work/net" teacher --keep-state --set teacher.milestones=1
check "trained on, with a milestone beyond the old end" gan "$work/net" teacher --extend --keep-state --set teacher.epochs=4 --set teacher.milestones=1,3
check "as long from the start" gan "$work/whole" teacher --keep-state --set teacher.epochs=4 --set teacher.milestones=1,3
rm -r "$work/net/stages/teacher.1"
check_same "has the same bits" "$work/net" "$work/whole"
check_error "a milestone before it" "teacher .teacher.epochs, teacher.milestones" gan "$work/net" teacher --extend --set teacher.epochs=5 --set teacher.milestones=2,3
check "one without its state" gan "$work/bare" teacher
check_error "cannot be trained on" "extend: stage teacher: its last state was not kept .--keep-state." gan "$work/bare" teacher --extend --set teacher.epochs=3
check_absent "and nothing was made of it" "$work/bare/stages/teacher.1"

# --- an earlier version's run -----------------------------------------------------------------------------------------------------
sed -i 's/"format": 3/"format": 2/' "$run/run.json"
check_error "a run of an earlier version is not gone on with" "run.json: of an earlier version .*expected format 3, found 2.*'limbeck report' and 'status' read it" go
check "report reads it" "$limbeck" report "$run"
check_output "and says so" 'run.json: of an earlier version .format 2.'
check "status does" "$limbeck" status "$run"
check_output "and says so" 'run.json: of an earlier version .format 2.' '^teacher +done'
finish
