// Tables of text: CSV as people and programs write it.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace limbeck::data {

struct Row {
  int64_t line;  ///< where it begins in the file, counted from 1
  std::vector<std::string> cells;
};
struct Table {
  std::string file;
  std::vector<std::string> header;
  std::vector<Row> rows;
};

/// A header and rows of as many cells, in UTF-8, or UTF-16 with or without its mark. Commas,
/// semicolons or tabs separate them: what the header has most of. Quotes hold separators, line ends
/// and, doubled, themselves. Blanks around cells are dropped, lines without any text left out.
/// Throws naming file and line.
Table read_table(const std::string& file);

/// Whether the bytes are well-formed UTF-8.
bool is_utf8(const std::string& text);
/// Without spaces, tabs and no-break spaces at its ends.
std::string trimmed(const std::string& text);
/// Lower case of the letters A to Z.
std::string lower_case(std::string text);

}  // namespace limbeck::data
