// Charts of a report as inline SVG: lines over steps, bars per class. No script, no outside file.
#pragma once
#include <string>
#include <vector>

#include "apps/report_data.h"

namespace limbeck::report {

struct Line {
  std::string
      /// lines with the same label share a colour and one entry of the legend (one line per run)
      label;
  Series points;
};

/// Empty when no line has a finite point.
std::string line_chart(const std::string& title, const std::string& x_label,
                       const std::vector<Line>& lines);

struct BarGroup {
  std::string label;
  std::vector<double> values;  ///< one per series
};
std::string bar_chart(const std::string& title, const std::vector<std::string>& series,
                      const std::vector<BarGroup>& groups);

/// "Nice" ticks (1, 2 or 5 times a power of ten) that span [low, high].
std::vector<double> ticks(double low, double high, int about);

}  // namespace limbeck::report
