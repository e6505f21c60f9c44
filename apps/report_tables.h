// A table in every format: plain text for the terminal, Markdown, LaTeX, HTML. Its texts may come
// from files: each format escapes them.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "apps/report_statistics.h"

namespace limbeck::report {

struct Cell {
  std::string text;
  Mark mark = Mark::none;
  Cell(std::string t, Mark m = Mark::none) : text(std::move(t)), mark(m) {}
  Cell(const char* t) : text(t) {}
  bool operator==(const Cell&) const = default;
};

struct Table {
  std::string title, note;
  std::vector<std::string> header;
  std::vector<std::vector<Cell>>
      rows;  ///< each as long as the header; the first columns are text, the others numbers
  size_t text_columns = 1;
};

/// Best and second best: with * and + behind; bold and underlined in the other formats.
std::string to_text(const Table& t);
std::string to_markdown(const Table& t);
/// A table environment with the title and note as its caption; needs the package booktabs.
std::string to_latex(const Table& t);
std::string to_html(const Table& t);

}  // namespace limbeck::report
