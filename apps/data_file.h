// A data set as one file, by the ending of its name.
#pragma once
#include <string>

#include "data/dataset.h"

namespace limbeck {

/// .h5, .hdf5 or .hdf.
bool is_hdf5_name(const std::string& path);
/// That or .safetensors.
bool is_data_file_name(const std::string& path);
/// Throws for another ending.
void expect_data_file_name(const std::string& path);
/// data::tensors_of() as the name says. Throws for another ending, and where nothing can be
/// written.
void write_data_file(const std::string& path, const data::Split& split, bool fake);

}  // namespace limbeck
