// Numbers that training and evaluation find, with what they are: a report need not guess it from
// their names.
#pragma once
#include <map>
#include <string>

namespace limbeck::train {

/// Which way a number is better.
enum class Better { neither, higher, lower };
/// "neither", "higher", "lower", and back; throws on other names.
const char* name_of(Better better);
Better parse_better(const std::string& name);

struct Result {
  double value = 0;
  /// "share" (in [0, 1], shown in percent), "degrees", "images", "steps", ...; "": a plain number
  std::string unit = {};
  Better better = Better::neither;
  /// "test" (what students are compared by), "train", "fakes" (of generated images), "cost",
  /// "detail"
  std::string kind = "detail";
  bool operator==(const Result&) const = default;
};
using Results = std::map<std::string, Result>;

}  // namespace limbeck::train
