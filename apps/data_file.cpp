#include "apps/data_file.h"

#include "data/arrays.h"
#include "data/hdf5.h"

namespace limbeck {

bool is_hdf5_name(const std::string& path) {
  return path.ends_with(".h5") || path.ends_with(".hdf5") || path.ends_with(".hdf");
}

bool is_data_file_name(const std::string& path) {
  return is_hdf5_name(path) || path.ends_with(".safetensors");
}

void expect_data_file_name(const std::string& path) {
  LIMBECK_CHECK(is_data_file_name(path), path,
                ": expected a name that ends in .safetensors, .h5 or .hdf5");
}

void write_data_file(const std::string& path, const data::Split& split, bool fake) {
  expect_data_file_name(path);
  const TensorFile file = data::tensors_of(split, fake);
  if (is_hdf5_name(path))
    data::write_hdf5(path, file);
  else
    write_safetensors(path, file);
}

}  // namespace limbeck
