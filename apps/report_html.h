// The page of a report: one self-contained HTML file.
#pragma once
#include <string>
#include <vector>

#include "apps/report_data.h"

namespace limbeck::report {

/// Tables, curves, charts per class, sample grids (PNG inside), settings.
std::string html_page(const std::vector<RunRecord>& runs);

/// The newest picture of every kind that a stage made: "samples-000100.png", "samples-000200.png" -> the latter.
std::vector<std::string> newest_images(const StageRecord& stage);

std::string base64(const std::string& bytes);

}  // namespace limbeck::report
