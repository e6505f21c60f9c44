#!/usr/bin/env bash
# Every stage of the workflow on a tiny configuration: what a run leaves, that it is not done twice, that a run killed many times with
# another number of threads ends with the same bits, and the report.
source "$(dirname "$0")/lib.sh"
config=configs/tiny.toml
a=$work/undisturbed b=$work/killed

timed seconds check "a run through every stage" "$limbeck" run $config --out "$a"
echo "tiny run: $seconds s"
unfinished=0
for stage in "$a"/stages/*/; do [[ -s $stage/done.json && -s $stage/result.json && ! -e $stage/checkpoint.safetensors ]] || unfinished=1; done
check "every stage left its result and no checkpoint" test $unfinished = 0
check "networks are saved" test -s "$a/stages/teacher/model.safetensors" -a -s "$a/stages/gan/generator.safetensors"
check_absent "no temporary file is left" $(find "$a" -name '*.tmp')

checksums "$a" > "$work/before.sum"
check "a second run" "$limbeck" run $config --out "$a"
done_before=$(grep -c 'done before' "$work/out")
check "does nothing" test "$done_before" = "$(ls "$a/stages" | wc -l)"
checksums "$a" > "$work/after.sum"
check "and changes nothing" diff "$work/before.sum" "$work/after.sum"

# Recipes of files are read by tests/apps/configs_test.cpp: their data or teachers are not at hand, or their pairs take long to try.
for recipe in configs/*.toml; do
  grep -qE '^(path|teachers) = ' "$recipe" && continue
  check "$recipe names existing settings, networks and methods" "$limbeck" run "$recipe" --out "$work/unused" --dry-run --no-measure
done

kill_and_continue "the run" "$seconds" "$limbeck" run $config --out "$b" --threads 1 --checkpoint-seconds 0.1
check_same "a run that was killed, with one thread, has the same bits" "$a" "$b"

check "report of one run" "$limbeck" report "$a"
check "the report has the accuracies" grep -Eq '^\| cGAN-KD \+ BLKD +\| +[*<u>0-9.]+' "$a/report.md"
check "the page holds curves and pictures" bash -c "grep -q '<polyline' '$a/report.html' && grep -q 'data:image/png;base64' '$a/report.html'"
check "the page needs nothing from outside" bash -c "! grep -Eq '(src|href)=\"(http|/|[a-z]+\\.)' '$a/report.html'"
check "CSV and LaTeX lie beside it" test -s "$a/report.csv" -a -s "$a/report.tex"
check "report of two runs" "$limbeck" report "$a" "$b" --out "$work/both.html"
check "counts a seed that stands in both once" grep -Eq '^\| cGAN-KD \+ BLKD +\| +[*<u>0-9.]+ +\| 1 \|' "$work/both.md"

# Changed settings: the stage and what needs it run again, the rest does not.
check "dry run after a change" "$limbeck" run $config --out "$a" --set student.lr=0.04 --dry-run --no-measure
check_output "names the changed key and its dependants" '^nokd .*changed: student.lr' '^cgankd .*changed: nokd' '^gan +done'
check_same "a dry run changes nothing" "$a" "$b"

check "every stage says how much memory it took" test "$(grep -l '"peak_bytes": [1-9]' "$a"/stages/*/times.json | wc -l)" = "$(ls "$a/stages" | wc -l)"
check "a dry run finds the cost of every stage" "$limbeck" run $config --out "$work/unused" --dry-run --threads 1
check_output "with steps, time, memory and disk" '^cgankd_blkd +8 +[0-9.e-]+ +[0-9.]+ (s|min).* MiB .*MiB' '^fakes +0 +- ' '^sum of 16, largest memory'
if grep -q "not measured" "$work/out"; then bad "all of them" "$(grep "not measured" "$work/out" | head -n 1)"; else ok "all of them"; fi
OMP_NUM_THREADS=1 TMPDIR=$work "$limbeck" run configs/tiny_plan.toml --out "$work/unused" --dry-run > "$work/log" 2>&1 &
pid=$!
until grep -q '^teacher' <(sed -n '/^cost/,$p' "$work/log") || ! kill -0 $pid 2> /dev/null; do sleep 0.1; done
kill -TERM $pid; wait $pid; status=$?
check "a signal ends it" test $status = 3
check "and leaves no files for trials" test -z "$(ls -d "$work"/limbeck-cost-* 2> /dev/null)"
check "and of what is left" "$limbeck" run $config --out "$a" --set student.lr=0.04 --dry-run --threads 1
check_output "alone" '^sum of 8, largest memory'
check_same "without touching the run" "$a" "$b"
check_absent "or making one" "$work/unused"

# What the run made is usable by itself.
check "sampling from the saved generator" "$limbeck" sample --ckpt "$a/stages/gan/generator.safetensors" --class 1 --n 4 --out "$work/grid.png"
check "the grid is a PNG" bash -c "head -c 4 '$work/grid.png' | tail -c 3 | grep -q PNG"
finish
