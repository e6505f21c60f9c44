#include "apps/report_html.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <map>

#include "apps/report_svg.h"
#include "apps/report_tables.h"
#include "tensor/error.h"
#include "tensor/safetensors.h"

namespace limbeck::report {
namespace {

constexpr const char* style = R"(
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 1000px; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.6em; } h2 { margin-top: 2em; font-size: 1.2em; } h3 { margin-bottom: .3em; font-size: 1em; }
table { border-collapse: collapse; } th, td { padding: .25em .8em; border-bottom: 1px solid #ddd; text-align: right; }
th.t, td.t { text-align: left; } th { border-bottom: 2px solid #888; }
.charts { display: flex; flex-wrap: wrap; gap: 12px; } figure { margin: 0 0 1em; display: inline-block; vertical-align: top; }
figcaption { font-size: .85em; color: #555; } img { image-rendering: pixelated; max-width: 100%; }
svg { background: #fff; } svg text { font: 11px system-ui, sans-serif; fill: #333; } svg text.h { font-weight: 600; font-size: 12px; }
svg .g { stroke: #e4e4e4; } pre { background: #f6f6f6; padding: 1em; overflow: auto; } summary { cursor: pointer; }
)";

std::vector<const StageRecord*> stages_of(const std::vector<RunRecord>& runs) {
  std::vector<const StageRecord*> order;
  for (const auto& run : runs)
    for (const auto& stage : run.stages)
      if (std::none_of(order.begin(), order.end(), [&](const StageRecord* s) { return s->name == stage.name; })) order.push_back(&stage);
  return order;
}

/// "loss" for d_loss, g_loss, train_loss: such curves share a chart.
std::string chart_of(const std::string& key) {
  for (const char* prefix : {"train_", "test_", "d_", "g_", "loss/"})
    if (key.rfind(prefix, 0) == 0) return std::string(prefix) == "loss/" ? "loss" : key.substr(std::string(prefix).size());
  return key;
}

std::string stage_charts(const std::vector<RunRecord>& runs, const StageRecord& stage) {
  std::vector<std::string> charts;
  for (const auto& key : stage.metric_keys)
    if (std::find(charts.begin(), charts.end(), chart_of(key)) == charts.end()) charts.push_back(chart_of(key));
  std::string out;
  for (const auto& chart : charts) {
    std::vector<Line> lines;
    for (const auto& key : stage.metric_keys)
      if (chart_of(key) == chart)
        for (const auto& run : runs)
          if (const StageRecord* s = run.find(stage.name); s && s->metrics.count(key)) lines.push_back({key, s->metrics.at(key)});
    out += line_chart(cat(stage.name, ": ", chart), "step", lines);
  }
  return out;
}

/// Label consistency per class, before and after filtering, from the counts that the fake-data stages log.
std::string consistency_chart(const StageRecord& stage) {
  // One step per class; a number that is null there is missing, and its bar too.
  std::map<double, std::array<double, 4>> classes;
  size_t place = 0;
  for (const char* key : {"candidates_consistent", "candidates", "kept_consistent", "kept"}) {
    if (!stage.metrics.count(key)) return {};
    const Series& series = stage.metrics.at(key);
    for (size_t i = 0; i < series.x.size(); ++i)
      classes.try_emplace(series.x[i], std::array<double, 4>{NAN, NAN, NAN, NAN}).first->second[place] = series.y[i];
    ++place;
  }
  std::vector<BarGroup> groups;
  bool any = false;
  for (const auto& [step, n] : classes) {
    groups.push_back({std::to_string(groups.size()), {100 * n[0] / n[1], 100 * n[2] / n[3]}});
    any |= std::isfinite(groups.back().values[0]) || std::isfinite(groups.back().values[1]);
  }
  if (!any) return {};
  return bar_chart(cat(stage.name, ": label consistency per class, %"), {"before filtering", "after filtering"}, groups);
}

/// Test curves of all stages in one chart per metric: the students side by side.
std::string comparison_charts(const std::vector<RunRecord>& runs) {
  std::vector<std::string> keys;
  for (const StageRecord* stage : stages_of(runs))
    for (const auto& key : stage->metric_keys)
      if (key.rfind("test_", 0) == 0 && std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
  std::string out;
  for (const auto& key : keys) {
    std::vector<Line> lines;
    for (const StageRecord* stage : stages_of(runs))
      for (const auto& run : runs)
        if (const StageRecord* s = run.find(stage->name); s && s->metrics.count(key)) lines.push_back({stage->name, s->metrics.at(key)});
    out += line_chart(cat(key, " of all networks"), "epoch", lines);
  }
  return out;
}

std::string images_section(const RunRecord& run) {
  std::string out;
  for (const auto& stage : run.stages)
    for (const auto& path : newest_images(stage)) {
      const std::string name = cat(stage.name, ": ", std::filesystem::path(path).stem().string());
      out += cat("<figure><img alt=\"", html_escaped(name), "\" src=\"data:image/png;base64,", base64(read_file(path)), "\"><figcaption>",
                 html_escaped(name), "</figcaption></figure>\n");
    }
  return out.empty() ? out : cat("<h2>Images</h2>\n<p>The newest of each kind, of ", html_escaped(run.directory), ".</p>\n", out);
}

std::string unfinished_note(const std::vector<RunRecord>& runs) {
  std::string list;
  for (const auto& run : runs)
    for (const auto& stage : run.stages)
      if (!stage.finished) list += cat(list.empty() ? "" : ", ", runs.size() > 1 ? run.directory + "/" : "", stage.name);
  return list.empty() ? list : cat("<p><strong>Not finished:</strong> ", html_escaped(list), "</p>\n");
}

}  // namespace

std::string base64(const std::string& bytes) {
  static constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t n = std::min<size_t>(3, bytes.size() - i);
    uint32_t v = 0;
    for (size_t k = 0; k < 3; ++k) v = v << 8 | (k < n ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    for (size_t k = 0; k < 4; ++k) out += k <= n ? digits[v >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

std::vector<std::string> newest_images(const StageRecord& stage) {
  std::vector<std::pair<std::string, std::string>> kinds;  // name without its number -> path; paths come sorted
  for (const auto& path : stage.images) {
    std::string kind = std::filesystem::path(path).stem().string();
    if (const size_t end = kind.find_last_not_of("0123456789"); end != std::string::npos && kind[end] == '-') kind.resize(end);
    const auto found = std::find_if(kinds.begin(), kinds.end(), [&](const auto& k) { return k.first == kind; });
    if (found == kinds.end()) kinds.emplace_back(kind, path);
    else found->second = path;
  }
  std::vector<std::string> newest;
  for (const auto& [kind, path] : kinds) newest.push_back(path);
  return newest;
}

std::string html_page(const std::vector<RunRecord>& runs) {
  std::string title = "Limbeck:";
  for (const auto& run : runs) title += " " + run.directory;
  std::string page = cat("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>", html_escaped(title), "</title><style>", style,
                         "</style></head>\n<body>\n<h1>", html_escaped(title), "</h1>\n", unfinished_note(runs));
  const auto add_table = [&page](const Table& t) {
    if (!t.rows.empty()) page += to_html(t);
  };
  add_table(main_table(runs));
  if (const std::string charts = comparison_charts(runs); !charts.empty()) page += cat("<div class=\"charts\">\n", charts, "</div>\n");
  add_table(fakes_table(runs));
  page += images_section(runs.front());
  page += "<h2>Curves</h2>\n";
  for (const StageRecord* stage : stages_of(runs)) {
    const std::string charts = stage_charts(runs, *stage) + consistency_chart(*stage);
    if (!charts.empty()) page += cat("<h3>", html_escaped(stage->name), ": ", html_escaped(stage->title), "</h3>\n<div class=\"charts\">\n", charts, "</div>\n");
  }
  add_table(times_table(runs));
  page += cat("<details><summary>Every number</summary>\n", to_html(full_table(runs)), "</details>\n");
  if (runs.size() > 1) add_table(settings_table(runs));
  page += cat("<h2>Settings</h2>\n<details open><summary>config.toml of ", html_escaped(runs.front().directory), "</summary>\n<pre>",
              html_escaped(runs.front().config), "</pre></details>\n</body></html>\n");
  return page;
}

}  // namespace limbeck::report
