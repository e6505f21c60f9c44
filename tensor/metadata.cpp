#include "tensor/metadata.h"

#include <cmath>
#include <cstdlib>
#include <sstream>

namespace limbeck {
std::string MetadataReader::place(const std::string& key) const {
  return cat(name_, ": metadata '", key, "'");
}

const std::string& MetadataReader::text(const std::string& key) const {
  const auto found = file_.metadata.find(key);
  LIMBECK_CHECK(found != file_.metadata.end(), name_, ": no '", key, "' in the metadata; expected ",
                kind_);
  return found->second;
}

std::vector<double> MetadataReader::numbers(const std::string& key, size_t count) const {
  const std::string& all = text(key);
  std::vector<double> values;
  const char* at = all.c_str();
  bool good = true;
  while (good && *at) {
    char* end = nullptr;
    const double v = std::strtod(at, &end);
    good = end != at && std::isfinite(v) && (*end == 0 || *end == ' ');
    if (good) values.push_back(v);
    at = *end == ' ' ? end + 1 : end;
  }
  LIMBECK_CHECK(good && values.size() == count, place(key), ": expected ", count,
                count == 1 ? " number" : " numbers", ", found '", all, "'");
  return values;
}

double MetadataReader::number(const std::string& key) const { return numbers(key, 1)[0]; }

int64_t MetadataReader::integer(const std::string& key, int64_t low, int64_t high) const {
  const double v = number(key);
  LIMBECK_CHECK(
      v == std::floor(v) && v >= static_cast<double>(low) && v <= static_cast<double>(high),
      place(key), ": expected an integer from ", low, " to ", high, ", found '", text(key), "'");
  return static_cast<int64_t>(v);
}

bool MetadataReader::flag(const std::string& key) const {
  const std::string& found = text(key);
  LIMBECK_CHECK(found == "true" || found == "false", place(key),
                ": expected true or false, found '", found, "'");
  return found == "true";
}

std::vector<std::string> MetadataReader::lines(const std::string& key, size_t count) const {
  std::vector<std::string> lines;
  std::istringstream in(text(key));
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  LIMBECK_CHECK(lines.size() == count, place(key), ": expected ", count, " names, found ",
                lines.size());
  return lines;
}

std::string metadata_text(double value) {
  std::ostringstream out;
  out.precision(17);
  out << value;
  return out.str();
}

std::string metadata_text(const std::vector<double>& values) {
  std::string all;
  for (const double v : values) all += (all.empty() ? "" : " ") + metadata_text(v);
  return all;
}

std::string metadata_lines(const std::vector<std::string>& names, const std::string& what) {
  std::string all;
  for (const std::string& name : names) {
    LIMBECK_CHECK(name.find('\n') == std::string::npos, what, " ", name.substr(0, name.find('\n')),
                  "...: expected no line break, which the metadata cannot hold");
    all += name + "\n";
  }
  return all;
}

}  // namespace limbeck
