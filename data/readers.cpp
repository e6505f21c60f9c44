#include "data/readers.h"

#include <cerrno>
#include <cstring>
#include <fstream>

namespace limbeck::data {

std::vector<std::string> optional_lines(const std::string& file) {
  std::ifstream in(file);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    lines.push_back(line);
  }
  while (!lines.empty() && lines.back().empty()) lines.pop_back();
  return lines;
}

void check_readable(const std::string& file) {
  errno = 0;
  LIMBECK_CHECK(std::ifstream(file).is_open(), file, ": cannot open: ", std::strerror(errno));
}

}  // namespace limbeck::data
