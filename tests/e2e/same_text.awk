# awk -f same_text.awk EXPECTED FOUND: status 0 when both have the same words, and numbers that agree to 5 % or to two units of the last
# digit that is printed. Otherwise says the first line that differs.
function number(s) { return s ~ /^[-+]?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?$/ }
function digits(s) { return match(s, /\.[0-9]+/) ? RLENGTH - 1 : 0 }
# An integer that stands alone counts something and is expected exactly, unless it is large.
function tolerance(s,   value, unit) {
  value = s < 0 ? -s : s + 0
  unit = 2 * 10 ^ -digits(s)
  if (match(s, /[eE]/)) unit *= 10 ^ substr(s, RSTART + 1)
  else if (digits(s) == 0 && value < 20) return 0
  return unit > value / 20 ? unit : value / 20
}
function same(a, b,   d) {
  if (a == b) return 1
  sub(/[,;:%]$/, "", a); sub(/[,;:%]$/, "", b)
  if (!number(a) || !number(b)) return 0
  d = a - b
  return (d < 0 ? -d : d) <= tolerance(a) * (1 + 1e-9)
}
FNR == NR { expected[++lines] = $0; next }
{
  found = FNR
  n = split(expected[FNR], want)
  ok = FNR <= lines && n == NF
  for (i = 1; ok && i <= n; ++i) ok = same(want[i], $i)
  if (!ok) { printf "line %d: expected '%s', found '%s'\n", FNR, expected[FNR], $0; failed = 1; exit 1 }
}
END {
  if (!failed && found < lines) { printf "line %d: expected '%s', found the end\n", found + 1, expected[found + 1]; exit 1 }
}
