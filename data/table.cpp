#include "data/table.h"

#include <algorithm>
#include <string_view>

#include "tensor/error.h"
#include "tensor/safetensors.h"

namespace limbeck::data {
namespace {

constexpr std::string_view no_break_space = "\xC2\xA0";

void append_utf8(std::string& text, uint32_t c) {
  const auto byte = [&](uint32_t b) { text += static_cast<char>(b); };
  if (c < 0x80) return byte(c);
  if (c < 0x800) return byte(0xC0 | c >> 6), byte(0x80 | (c & 63));
  if (c < 0x10000) return byte(0xE0 | c >> 12), byte(0x80 | (c >> 6 & 63)), byte(0x80 | (c & 63));
  byte(0xF0 | c >> 18), byte(0x80 | (c >> 12 & 63)), byte(0x80 | (c >> 6 & 63)),
      byte(0x80 | (c & 63));
}

/// UTF-16 from byte `begin` on; a surrogate without its partner becomes what the check of UTF-8
/// refuses.
std::string from_utf16(std::string_view bytes, size_t begin, bool little) {
  const auto unit = [&](size_t i) {
    const auto a = static_cast<uint8_t>(bytes[i]), b = static_cast<uint8_t>(bytes[i + 1]);
    return static_cast<uint32_t>(little ? b << 8 | a : a << 8 | b);
  };
  std::string text;
  for (size_t i = begin; i + 1 < bytes.size(); i += 2) {
    uint32_t c = unit(i);
    if (c >= 0xD800 && c < 0xDC00 && i + 3 < bytes.size())
      if (const uint32_t low = unit(i + 2); low >= 0xDC00 && low < 0xE000)
        c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00), i += 2;
    append_utf8(text, c);
  }
  return text;
}

/// What the file says in UTF-8, without a byte order mark.
std::string decoded(const std::string& file, const std::string& bytes) {
  const auto begins = [&](std::string_view mark) { return bytes.rfind(mark, 0) == 0; };
  if (begins("\xEF\xBB\xBF")) return bytes.substr(3);
  const bool wide = begins(std::string_view("\xFF\xFE\0\0", 4));  // UTF-32 is not read
  const bool little = begins("\xFF\xFE"), big = begins("\xFE\xFF");
  // Without a mark the zero byte of the first letter tells.
  const bool zero_first = bytes.size() > 1 && !bytes[0] && bytes[1],
             zero_second = bytes.size() > 1 && bytes[0] && !bytes[1];
  if (wide || !(little || big || zero_first || zero_second)) return bytes;
  LIMBECK_CHECK(bytes.size() % 2 == 0, file, ": UTF-16 of ", bytes.size(),
                " bytes, which ends within a character");
  return from_utf16(bytes, little || big ? 2 : 0, little || zero_second);
}

/// Length of the UTF-8 character at `at`; 0 when there is none.
size_t character_at(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) {
    return at + i < text.size() ? static_cast<uint8_t>(text[at + i]) : 0u;
  };
  const auto follows = [&](size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const unsigned first = byte(0);
  if (first < 0x80) return first > 0 ? 1 : 0;
  if (first >= 0xC2 && first < 0xE0) return follows(1) ? 2 : 0;
  const bool short_form = (first == 0xE0 && byte(1) < 0xA0) || (first == 0xF0 && byte(1) < 0x90),
             beyond = (first == 0xED && byte(1) > 0x9F) || (first == 0xF4 && byte(1) > 0x8F);
  if (short_form || beyond) return 0;
  if (first >= 0xE0 && first < 0xF0) return follows(1) && follows(2) ? 3 : 0;
  return first >= 0xF0 && first < 0xF5 && follows(1) && follows(2) && follows(3) ? 4 : 0;
}

void check_text(const std::string& file, std::string_view text) {
  int64_t line = 1;
  for (size_t at = 0; at < text.size();) {
    const size_t length = character_at(text, at);
    LIMBECK_CHECK(length > 0, file, ": line ", line,
                  ": expected text in UTF-8 (or UTF-16), found a byte of ",
                  static_cast<int>(static_cast<uint8_t>(text[at])), "; save the file as UTF-8");
    line += text[at] == '\n';
    at += length;
  }
}

/// Reads cell after cell, row after row.
class TableReader {
 public:
  TableReader(const std::string& file, std::string_view text) : file_(file), text_(text) {
    separator_ = found_separator();
  }
  bool at_end() const { return at_ >= text_.size(); }

