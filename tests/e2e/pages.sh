#!/usr/bin/env bash
# The Markdown pages: their links lead somewhere, their first lines say for whom they are and where to go next, their tables fit 120 columns.
source "$(dirname "$0")/lib.sh" "${1:-build}"
pages=(README.md docs/*.md docs/*/*.md)

# wide FILES: rows of tables with more than 120 columns, outside code and outside what a program writes into a page (bench/compare_pytorch.py).
wide() {
  LC_ALL=C awk 'FNR == 1 { code = written = 0 } /^```/ { code = !code } /^<!-- .*: begin -->/ { written = 1 } /: end -->$/ { written = 0 }
    code || written { next }
    /^\|/ { text = $0; gsub(/[\200-\277]/, "", text); if (length(text) > 120) print FILENAME ":" FNR }' "$@"
}
# unguided FILES: those whose first paragraph does not begin with "For" and name a page to go on with.
unguided() {
  awk 'FNR == 1 { if (file && !done) print file; file = FILENAME; text = ""; done = 0; next }
    done { next }
    /^$/ && text == "" { next }
    /^$/ { done = 1; if (text !~ /^For / || text !~ /\]\([^)]*\)/) print FILENAME; next }
    { text = text $0 " " }
    END { if (file && !done) print file }' "$@"
}

wide "${pages[@]}" > "$work/wide"
if [[ -s $work/wide ]]; then bad "tables fit 120 columns" "$(head -n 5 "$work/wide" | tr '\n' ' ')"; else ok "tables fit 120 columns"; fi
# The API's page is Doxygen's, without links to other pages; README.md is everybody's.
unguided $(printf '%s\n' "${pages[@]}" | grep -vx 'README.md\|docs/api.md') > "$work/unguided"
if [[ -s $work/unguided ]]; then bad "pages say for whom they are" "$(head -n 5 "$work/unguided" | tr '\n' ' ')"; else ok "pages say for whom they are"; fi
if command -v python3 > /dev/null; then check "their links lead somewhere" python3 tools/links.py "${pages[@]}"; else skip "their links lead somewhere" "no python3"; fi
for page in docs/*.md docs/methods/*.md; do
  name=${page#docs/}
  [[ $name == api.md || $name == README.md ]] || grep -qF "($name" docs/README.md || echo "$name"
done > "$work/missing"
if [[ -s $work/missing ]]; then bad "docs/README.md lists all pages" "$(tr '\n' ' ' < "$work/missing")"; else ok "docs/README.md lists all pages"; fi

# The checks themselves.
printf '# A\n\nFor students. Next: [b](b.md).\n\n| %0130d |\n\n```\n| %0130d |\n```\n' 0 0 > "$work/a.md"
printf '# B\n\nOn and on.\n\n## C d\n\n[a](a.md#b), [a](a.md#a), [c](c.md), `[d](d.md)`\n' > "$work/b.md"
if [[ $(wide "$work/a.md") == "$work/a.md:5" ]]; then ok "a wide table is found"; else bad "a wide table is found" "$(wide "$work/a.md")"; fi
if [[ $(unguided "$work/a.md" "$work/b.md") == "$work/b.md" ]]; then ok "a page without guidance is found"; else bad "a page without guidance is found" "$(unguided "$work/a.md" "$work/b.md")"; fi
if command -v python3 > /dev/null; then
  python3 tools/links.py "$work/a.md" "$work/b.md" > "$work/found"
  check "broken links are found" test "$(sed 's/.*:7: //' "$work/found" | tr '\n' ';')" = 'no heading a.md#b;no file c.md;'
fi
finish
