// HDF5 files through the HDF5 C library, where the build found one (docs/dependencies.md).
#pragma once
#include <memory>
#include <string>

#include "data/arrays.h"
#include "tensor/safetensors.h"

namespace limbeck::data {

/// Whether this program has the library. Without it the functions below throw, naming the file and
/// the way around.
bool hdf5_available();

/// The datasets of the file's root. u8 stays u8, other integers become i64, real numbers f64; what
/// a dataset claims to hold is checked against what the file stores before it is asked of the
/// memory. The metadata are the root's text attributes that tensors_of() knows. Errors name file
/// and key.
std::unique_ptr<ArrayFile> open_hdf5(const std::string& path);

/// Writes the tensors as datasets (f32 as f64, which the official files have) and the metadata as
/// text attributes of the root. Atomically, as write_safetensors().
void write_hdf5(const std::string& path, const TensorFile& file);

}  // namespace limbeck::data
