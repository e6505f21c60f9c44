// Checksums of data: 64 bits that tell whether bytes are the same as they were; not against people
// who want them to look the same.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "tensor/tensor.h"

namespace limbeck {

struct TensorFile;

class Checksum {
 public:
  /// Bytes in order; how they are cut into calls matters.
  Checksum& add(std::string_view bytes);
  /// Type, shape and values of a tensor on the host; an undefined one counts too.
  Checksum& add(const Tensor& tensor);
  /// 16 hexadecimal digits.
  std::string text() const;

 private:
  void mix(uint64_t word);
  uint64_t state_ = 0xcbf29ce484222325;
};

/// The file with a checksum of its tensors and metadata as metadata "limbeck.checksum".
/// read_safetensors compares it and takes it out of the metadata; files without one are read too.
TensorFile with_checksum(TensorFile file);

}  // namespace limbeck
