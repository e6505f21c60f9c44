// Sheets: which images of a set are shown, row by row, for grid().
#pragma once
#include <cstdint>

#include "data/dataset.h"

namespace limbeck::data {

/// The first `columns` images of each class, one row per class: u8 [rows * columns, H, W, C]. A
/// class with fewer ends its row in black. most_rows > 0 shows the first classes only.
/// Throws for a set without classes.
Tensor class_sheet(const Dataset& d, int64_t columns, int64_t most_rows = 0);

/// Up to `rows` rows of images with rising response, evenly spaced among the sorted ones; a smaller
/// set is shown whole.
/// Throws for a set without responses.
Tensor response_sheet(const Dataset& d, int64_t columns, int64_t rows = 10);

}  // namespace limbeck::data
