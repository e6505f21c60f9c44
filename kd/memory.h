// Memory: rows that a method remembers of every training image, written on the device.
#pragma once
#include "autograd/functions.h"

namespace limbeck::kd {

/// memory[rows[i], :] = values[i, :], in place; memory [n, d], rows i64 [m] all different, values
/// [m, d] of the same type and device. Usable in a recorded step.
void write_rows(const Tensor& memory, const Tensor& rows, const Tensor& values);

}  // namespace limbeck::kd