  Row next() {
    Row row{line_, {}};
    do row.cells.push_back(cell(row.line));
    while (take(separator_));
    if (take('\r'))
      take('\n'), ++line_;
    else if (take('\n'))
      ++line_;
    return row;
  }

 private:
  char peek() const { return at_end() ? '\n' : text_[at_]; }
  bool take(char c) {
    if (at_end() || text_[at_] != c) return false;
    return ++at_, true;
  }
  bool ends_cell(char c) const { return c == separator_ || c == '\n' || c == '\r'; }
  void skip_blanks() {
    for (;;) {
      if (text_.substr(at_).starts_with(no_break_space))
        at_ += no_break_space.size();
      else if (at_end() || ends_cell(peek()) || (peek() != ' ' && peek() != '\t'))
        return;
      else
        ++at_;
    }
  }

  std::string cell(int64_t row_line) {
    skip_blanks();
    if (take('"')) return quoted(row_line);
    const size_t begin = at_;
    while (!ends_cell(peek())) ++at_;
    return trimmed(std::string(text_.substr(begin, at_ - begin)));
  }

  std::string quoted(int64_t row_line) {
    std::string text;
    for (;; ++at_) {
      LIMBECK_CHECK(!at_end(), file_, ": line ", row_line, ": quote not closed");
      line_ += peek() == '\n';
      if (peek() == '"' && text_.substr(at_).starts_with("\"\""))
        ++at_;
      else if (peek() == '"')
        break;
      text += peek();
    }
    ++at_;
    skip_blanks();
    LIMBECK_CHECK(ends_cell(peek()), file_, ": line ", line_,
                  ": expected a separator after the quote, found '", peek(), "'");
    return trimmed(text);
  }

  /// What the first line has most of, outside of quotes. Spreadsheets may say it: "sep=;".
  char found_separator() {
    for (const char c : {',', ';', '\t'})
      for (const char* end : {"\n", "\r\n"})
        if (const std::string said = std::string("sep=") + c + end; text_.starts_with(said))
          return at_ = said.size(), line_ = 2, c;
    std::vector<int64_t> count(128, 0);
    bool quoted = false;
    for (const char c : text_) {
      if ((c == '\n' || c == '\r') && !quoted) break;
      quoted = quoted != (c == '"');
      if (!quoted && c > 0) ++count[static_cast<size_t>(c)];
    }
    char best = ',';
    for (const char c : {';', '\t'})
      if (count[static_cast<size_t>(c)] > count[static_cast<size_t>(best)]) best = c;
    return best;
  }

  const std::string& file_;
  const std::string_view text_;
  size_t at_ = 0;
  int64_t line_ = 1;
  char separator_ = ',';
};

bool is_blank(const Row& row) {
  return std::all_of(row.cells.begin(), row.cells.end(),
                     [](const std::string& cell) { return cell.empty(); });
}

}  // namespace

bool is_utf8(const std::string& text) {
  for (size_t at = 0; at < text.size();) {
    const size_t length = character_at(text, at);
    if (length == 0) return false;
    at += length;
  }
  return true;
}

std::string trimmed(const std::string& text) {
  std::string_view rest = text;
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!rest.empty() && (blank(rest.front()) || rest.starts_with(no_break_space)))
    rest.remove_prefix(blank(rest.front()) ? 1 : no_break_space.size());
  while (!rest.empty() && (blank(rest.back()) || rest.ends_with(no_break_space)))
    rest.remove_suffix(blank(rest.back()) ? 1 : no_break_space.size());
  return std::string(rest);
}

std::string lower_case(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

Table read_table(const std::string& file) {
  const std::string text = decoded(file, read_file(file));
  check_text(file, text);
  Table table;
  table.file = file;
  TableReader reader(file, text);
  while (!reader.at_end()) {
    Row row = reader.next();
    if (is_blank(row)) continue;
    if (table.header.empty()) {
      table.header = std::move(row.cells);
      continue;
    }
    LIMBECK_CHECK(row.cells.size() == table.header.size(), file, ": line ", row.line, ": expected ",
                  table.header.size(), " columns, found ", row.cells.size());
    table.rows.push_back(std::move(row));
  }
  return table;
}

}  // namespace limbeck::data
