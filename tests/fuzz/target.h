// Readers of bytes that others made, each with valid inputs: what the fuzzer (make fuzz) mutates,
// and what replay_test.cpp damages in every run of the tests.
#pragma once
#include <functional>
#include <ostream>
#include <string>
#include <vector>

namespace limbeck::fuzz {

/// A reader looks at one file of a folder; the other files, if it needs some, are written before.
struct Target {
  std::string name;
  std::string file = "input";  ///< relative to the folder
  /// Writes a valid input, and whatever else belongs into the folder.
  std::vector<std::function<void(const std::string& folder)>> seeds;
  /// Reads; throws Error for a file that it refuses, and nothing else.
  std::function<void(const std::string& folder)> read;
  /// Bytes that once broke it: they must be refused.
  std::vector<std::string> refused = {};
  bool parts = false;     ///< of lines or records: with the last ones cut off it may be whole
  bool checksum = false;  ///< every flipped bit of it is noticed
};

inline std::ostream& operator<<(std::ostream& out, const Target& target) {
  return out << target.name;
}

struct RegisterTarget {
  explicit RegisterTarget(Target target);
};
/// Sorted by name.
const std::vector<Target>& targets();
const Target& find_target(const std::string& name);

/// How a reader answered.
enum class Answer { read, refused };
/// Writes the bytes into `folder`, which holds a seed's files, and reads. Every exception but Error
/// passes.
Answer feed(const Target& target, const std::string& folder, const std::string& bytes);

}  // namespace limbeck::fuzz
