// Errors of the library: one exception type whose message says which thing, what was expected, what
// was found.
#pragma once
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace limbeck {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Joins its arguments into one string with operator<<.
template <class... Parts>
std::string cat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

/// Throws Error with the parts as one text.
template <class... Parts>
[[noreturn]] void fail(const Parts&... parts) {
  throw Error(cat(parts...));
}

/// "a, b, c".
std::string joined(const std::vector<std::string>& names);

/// The candidate of the smallest edit distance without regard to case; empty when none is near: two
/// edits, or a third of the name, that leave something of it.
std::string nearest_name(const std::string& name, const std::vector<std::string>& candidates);

/// The end of a message about an unknown name: "; did you mean 'x'?" with the nearest candidate;
/// when none is near, `otherwise`, or without one the candidates, if they are few.
std::string did_you_mean(const std::string& name, const std::vector<std::string>& candidates,
                         const std::string& otherwise = {});

}  // namespace limbeck

/// Throws limbeck::Error with the joined parts unless the condition holds; the parts are only
/// evaluated on failure.
#define LIMBECK_CHECK(condition, ...) \
  do {                                \
    if (!(condition)) [[unlikely]]    \
      ::limbeck::fail(__VA_ARGS__);   \
  } while (0)
