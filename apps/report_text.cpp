#include "apps/report_text.h"

#include <charconv>
#include <cmath>
#include <cstdint>

#include "apps/console.h"
#include "tensor/error.h"

namespace limbeck::report {
namespace {

/// A character of UTF-8; `bytes` is 1 and `code` invalid_code for a byte that begins none.
struct Character {
  uint32_t code;
  size_t bytes;
};
constexpr uint32_t invalid_code = 0xffffffff;

Character character_at(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const uint32_t first = byte(at);
  if (first < 0x80) return {first, 1};
  const size_t bytes = first >= 0xf0 && first < 0xf5   ? 4
                       : first >= 0xe0 && first < 0xf0 ? 3
                       : first >= 0xc2 && first < 0xe0 ? 2
                                                       : 0;
  if (bytes == 0) return {invalid_code, 1};
  uint32_t code = first & (0x7f >> bytes);
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(at + i) & 0xc0) != 0x80) return {invalid_code, 1};
    code = code << 6 | (byte(at + i) & 0x3f);
  }
  const bool too_long = (bytes == 3 && code < 0x800) || (bytes == 4 && code < 0x10000);
  if (too_long || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return {invalid_code, 1};
  return {code, bytes};
}

bool is_control(uint32_t code) {
  const bool directs = code == 0x61c || (code >= 0x200e && code <= 0x200f) ||
                       (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
  return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029 ||
         directs || code == invalid_code;
}

bool is_word(char c) {
  const auto u = static_cast<unsigned char>(c);
  return std::isalnum(u) || u >= 0x80;
}

const char* latex_of(char c) {
  switch (c) {
    case '\\': return "\\textbackslash{}";
    case '{': return "\\{";
    case '}': return "\\}";
    case '$': return "\\$";
    case '&': return "\\&";
    case '#': return "\\#";
    case '%': return "\\%";
    case '_': return "\\_";
    case '^': return "\\textasciicircum{}";
    case '~': return "\\textasciitilde{}";
    case '<': return "\\textless{}";
    case '>': return "\\textgreater{}";
    case '|': return "\\textbar{}";
    case '"': return "''";
    default: return nullptr;
  }
}

std::string deviation_text(double deviation, const std::string& unit) {
  return " ± " + format_plain(deviation, unit);
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const Character c = character_at(text, at);
    if (c.code == '\n' || c.code == '\t' || c.code == '\r')
      out += ' ';
    else if (is_control(c.code))
      out += '?';
    else
      out.append(text, at, c.bytes);
    at += c.bytes;
  }
  return out;
}

std::string html_escaped(const std::string& text) {
  std::string out;
  for (const char c : printable(text)) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else if (c == '\'')
      out += "&#39;";
    else
      out += c;
  }
  return out;
}

std::string markdown_escaped(const std::string& text) {
  const std::string in = printable(text);
  std::string out;
  for (size_t i = 0; i < in.size(); ++i) {
    const bool in_word = i > 0 && i + 1 < in.size() && is_word(in[i - 1]) && is_word(in[i + 1]);
    if (in[i] == '&')
      out += "&amp;";
    else if (in[i] == '<')
      out += "&lt;";
    else {
      if (std::string("\\|`[]*~$").find(in[i]) != std::string::npos || (in[i] == '_' && !in_word))
        out += '\\';
      out += in[i];
    }
  }
  return out;
}

std::string latex_escaped(const std::string& text) {
  const std::string in = printable(text);
  std::string out;
  for (size_t i = 0; i < in.size(); ++i) {
    if (in.compare(i, 2, "±") == 0)
      out += "$\\pm$", ++i;
    else if (i == 0 && in[0] == '-' && in.size() > 1 &&
             std::isdigit(static_cast<unsigned char>(in[1])))
      out += "$-$";
    else if (const char* special = latex_of(in[i]))
      out += special;
    else
      out += in[i];
  }
  return out;
}

std::string csv_text(const std::string& text) {
  std::string in = printable(text);
  if (!in.empty() && std::string("=+-@").find(in[0]) != std::string::npos) in.insert(0, "'");
  if (in.find_first_of(",;\"'") == std::string::npos) return in;
  std::string out = "\"";
  for (const char c : in) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + '"';
}

std::string csv_number(double value) {
  if (!std::isfinite(value)) return "";
  char buffer[64];
  return {buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr};
}

std::string shown_unit(const std::string& unit) { return unit == "share" ? "%" : unit; }
double shown_scale(const std::string& unit) { return unit == "share" ? 100 : 1; }

std::string format_plain(double value, const std::string& unit) {
  if (!std::isfinite(value)) return "-";
  if (unit != "share") return format_number(value);
  if (!std::isfinite(100 * value)) return "-";
  char text[400];
  std::snprintf(text, sizeof text, "%.2f", 100 * value);
  return text;
}

std::string format_plain(const Summary& s, const std::string& unit) {
  if (s.n == 0) return "-";
  return format_plain(s.mean, unit) + (s.n > 1 ? deviation_text(s.deviation, unit) : "");
}

std::string format_plain(const Difference& d, const std::string& unit) {
  const std::string mean = format_plain(d.mean, unit);
  return (d.mean > 0 ? "+" : "") + mean +
         (std::isfinite(d.standard_error) ? deviation_text(d.standard_error, unit) : "");
}

std::string format_with_unit(const Summary& s, const std::string& unit) {
  const std::string text = format_plain(s, unit);
  return text == "-" || unit.empty() ? text : cat(text, " ", shown_unit(unit));
}

}  // namespace limbeck::report
