#include "apps/report_tables.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "apps/console.h"
#include "tensor/error.h"

namespace limbeck::report {
namespace {

/// Characters on the screen, not bytes: continuation bytes of UTF-8 take no room.
size_t width_of(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string padded(const std::string& text, size_t width, bool left) {
  const std::string space(width - std::min(width, width_of(text)), ' ');
  return left ? text + space : space + text;
}

std::vector<size_t> column_widths(const Table& t) {
  std::vector<size_t> widths;
  for (size_t c = 0; c < t.header.size(); ++c) {
    size_t w = width_of(t.header[c]);
    for (const auto& row : t.rows) w = std::max(w, width_of(row[c]));
    widths.push_back(w);
  }
  return widths;
}

std::string join_cells(const Table& t, const std::vector<std::string>& cells, const std::vector<size_t>& widths, const char* between) {
  std::string line;
  for (size_t c = 0; c < cells.size(); ++c) line += (c ? between : "") + padded(cells[c], widths[c], c < t.text_columns);
  return line;
}

std::string latex_escaped(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text.compare(i, 2, "±") == 0) out += "$\\pm$", ++i;
    else if (std::string("_%&#$").find(text[i]) != std::string::npos) out += '\\', out += text[i];
    else out += text[i];
  }
  return out;
}

std::string exact(double v) {
  if (!std::isfinite(v)) return "";
  char buffer[64];
  return {buffer, std::to_chars(buffer, buffer + sizeof buffer, v).ptr};
}

std::string csv_quoted(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + '"';
}

bool is_test(const std::string& key) { return key.rfind("test_", 0) == 0; }

/// A table with one row per stage: its name and title, then the given keys.
Table by_stage(const std::vector<ResultRow>& results, const std::vector<std::string>& stages, const std::vector<std::string>& keys) {
  Table t;
  t.text_columns = 2;
  t.header = {"stage", "what"};
  for (const auto& key : keys) t.header.push_back(key);
  t.header.push_back("n");
  for (const auto& stage : stages) {
    std::vector<std::string> row{stage, ""};
    int n = 0;
    for (const auto& key : keys) {
      const auto found = std::find_if(results.begin(), results.end(), [&](const ResultRow& r) { return r.stage == stage && r.key == key; });
      row.push_back(found == results.end() ? "-" : format_summary(key, found->summary));
      if (found != results.end()) row[1] = found->title, n = std::max(n, found->summary.n);
    }
    row.push_back(std::to_string(n));
    t.rows.push_back(row);
  }
  return t;
}

template <class List>
void add_once(List& list, const std::string& name) {
  if (std::find(list.begin(), list.end(), name) == list.end()) list.push_back(name);
}

std::string runs_note(const std::vector<RunRecord>& runs) {
  return runs.size() > 1 ? cat("Mean ± sample standard deviation over ", runs.size(), " runs; n: runs with the value.") : std::string();
}

}  // namespace

std::string html_escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '&') out += "&amp;";
    else if (c == '<') out += "&lt;";
    else if (c == '>') out += "&gt;";
    else if (c == '"') out += "&quot;";
    else out += c;
  }
  return out;
}

std::string to_text(const Table& t) {
  const auto widths = column_widths(t);
  std::string out = cat(t.title, "\n");
  const std::string head = join_cells(t, t.header, widths, "  ");
  out += head + "\n" + std::string(width_of(head), '-') + "\n";
  for (const auto& row : t.rows) out += join_cells(t, row, widths, "  ") + "\n";
  return out;
}

std::string to_markdown(const Table& t) {
  const auto widths = column_widths(t);
  std::string out = cat("## ", t.title, "\n\n");
  if (!t.note.empty()) out += t.note + "\n\n";
  out += "| " + join_cells(t, t.header, widths, " | ") + " |\n|";
  for (size_t c = 0; c < t.header.size(); ++c) out += c < t.text_columns ? " --- |" : " ---: |";
  out += "\n";
  for (const auto& row : t.rows) out += "| " + join_cells(t, row, widths, " | ") + " |\n";
  return out + "\n";
}

std::string to_latex(const Table& t) {
  std::string out = cat("% ", t.title, " (needs the package booktabs)\n\\begin{tabular}{");
  for (size_t c = 0; c < t.header.size(); ++c) out += c < t.text_columns ? 'l' : 'r';
  out += "}\n\\toprule\n";
  const auto line = [&](const std::vector<std::string>& cells) {
    for (size_t c = 0; c < cells.size(); ++c) out += (c ? " & " : "") + latex_escaped(cells[c]);
    out += " \\\\\n";
  };
  line(t.header);
  out += "\\midrule\n";
  for (const auto& row : t.rows) line(row);
  return out + "\\bottomrule\n\\end{tabular}\n\n";
}

