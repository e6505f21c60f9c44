// Text of a report: names from files made harmless in every format, and numbers with their units.
#pragma once
#include <string>
#include <string_view>

#include "apps/report_statistics.h"

namespace limbeck::report {

/// One line of valid UTF-8 without control characters (which steer a terminal) or marks that change
/// the direction of text: '?' in their place, a space for tabs and ends of lines. The functions
/// below do this first.
std::string printable(std::string_view text);
/// & < > " ' as entities.
std::string html_escaped(const std::string& text);
/// For a cell or a line of Markdown: \ | ` [ ] * ~ $, < and &, and _ at the edge of a word.
std::string markdown_escaped(const std::string& text);
/// All of LaTeX's special characters; ± and a leading minus as mathematics.
std::string latex_escaped(const std::string& text);
/// A field of CSV that is text: quoted where needed; what a spreadsheet would take for a formula (=
/// + - @ in front) gets a ' in front.
std::string csv_text(const std::string& text);
/// A field of CSV that is a number: the shortest text that reads back to the same value; empty when
/// it is not finite.
std::string csv_number(double value);

/// "%" for shares, otherwise the unit itself; "" for a plain number.
std::string shown_unit(const std::string& unit);
/// What a share is multiplied with to be shown (100), 1 for others.
double shown_scale(const std::string& unit);

/// Numbers as they are shown, without their unit: two decimals for shares (in percent), four
/// significant digits otherwise; "-" when not finite.
std::string format_plain(double value, const std::string& unit);
/// "71.25 ± 0.40"; the mean alone for n = 1; "-" for n = 0.
std::string format_plain(const Summary& summary, const std::string& unit);
/// With a sign and the standard error where there is one: "+1.20 ± 0.31".
std::string format_plain(const Difference& difference, const std::string& unit);
/// With the unit: "71.25 ± 0.40 %".
std::string format_with_unit(const Summary& summary, const std::string& unit);

}  // namespace limbeck::report
