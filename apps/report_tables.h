// Tables of a report in every format: plain text for the terminal, Markdown, LaTeX, HTML.
#pragma once
#include <string>
#include <vector>

#include "apps/report_data.h"

namespace limbeck::report {

struct Table {
  std::string title, note;
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;   ///< each as long as the header; the first column is text, the others numbers
  size_t text_columns = 1;
};

std::string to_text(const Table& t);
std::string to_markdown(const Table& t);
std::string to_latex(const Table& t);
std::string to_html(const Table& t);
/// Escapes & < > " for HTML.
std::string html_escaped(const std::string& text);

/// The result: one row per stage that was tested (it has a result "test_..."), with the other numbers that such stages share.
Table main_table(const std::vector<RunRecord>& runs);
/// Generated images: label consistency, Frechet distance, acceptance and the like; every stage that has such results.
Table fakes_table(const std::vector<RunRecord>& runs);
/// Every number of every stage.
Table full_table(const std::vector<RunRecord>& runs);
Table times_table(const std::vector<RunRecord>& runs);
Table settings_table(const std::vector<RunRecord>& runs);

/// Every number of every run as CSV: stage,key,n,mean,deviation, then one column per run folder. Shares stay in [0, 1].
std::string results_csv(const std::vector<RunRecord>& runs);

}  // namespace limbeck::report