std::string to_html(const Table& t) {
  std::string out = cat("<h2>", html_escaped(t.title), "</h2>\n");
  if (!t.note.empty()) out += cat("<p>", html_escaped(t.note), "</p>\n");
  out += "<table>\n<tr>";
  for (size_t c = 0; c < t.header.size(); ++c) out += cat("<th", c < t.text_columns ? " class=\"t\"" : "", ">", html_escaped(t.header[c]), "</th>");
  out += "</tr>\n";
  for (const auto& row : t.rows) {
    out += "<tr>";
    for (size_t c = 0; c < row.size(); ++c) out += cat("<td", c < t.text_columns ? " class=\"t\"" : "", ">", html_escaped(row[c]), "</td>");
    out += "</tr>\n";
  }
  return out + "</table>\n";
}

Table main_table(const std::vector<RunRecord>& runs) {
  const auto results = result_rows(runs);
  std::vector<std::string> stages, keys;
  for (const auto& r : results)
    if (is_test(r.key)) add_once(stages, r.stage), add_once(keys, r.key);
  for (const char* more : {"train_accuracy", "train_images", "steps"})
    for (const auto& r : results)
      if (r.key == more && std::count(stages.begin(), stages.end(), r.stage)) add_once(keys, r.key);
  Table t = by_stage(results, stages, keys);
  t.title = "Result";
  t.note = runs_note(runs);
  return t;
}

Table fakes_table(const std::vector<RunRecord>& runs) {
  Table t;
  t.title = "Generated images";
  t.note = runs_note(runs);
  t.text_columns = 2;
  t.header = {"stage", "measure", "value", "n"};
  for (const auto& r : result_rows(runs))
    for (const char* word : {"consistency", "fid", "frechet", "accept", "fake", "kept", "cutoff"})
      if (r.key.find(word) != std::string::npos && !is_test(r.key)) {
        t.rows.push_back({r.stage, r.key, format_summary(r.key, r.summary), std::to_string(r.summary.n)});
        break;
      }
  return t;
}

Table full_table(const std::vector<RunRecord>& runs) {
  Table t;
  t.title = "Every number";
  t.note = runs_note(runs);
  t.text_columns = 2;
  t.header = {"stage", "key", "value", "n"};
  for (const auto& r : result_rows(runs)) t.rows.push_back({r.stage, r.key, format_summary(r.key, r.summary), std::to_string(r.summary.n)});
  return t;
}

Table times_table(const std::vector<RunRecord>& runs) {
  Table t;
  t.title = "Wall time";
  t.note = runs.size() > 1 ? "Mean over the runs; sessions above one per run mean that the stage was interrupted." : "Sessions above one mean that the stage was interrupted.";
  t.header = {"stage", "time", "seconds", "sessions"};
  std::vector<std::string> order;
  for (const auto& run : runs)
    for (const auto& stage : run.stages) add_once(order, stage.name);
  double total = 0;
  for (const auto& name : order) {
    std::vector<double> seconds;
    int sessions = 0;
    for (const auto& run : runs)
      if (const StageRecord* s = run.find(name); s && s->sessions > 0) seconds.push_back(s->seconds), sessions += s->sessions;
    if (seconds.empty()) continue;
    const Summary s = summarise(seconds);
    total += s.mean;
    t.rows.push_back({name, format_duration(s.mean), format_summary("", s), std::to_string(sessions)});
  }
  t.rows.push_back({"all", format_duration(total), format_number(std::round(10 * total) / 10), ""});
  return t;
}

Table settings_table(const std::vector<RunRecord>& runs) {
  Table t;
  t.title = "Settings in which the runs differ";
  t.header = {"key"};
  for (const auto& run : runs) t.header.push_back(run.directory);
  t.text_columns = t.header.size();
  for (const auto& [key, values] : differing_settings(runs)) {
    std::vector<std::string> row{key};
    row.insert(row.end(), values.begin(), values.end());
    t.rows.push_back(row);
  }
  return t;
}

std::string results_csv(const std::vector<RunRecord>& runs) {
  std::string out = "stage,key,n,mean,deviation";
  for (const auto& run : runs) out += "," + csv_quoted(run.directory);
  out += "\n";
  for (const auto& r : result_rows(runs)) {
    out += cat(csv_quoted(r.stage), ",", csv_quoted(r.key), ",", r.summary.n, ",", r.summary.n ? exact(r.summary.mean) : "", ",",
               r.summary.n > 1 ? exact(r.summary.deviation) : "");
    for (const double v : r.values) out += "," + exact(v);
    out += "\n";
  }
  return out;
}

}  // namespace limbeck::report
