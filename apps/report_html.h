// The page of a report: one self-contained HTML file, readable on light and dark screens.
#pragma once
#include <string>
#include <vector>

#include "apps/report_groups.h"
#include "apps/report_published.h"

namespace limbeck::report {

/// Tables, curves, charts per class, sample grids (PNG inside), settings. Nothing in it is loaded
/// from outside, and nothing runs.
std::string html_page(const std::vector<RunRecord>& runs,
                      const std::vector<Published>& published = {});

/// The newest picture of every kind that a stage made: "samples-000100.png", "samples-000200.png"
/// -> the latter.
std::vector<std::string> newest_images(const StageRecord& stage);

std::string base64(const std::string& bytes);

}  // namespace limbeck::report
