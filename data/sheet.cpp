#include "data/sheet.h"

#include <algorithm>
#include <numeric>

#include "tensor/rows.h"

namespace limbeck::data {

Tensor class_sheet(const Dataset& d, int64_t columns, int64_t most_rows) {
  LIMBECK_CHECK(d.classes > 0 && columns > 0, "class sheet: expected classes and columns, found ",
                d.classes, " and ", columns);
  const int64_t rows = most_rows > 0 ? std::min(most_rows, d.classes) : d.classes;
  const Tensor sheet =
      Tensor::zeros({rows * columns, d.height(), d.width(), d.channels()}, DType::u8);
  std::vector<int64_t> filled(static_cast<size_t>(rows), 0);
  const auto labels = d.labels.span<int64_t>();
  for (int64_t i = 0; i < d.size(); ++i) {
    const int64_t label = labels[static_cast<size_t>(i)];
    if (label >= rows || filled[static_cast<size_t>(label)] == columns) continue;
    const int64_t cell = label * columns + filled[static_cast<size_t>(label)]++;
    sheet.rows(cell, cell + 1).copy_from(d.images.rows(i, i + 1));
  }
  return sheet;
}

Tensor response_sheet(const Dataset& d, int64_t columns, int64_t rows) {
  LIMBECK_CHECK(d.targets.defined() && columns > 0 && rows > 0,
                "response sheet: expected responses, columns and rows, found ", describe(d.targets),
                ", ", columns, " and ", rows);
  std::vector<int64_t> order(static_cast<size_t>(d.size()));
  std::iota(order.begin(), order.end(), 0);
  const float* y = d.targets.data<float>();
  std::stable_sort(order.begin(), order.end(), [y](int64_t a, int64_t b) { return y[a] < y[b]; });
  const int64_t cells = std::min(d.size(), rows * columns);
  std::vector<int64_t> chosen;
  for (int64_t i = 0; i < cells; ++i)
    chosen.push_back(order[static_cast<size_t>(i * d.size() / cells)]);
  return take_rows(d.images, chosen);
}

}  // namespace limbeck::data
