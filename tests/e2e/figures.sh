#!/usr/bin/env bash
# The pictures of docs/ are those that tools/figures draws, and the layers in them those that the tests enforce.
source "$(dirname "$0")/lib.sh"
if ! command -v python3 > /dev/null; then
  skip "the pictures of docs/" "no python3"
  finish
fi
check "the pictures are drawn" python3 tools/figures/architecture.py "$work/figures"
for picture in layers workflow; do
  check "docs/figures/$picture.svg is what tools/figures/architecture.py draws" cmp "$work/figures/$picture.svg" docs/figures/$picture.svg
done
check "those of the methods are drawn" python3 tools/figures/methods.py "$work/figures"
for picture in logits features relations self-supervision; do
  check "docs/figures/methods-$picture.svg is what tools/figures/methods.py draws" cmp "$work/figures/methods-$picture.svg" docs/figures/methods-$picture.svg
done
check "those of the tutorial are drawn" python3 tools/figures/tutorial.py "$work/figures"
for picture in "$work"/figures/tutorial-*.svg; do
  check "docs/figures/$(basename "$picture") is what tools/figures/tutorial.py draws" cmp "$picture" "docs/figures/$(basename "$picture")"
done
finish
