#include "apps/report_html.h"

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "apps/report_charts.h"
#include "apps/report_data_free.h"
#include "apps/report_overview.h"
#include "apps/report_results.h"
#include "apps/report_text.h"
#include "apps/report_theorem1.h"
#include "apps/report_theorem1_sweeps.h"
#include "tensor/error.h"
#include "tensor/safetensors.h"

namespace limbeck::report {
namespace {

constexpr const char* style = R"(
:root { color-scheme: light dark; --text: #222; --page: #fff; --soft: #555; --rule: #ddd; --rule-strong: #888; --block: #f6f6f6; }
@media (prefers-color-scheme: dark) {
:root { --text: #ddd; --page: #181818; --soft: #aaa; --rule: #3a3a3a; --rule-strong: #888; --block: #242424; }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page); max-width: 1000px; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.6em; } h2 { margin-top: 2em; font-size: 1.2em; } h3 { margin-bottom: .3em; font-size: 1em; }
.wide { overflow-x: auto; } table { border-collapse: collapse; }
th, td { padding: .25em .8em; border-bottom: 1px solid var(--rule); text-align: right; }
th.t, td.t { text-align: left; } th { border-bottom: 2px solid var(--rule-strong); }
.charts { display: flex; flex-wrap: wrap; gap: 12px; } figure { margin: 0 0 1em; display: inline-block; vertical-align: top; }
figcaption { font-size: .85em; color: var(--soft); } img { image-rendering: pixelated; max-width: 100%; }
svg text { font: 11px system-ui, sans-serif; fill: var(--text); } svg text.h { font-weight: 600; font-size: 12px; }
svg .g { stroke: var(--rule); } pre { background: var(--block); padding: 1em; overflow: auto; } summary { cursor: pointer; }
)";

std::string images_section(const Group& group) {
  const RunRecord& run = group.runs.front();
  std::string out;
  for (const auto& stage : run.stages)
    for (const auto& path : newest_images(stage)) {
      const std::string name = cat(stage.name, ": ", std::filesystem::path(path).stem().string());
      out += cat("<figure><img alt=\"", html_escaped(name), "\" src=\"data:image/png;base64,",
                 base64(read_file(path)), "\"><figcaption>", html_escaped(name),
                 "</figcaption></figure>\n");
    }
  return out.empty() ? out
                     : cat("<h2>Images</h2>\n<p>The newest of each kind, of ",
                           html_escaped(run.directory), ".</p>\n", out);
}

std::string unfinished_note(const std::vector<RunRecord>& runs) {
  std::string list;
  for (const auto& run : runs)
    for (const auto& stage : run.stages)
      if (!stage.finished)
        list +=
            cat(list.empty() ? "" : ", ", runs.size() > 1 ? run.directory + "/" : "", stage.name);
  return list.empty() ? list
                      : cat("<p><strong>Not finished:</strong> ", html_escaped(list), "</p>\n");
}

std::string table_section(const Table& t) { return t.rows.empty() ? std::string() : to_html(t); }

std::string charts_section(const std::string& heading, const std::string& charts) {
  return charts.empty() ? charts
                        : cat("<h3>", html_escaped(heading), "</h3>\n<div class=\"charts\">\n",
                              charts, "</div>\n");
}

std::string curves_section(const Group& group) {
  std::string out;
  for (const Subject& subject : subjects_of(group)) {
    std::string charts = subject_charts(subject);
    for (const auto& [repetition, stage] : subject.stages) charts += consistency_chart(*stage);
    out += charts_section(
        subject.name == subject.title ? subject.name : cat(subject.name, ": ", subject.title),
        charts);
  }
  return out.empty() ? out : "<h2>Curves</h2>\n" + out;
}

std::string group_section(const Group& group, const std::vector<Published>& published) {
  std::string out = group.name.empty() ? ""
                                       : cat("<h1>", html_escaped(group.name), "</h1>\n<p>",
                                             html_escaped(describe_settings(group)), "</p>\n");
  for (const Pivot& pivot : pivots_of(group))
    out += table_section(pivot_table(pivot, group, published)) +
           table_section(gains_table(pivot, group));
  out += table_section(data_free_table(group));
  out += charts_section("Side by side", comparison_charts(group));
  out += table_section(theorem1_table(group));
  out += table_section(fakes_table(group)) + images_section(group) + curves_section(group) +
         table_section(times_table(group));
  if (const Table all = full_table(group); !all.rows.empty())
    out += cat("<details><summary>Every number</summary>\n", to_html(all), "</details>\n");
  return out;
}

/// What more fakes and other teachers change, over all runs.
std::string theorem1_section(const std::vector<Group>& groups) {
  return table_section(theorem1_fakes_table(groups)) +
         table_section(theorem1_teachers_table(groups)) +
         charts_section("Theorem 1", theorem1_charts(groups));
}

/// A text of several lines.
std::string preformatted(const std::string& text) {
  std::istringstream in(text);
  std::string out = "<pre>";
  for (std::string line; std::getline(in, line);) out += html_escaped(line) + "\n";
  return out + "</pre>";
}

}  // namespace

std::string base64(const std::string& bytes) {
  static constexpr char digits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t n = std::min<size_t>(3, bytes.size() - i);
    uint32_t v = 0;
    for (size_t k = 0; k < 3; ++k)
      v = v << 8 | (k < n ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    for (size_t k = 0; k < 4; ++k) out += k <= n ? digits[v >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

std::vector<std::string> newest_images(const StageRecord& stage) {
  std::vector<std::pair<std::string, std::string>>
      kinds;  // name without its number -> path; paths come sorted
  for (const auto& path : stage.images) {
    std::string kind = std::filesystem::path(path).stem().string();
    if (const size_t end = kind.find_last_not_of("0123456789");
        end != std::string::npos && kind[end] == '-')
      kind.resize(end);
    const auto found =
        std::find_if(kinds.begin(), kinds.end(), [&](const auto& k) { return k.first == kind; });
    if (found == kinds.end())
      kinds.emplace_back(kind, path);
    else
      found->second = path;
  }
  std::vector<std::string> newest;
  for (const auto& [kind, path] : kinds) newest.push_back(path);
  return newest;
}

std::string html_page(const std::vector<RunRecord>& runs, const std::vector<Published>& published) {
  std::string title = "Limbeck:";
  for (const auto& run : runs) title += " " + run.directory;
  std::string page =
      cat("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>",
          html_escaped(title), "</title><style>", style, "</style></head>\n<body>\n<h1>",
          html_escaped(title), "</h1>\n", unfinished_note(runs));
  const std::vector<Group> groups = group_runs(runs);
  for (const Group& group : groups) page += group_section(group, published);
  page += theorem1_section(groups);
  if (runs.size() > 1) page += table_section(settings_table(runs));
  return page + cat("<h2>Settings</h2>\n<details open><summary>config.toml of ",
                    html_escaped(runs.front().directory), "</summary>\n",
                    preformatted(runs.front().config), "</details>\n</body></html>\n");
}

}  // namespace limbeck::report
