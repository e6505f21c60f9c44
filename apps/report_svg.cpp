#include "apps/report_svg.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "apps/console.h"
#include "apps/report_text.h"
#include "tensor/error.h"

namespace limbeck::report {
namespace {

constexpr double width = 460, height = 280, left = 58, right = 12, top = 30, bottom = 40;
constexpr double inner_width = width - left - right, inner_height = height - top - bottom;
/// Okabe and Ito's palette: told apart with every kind of colour vision.
const char* const colours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                               "#e69f00", "#56b4e9", "#888888", "#b8a000"};

const char* colour(size_t i) { return colours[i % std::size(colours)]; }

std::string coordinate(double v) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", v);
  return text;
}

/// Whether a number can be drawn: differences of such numbers are finite too.
bool drawable(double v) { return std::abs(v) < 1e300; }

struct Range {
  double low = std::numeric_limits<double>::infinity(),
         high = -std::numeric_limits<double>::infinity();
  void add(double v) {
    if (drawable(v)) low = std::min(low, v), high = std::max(high, v);
  }
  bool empty() const { return !(low <= high); }
  void widen() {
    const double size = std::max({1.0, std::abs(low), std::abs(high)}),
                 half = std::max(0.5, 1e-6 * size);
    if (high - low < 1e-12 * size) low -= half, high += half;
  }
};

std::string text_at(double x, double y, const std::string& text, const char* anchor,
                    const char* more = "") {
  return cat("<text x=\"", coordinate(x), "\" y=\"", coordinate(y), "\" text-anchor=\"", anchor,
             "\"", more, ">", html_escaped(text), "</text>\n");
}

std::string open_chart(const std::string& title, double extra) {
  return cat("<svg viewBox=\"0 0 ", width, " ", height + extra, "\" width=\"", width,
             "\" height=\"", height + extra, "\" role=\"img\" aria-label=\"", html_escaped(title),
             "\">\n", text_at(left, 18, title, "start", " class=\"h\""));
}

std::string y_axis(const Range& y) {
  std::string out;
  for (const double tick : ticks(y.low, y.high, 5)) {
    const double at = top + inner_height * (1 - (tick - y.low) / (y.high - y.low));
    out += cat("<line class=\"g\" x1=\"", left, "\" x2=\"", width - right, "\" y1=\"",
               coordinate(at), "\" y2=\"", coordinate(at), "\"/>\n");
    out += text_at(left - 6, at + 4, format_number(tick), "end");
  }
  return out;
}

/// Columns of a legend: fewer where a label is long.
size_t legend_columns(const std::vector<std::string>& labels) {
  constexpr size_t fits_three = 18;
  return std::any_of(labels.begin(), labels.end(),
                     [](const std::string& l) { return l.size() > fits_three; })
             ? 2
             : 3;
}

/// Beyond the palette the colours come again, with gaps.
bool has_gaps(size_t i) { return i / std::size(colours) % 2 == 1; }

std::string legend(const std::vector<std::string>& labels) {
  const size_t columns = legend_columns(labels);
  std::string out;
  for (size_t i = 0; i < labels.size(); ++i) {
    const double x = left + static_cast<double>(i % columns) * 405 / static_cast<double>(columns),
                 y = height + 4 + 16 * static_cast<double>(i / columns);
    for (const double part : has_gaps(i) ? std::vector<double>{0, 7} : std::vector<double>{0})
      out += cat("<rect x=\"", x + part, "\" y=\"", y, "\" width=\"", has_gaps(i) ? 5 : 12,
                 "\" height=\"8\" fill=\"", colour(i), "\"/>\n");
    out += text_at(x + 16, y + 8, labels[i], "start");
  }
  return out;
}

double legend_height(const std::vector<std::string>& labels) {
  const size_t columns = legend_columns(labels);
  return 16 * static_cast<double>((labels.size() + columns - 1) / columns);
}

}  // namespace

