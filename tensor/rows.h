// Rows: what lies along the first dimension of a tensor. Any element type.
#pragma once
#include <cstdint>
#include <vector>

#include "tensor/tensor.h"

namespace limbeck {

/// The rows of an index list, in its order and as often as it names them: [N, ...] ->
/// [index.size(), ...]. On the host. Undefined stays undefined; throws naming a row that is not
/// there.
Tensor take_rows(const Tensor& t, const std::vector<int64_t>& index);

/// The rows of all parts, one part after the other: [n_i, ...] -> [sum n_i, ...], on the device of
/// the parts. All parts undefined: undefined. Throws when a part differs in the shape of its rows,
/// its type or its device.
Tensor join_rows(const std::vector<Tensor>& parts);

}  // namespace limbeck
