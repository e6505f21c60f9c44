// limbeck report: one or several run folders as an HTML page and as tables in Markdown, CSV and
// LaTeX.
#include <cstdio>
#include <filesystem>
#include <memory>

#include "apps/command.h"
#include "apps/report_csv.h"
#include "apps/report_data_free.h"
#include "apps/report_html.h"
#include "apps/report_overview.h"
#include "apps/report_results.h"
#include "apps/report_text.h"
#include "apps/report_theorem1.h"
#include "apps/report_theorem1_sweeps.h"
#include "apps/run_files.h"
#include "tensor/error.h"
#include "tensor/safetensors.h"

namespace limbeck::report_app {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::vector<std::string> directories;
  std::string out, published;
};

struct Report {
  std::vector<report::RunRecord> runs;
  std::vector<report::Group> groups;
  std::vector<report::Published> published;
  std::vector<report::Pivot> pivots;  ///< of all groups
  std::vector<report::Table> tables;  ///< the result first
};

void add_tables(Report& r, const report::Group& group) {
  for (const report::Pivot& pivot : report::pivots_of(group)) {
    r.tables.push_back(report::pivot_table(pivot, group, r.published));
    r.tables.push_back(report::gains_table(pivot, group));
    r.pivots.push_back(pivot);
  }
  r.tables.push_back(report::data_free_table(group));
  r.tables.push_back(report::fakes_table(group));
  r.tables.push_back(report::theorem1_table(group));
  r.tables.push_back(report::times_table(group));
}

Report make(const Options& options) {
  Report r;
  for (const auto& d : options.directories) r.runs.push_back(report::read_run(d));
  if (!options.published.empty()) r.published = report::read_published(options.published);
  r.groups = report::group_runs(r.runs);
  for (const auto& group : r.groups) add_tables(r, group);
  r.tables.push_back(report::theorem1_fakes_table(r.groups));
  r.tables.push_back(report::theorem1_teachers_table(r.groups));
  std::erase_if(r.tables, [](const report::Table& t) { return t.rows.empty(); });
  return r;
}

void write_files(const Report& r, const std::string& out) {
  std::string markdown, latex;
  for (const auto& table : r.tables)
    markdown += report::to_markdown(table), latex += report::to_latex(table);
  if (r.runs.size() > 1) markdown += report::to_markdown(report::settings_table(r.runs));
  for (const auto& group : r.groups) markdown += report::to_markdown(report::full_table(group));
  const auto beside = [&out](const char* extension) {
    return fs::path(out).replace_extension(extension).string();
  };
  write_file_atomically(out, report::html_page(r.runs, r.published));
  write_file_atomically(beside(".md"), markdown);
  write_file_atomically(beside(".tex"), latex);
  write_file_atomically(beside(".csv"), report::results_csv(r.runs));
  write_file_atomically(beside(".table.csv"), report::pivots_csv(r.groups, r.published));
}

void print(const Report& r, const std::string& out) {
  // On the terminal the result comes last, where it is seen.
  for (auto table = r.tables.rbegin(); table != r.tables.rend(); ++table)
    std::printf("%s\n", report::to_text(*table).c_str());
  if (r.pivots.empty()) std::printf("no student has finished: there is no result to show yet\n");
  std::printf("report: %s (also .md, .tex, .csv, .table.csv)\n", report::printable(out).c_str());
  for (const auto& stage : r.runs.front().stages)
    for (const auto& image : report::newest_images(stage))
      std::printf("images: %s\n", report::printable(image).c_str());
}

void print_unused(const Report& r, const std::string& path) {
  const auto unused = report::without_column(r.published, r.pivots);
  if (unused.empty()) return;
  std::printf("%s: %zu of %zu numbers fit no column here, the first for pair '%s', key '%s'\n",
              report::printable(path).c_str(), unused.size(), r.published.size(),
              report::printable(unused[0].pair).c_str(), report::printable(unused[0].key).c_str());
}

void run(const Options& options) {
  std::string out = options.out;
  if (out.empty())
    out = options.directories.size() == 1 ? options.directories[0] + "/report.html" : "report.html";
  LIMBECK_CHECK(fs::path(out).extension() == ".html", "--out ", out,
                ": expected a name that ends with .html");
  const Report r = make(options);
  write_files(r, out);
  for (const std::string& directory : options.directories)
    if (const std::string note = format_note(directory); !note.empty())
      std::printf("%s\n", report::printable(note).c_str());
  print(r, out);
  print_unused(r, options.published);
}

RegisterCommand command(
    {"report", "make an HTML page and tables of one or several runs", [](CommandLine& app) {
       auto o = std::make_shared<Options>();
       app.add_option("runs", o->directories,
                      "run folders; those that differ in nothing but seeds are averaged")
           .required()
           .value_name("DIR");
       app.add_option("--out", o->out,
                      "the page (default: DIR/report.html, or report.html for several); tables go "
                      "beside it")
           .value_name("FILE.html");
       app.add_option("--published", o->published, "numbers of papers to stand beside ours")
           .value_name("FILE.toml");
       app.callback([o] { run(*o); });
     }});

}  // namespace
}  // namespace limbeck::report_app