std::vector<double> ticks(double low, double high, int about) {
  const double raw = (high - low) / std::max(1, about);
  const double power = std::pow(10, std::floor(std::log10(raw)));
  const double step = power * (raw / power < 1.5   ? 1
                               : raw / power < 3.5 ? 2
                               : raw / power < 7.5 ? 5
                                                   : 10);
  std::vector<double> list;
  const auto first = static_cast<int64_t>(std::ceil(low / step - 1e-9)),
             last = static_cast<int64_t>(std::floor(high / step + 1e-9));
  for (int64_t i = first; i <= last; ++i) list.push_back(static_cast<double>(i) * step);
  return list;
}

std::string line_chart(const std::string& title, const std::string& x_label,
                       const std::vector<Line>& lines) {
  Range x, y;
  std::vector<std::string> labels;
  for (const auto& line : lines)
    for (size_t i = 0; i < line.points.x.size(); ++i)
      if (drawable(line.points.x[i]) && drawable(line.points.y[i]))
        x.add(line.points.x[i]), y.add(line.points.y[i]);
  if (x.empty() || y.empty()) return {};
  for (const auto& line : lines)
    if (std::find(labels.begin(), labels.end(), line.label) == labels.end())
      labels.push_back(line.label);
  x.widen(), y.widen();
  std::string out = open_chart(title, legend_height(labels)) + y_axis(y);
  for (const double tick : ticks(x.low, x.high, 6))
    out += text_at(left + inner_width * (tick - x.low) / (x.high - x.low), height - bottom + 16,
                   format_number(tick), "middle");
  out += text_at(left + inner_width / 2, height - 6, x_label, "middle");
  for (const auto& line : lines) {
    const auto index =
        static_cast<size_t>(std::find(labels.begin(), labels.end(), line.label) - labels.begin());
    std::string points;
    for (size_t i = 0; i < line.points.x.size(); ++i)
      if (drawable(line.points.x[i]) && drawable(line.points.y[i]))
        points += cat(
            coordinate(left + inner_width * (line.points.x[i] - x.low) / (x.high - x.low)), ",",
            coordinate(top + inner_height * (1 - (line.points.y[i] - y.low) / (y.high - y.low))),
            " ");
    out += cat("<polyline fill=\"none\" stroke=\"", colour(index),
               has_gaps(index) ? "\" stroke-dasharray=\"6 3" : "",
               "\" stroke-width=\"1.6\" points=\"", points, "\"/>\n");
  }
  return out + legend(labels) + "</svg>\n";
}

std::string bar_chart(const std::string& title, const std::vector<std::string>& series,
                      const std::vector<BarGroup>& groups) {
  Range y;
  y.add(0);
  for (const auto& g : groups)
    for (const double v : g.values) y.add(v);
  if (groups.empty()) return {};
  y.widen();
  std::string out = open_chart(title, legend_height(series)) + y_axis(y);
  const double slot = inner_width / static_cast<double>(groups.size()),
               bar = 0.8 * slot / static_cast<double>(series.size());
  for (size_t g = 0; g < groups.size(); ++g) {
    const double start = left + slot * (static_cast<double>(g) + 0.1);
    for (size_t s = 0; s < groups[g].values.size(); ++s) {
      const double v = groups[g].values[s];
      if (!drawable(v)) continue;
      const double h = inner_height * (v - y.low) / (y.high - y.low);
      out += cat("<rect x=\"", coordinate(start + bar * static_cast<double>(s)), "\" y=\"",
                 coordinate(top + inner_height - h), "\" width=\"", coordinate(bar), "\" height=\"",
                 coordinate(h), "\" fill=\"", colour(s), "\"/>\n");
    }
    if (groups.size() <= 20 || g % (groups.size() / 10) == 0)
      out += text_at(start + 0.4 * slot, height - bottom + 16, groups[g].label, "middle");
  }
  return out + legend(series) + "</svg>\n";
}

}  // namespace limbeck::report
