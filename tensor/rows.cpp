#include "tensor/rows.h"

#include <algorithm>
#include <cstring>

namespace limbeck {

Tensor take_rows(const Tensor& t, const std::vector<int64_t>& index) {
  if (!t.defined()) return {};
  LIMBECK_CHECK(t.rank() >= 1 && t.device() == cpu, "take_rows: expected rows on the host, found ",
                describe(t));
  const int64_t rows = t.size(0);
  Shape shape = t.shape();
  shape.set(0, static_cast<int64_t>(index.size()));
  const Tensor out = Tensor::empty(shape, t.dtype());
  const auto bytes = static_cast<size_t>(rows > 0 ? t.bytes() / rows : 0);
  const char* from = static_cast<const char*>(t.raw());
  char* to = static_cast<char*>(out.raw());
  for (const int64_t row : index) {
    LIMBECK_CHECK(row >= 0 && row < rows, "take_rows: row ", row, " asked from ", rows, " rows");
    if (bytes > 0) std::memcpy(to, from + static_cast<size_t>(row) * bytes, bytes);
    to += bytes;
  }
  return out;
}

Tensor join_rows(const std::vector<Tensor>& parts) {
  LIMBECK_CHECK(!parts.empty(), "join_rows: no parts");
  const Tensor& first = parts[0];
  if (std::none_of(parts.begin(), parts.end(), [](const Tensor& p) { return p.defined(); }))
    return {};
  int64_t rows = 0;
  for (const Tensor& p : parts) {
    LIMBECK_CHECK(p.defined() && p.rank() >= 1 && first.defined(),
                  "join_rows: expected parts with rows, found ", describe(p));
    Shape alike = first.shape();
    alike.set(0, p.size(0));
    LIMBECK_CHECK(p.shape() == alike && p.dtype() == first.dtype() && p.device() == first.device(),
                  "join_rows: parts of different kinds: ", describe(first), " and ", describe(p));
    rows += p.size(0);
  }
  Shape shape = first.shape();
  shape.set(0, rows);
  const Tensor out = Tensor::empty(shape, first.dtype(), first.device());
  int64_t begin = 0;
  for (const Tensor& p : parts) {
    out.rows(begin, begin + p.size(0)).copy_from(p);
    begin += p.size(0);
  }
  return out;
}

}  // namespace limbeck
