// Numbers and words in the metadata of a tensor file, read with their types.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "tensor/safetensors.h"

namespace limbeck {

/// The metadata of a file that outlives this. Errors name the file, the key, what was expected and
/// what was found.
class MetadataReader {
 public:
  /// `name` of the file in errors; `kind`: what the file should be ("a generator checkpoint"), said
  /// when a key is missing.
  MetadataReader(const TensorFile& file, std::string name, std::string kind)
      : file_(file), name_(std::move(name)), kind_(std::move(kind)) {}

  bool has(const std::string& key) const { return file_.metadata.contains(key); }
  /// Throws when there is no such key, as all below do.
  const std::string& text(const std::string& key) const;
  /// Finite.
  double number(const std::string& key) const;
  /// `count` finite numbers, separated by blanks.
  std::vector<double> numbers(const std::string& key, size_t count) const;
  /// From `low` to `high`; the defaults are for sizes, of which a wrong one must not ask for all
  /// memory.
  int64_t integer(const std::string& key, int64_t low = 1, int64_t high = 1 << 20) const;
  /// "true" or "false".
  bool flag(const std::string& key) const;
  /// `count` lines, as metadata_lines() writes them.
  std::vector<std::string> lines(const std::string& key, size_t count) const;
  /// "file.safetensors: metadata 'key'", the beginning of an error about a value.
  std::string place(const std::string& key) const;

 private:
  const TensorFile& file_;
  const std::string name_, kind_;
};

/// Text from which number() and numbers() get the same bits back.
std::string metadata_text(double value);
std::string metadata_text(const std::vector<double>& values);
/// Names, one a line; throws, beginning with `what`, for one that has more than one.
std::string metadata_lines(const std::vector<std::string>& names, const std::string& what);

}  // namespace limbeck
