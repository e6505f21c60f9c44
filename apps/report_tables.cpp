#include "apps/report_tables.h"

#include <algorithm>

#include "apps/report_text.h"
#include "tensor/error.h"

namespace limbeck::report {
namespace {

using TextRow = std::vector<std::string>;

/// Characters on the screen, not bytes: continuation bytes of UTF-8 take no room.
size_t width_of(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

std::string padded(const std::string& text, size_t width, bool left) {
  const std::string space(width - std::min(width, width_of(text)), ' ');
  return left ? text + space : space + text;
}

/// Header and rows in one list, by a function for each.
template <class Header, class Body>
std::vector<TextRow> rows_as(const Table& t, const Header& header, const Body& body) {
  std::vector<TextRow> rows{{}};
  for (const auto& name : t.header) rows[0].push_back(header(name));
  for (const auto& row : t.rows) {
    rows.emplace_back();
    for (size_t c = 0; c < row.size(); ++c) rows.back().push_back(body(row[c], c));
  }
  return rows;
}

/// Cells of a column to one width, joined.
std::vector<std::string> aligned(const std::vector<TextRow>& rows, size_t text_columns,
                                 const char* between) {
  std::vector<size_t> widths(rows[0].size(), 0);
  for (const auto& row : rows)
    for (size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], width_of(row[c]));
  std::vector<std::string> lines;
  for (const auto& row : rows) {
    lines.emplace_back();
    for (size_t c = 0; c < row.size(); ++c)
      lines.back() += (c ? between : "") + padded(row[c], widths[c], c < text_columns);
  }
  return lines;
}

bool has_mark(const Table& t, size_t column) {
  return std::any_of(t.rows.begin(), t.rows.end(),
                     [&](const auto& row) { return row[column].mark != Mark::none; });
}

bool has_mark(const Table& t) {
  for (size_t c = 0; c < t.header.size(); ++c)
    if (has_mark(t, c)) return true;
  return false;
}

/// The text of a cell between what its mark opens and closes.
std::string wrapped(const std::string& text, Mark mark, const char* best, const char* best_end,
                    const char* second, const char* second_end) {
  if (mark == Mark::best) return best + text + best_end;
  if (mark == Mark::second) return second + text + second_end;
  return text;
}

}  // namespace

std::string to_text(const Table& t) {
  const auto body = [&](const Cell& cell, size_t column) {
    // Numbers stay in line: a cell without a mark has a space where others have theirs.
    const char* mark = cell.mark == Mark::best     ? "*"
                       : cell.mark == Mark::second ? "+"
                       : has_mark(t, column)       ? " "
                                                   : "";
    return printable(cell.text) + mark;
  };
  const auto lines = aligned(rows_as(t, printable, body), t.text_columns, "  ");
  std::string out = cat(printable(t.title), "\n");
  if (!t.note.empty())
    out += cat(printable(t.note), has_mark(t) ? " * best, + second best." : "", "\n");
  out += lines[0] + "\n" + std::string(width_of(lines[0]), '-') + "\n";
  for (size_t i = 1; i < lines.size(); ++i) out += lines[i] + "\n";
  return out;
}

std::string to_markdown(const Table& t) {
  const auto body = [](const Cell& cell, size_t) {
    return wrapped(markdown_escaped(cell.text), cell.mark, "**", "**", "<u>", "</u>");
  };
  const auto lines = aligned(rows_as(t, markdown_escaped, body), t.text_columns, " | ");
  std::string out = cat("## ", markdown_escaped(t.title), "\n\n");
  if (!t.note.empty()) out += markdown_escaped(t.note) + "\n\n";
  out += "| " + lines[0] + " |\n|";
  for (size_t c = 0; c < t.header.size(); ++c) out += c < t.text_columns ? " --- |" : " ---: |";
  out += "\n";
  for (size_t i = 1; i < lines.size(); ++i) out += "| " + lines[i] + " |\n";
  return out + "\n";
}

std::string to_latex(const Table& t) {
  const auto body = [](const Cell& cell, size_t) {
    return wrapped(latex_escaped(cell.text), cell.mark, "\\textbf{", "}", "\\underline{", "}");
  };
  std::string out = cat("% needs the package booktabs\n\\begin{table}\n\\centering\n\\caption{",
                        latex_escaped(t.title), ".", t.note.empty() ? "" : " ",
                        latex_escaped(t.note), "}\n\\begin{tabular}{");
  for (size_t c = 0; c < t.header.size(); ++c) out += c < t.text_columns ? 'l' : 'r';
  out += "}\n\\toprule\n";
  const char* after = "\\midrule\n";
  for (const TextRow& row : rows_as(t, latex_escaped, body)) {
    for (size_t c = 0; c < row.size(); ++c) out += (c ? " & " : "") + row[c];
    out += cat(" \\\\\n", after);
    after = "";
  }
  return out + "\\bottomrule\n\\end{tabular}\n\\end{table}\n\n";
}

std::string to_html(const Table& t) {
  const auto element = [&](const char* name, size_t column, const std::string& text) {
    return cat("<", name, column < t.text_columns ? " class=\"t\">" : ">", text, "</", name, ">");
  };
  const auto body = [](const Cell& cell, size_t) {
    return wrapped(html_escaped(cell.text), cell.mark, "<strong>", "</strong>", "<u>", "</u>");
  };
  std::string out = cat("<h2>", html_escaped(t.title), "</h2>\n");
  if (!t.note.empty()) out += cat("<p>", html_escaped(t.note), "</p>\n");
  out += "<div class=\"wide\"><table>\n";
  const char* name = "th";
  for (const TextRow& row : rows_as(t, html_escaped, body)) {
    out += "<tr>";
    for (size_t c = 0; c < row.size(); ++c) out += element(name, c, row[c]);
    out += "</tr>\n";
    name = "td";
  }
  return out + "</table></div>\n";
}

}  // namespace limbeck::report
