// limbeck report: one or several run folders as an HTML page and as tables in Markdown, CSV and LaTeX.
#include <cstdio>
#include <filesystem>
#include <memory>

#include "apps/command.h"
#include "apps/report_html.h"
#include "apps/report_tables.h"
#include "tensor/error.h"
#include "tensor/safetensors.h"

namespace limbeck::report_app {
namespace {

namespace fs = std::filesystem;

std::vector<report::Table> tables_of(const std::vector<report::RunRecord>& runs) {
  std::vector<report::Table> tables{report::main_table(runs), report::fakes_table(runs), report::times_table(runs)};
  if (runs.size() > 1) tables.push_back(report::settings_table(runs));
  std::erase_if(tables, [](const report::Table& t) { return t.rows.empty(); });
  return tables;
}

void write_report(const std::vector<std::string>& directories, std::string out) {
  std::vector<report::RunRecord> runs;
  for (const auto& d : directories) runs.push_back(report::read_run(d));
  if (out.empty()) out = directories.size() == 1 ? directories[0] + "/report.html" : "report.html";
  LIMBECK_CHECK(fs::path(out).extension() == ".html", "--out ", out, ": expected a name that ends with .html");

  std::string markdown, latex;
  const auto tables = tables_of(runs);
  for (const auto& table : tables) {
    markdown += report::to_markdown(table);
    latex += report::to_latex(table);
  }
  // On the terminal the result comes last, where it is seen.
  for (auto table = tables.rbegin(); table != tables.rend(); ++table)
    if (table->title != "Settings in which the runs differ") std::printf("%s\n", report::to_text(*table).c_str());
  write_file_atomically(out, report::html_page(runs));
  const auto beside = [&out](const char* extension) { return fs::path(out).replace_extension(extension).string(); };
  write_file_atomically(beside(".md"), markdown);
  write_file_atomically(beside(".tex"), latex);
  write_file_atomically(beside(".csv"), report::results_csv(runs));
  std::printf("report: %s (also .md, .tex, .csv)\n", out.c_str());
  for (const auto& stage : runs.front().stages)
    for (const auto& image : report::newest_images(stage)) std::printf("images: %s\n", image.c_str());
}

RegisterCommand command({"report", "make an HTML page and tables of one or several runs", [](CommandLine& app) {
  auto directories = std::make_shared<std::vector<std::string>>();
  auto out = std::make_shared<std::string>();
  app.add_option("runs", *directories, "run folders; several count as several seeds: mean and deviation").required().value_name("DIR");
  app.add_option("--out", *out, "the page (default: DIR/report.html, or report.html for several); tables go beside it").value_name("FILE.html");
  app.callback([directories, out] { write_report(*directories, *out); });
}});

}  // namespace
}  // namespace limbeck::report_app
