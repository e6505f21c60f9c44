// safetensors files: an 8-byte little-endian header length, a JSON header, raw little-endian
// tensors.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tensor/tensor.h"

namespace limbeck {

/// Ordered tensors and string metadata as they stand in one file.
struct TensorFile {
  std::vector<std::pair<std::string, Tensor>> tensors;
  std::map<std::string, std::string> metadata;

  void add(std::string name, Tensor t) { tensors.emplace_back(std::move(name), std::move(t)); }
  const Tensor* find(const std::string& name) const;
  /// Throws naming the tensor (and the nearest name) when absent.
  const Tensor& get(const std::string& name) const;

  /// Several state_dicts in one file: adds the tensors and metadata of `part` under prefixed names.
  void add_part(const std::string& prefix, const TensorFile& part);
  /// What add_part put there, under its own names again.
  TensorFile part(const std::string& prefix) const;
};

/// Reads a whole file. Throws Error naming the file for: missing, truncated, bad header,
/// overlapping or out-of-range offsets, unknown type. F16 and BF16 are widened to f32. Layout is as
/// stored (PyTorch's); nothing is permuted here.
TensorFile read_safetensors(const std::string& path);

/// Writes to a new file `path`.*.tmp, syncs, renames: a reader never sees half a file. Throws
/// naming the path (full disk, read-only) and removes the rest. A device or a pipe (/dev/null,
/// /dev/stdout) is written to as it is; a folder is refused.
void write_safetensors(const std::string& path, const TensorFile& file);

/// The same atomic write for any bytes.
/// Throws naming the path.
void write_file_atomically(const std::string& path, const void* data, size_t bytes);
void write_file_atomically(const std::string& path, const std::string& text);
/// The whole file; throws naming it.
std::string read_file(const std::string& path);

/// NumPy .npy version 1.0, C order, little endian; f32, f64, i64, i32, u8, bool; other integers of
/// at most 32 bits become i64.
Tensor read_npy(const std::string& path);
/// The same of bytes in memory; errors begin with `name`.
Tensor parse_npy(std::string_view bytes, const std::string& name);
/// Any shape; throws for other types, and naming the path.
void write_npy(const std::string& path, const Tensor& t);

}  // namespace limbeck
