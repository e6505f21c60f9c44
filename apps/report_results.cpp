#include "apps/report_results.h"

#include <algorithm>
#include <cmath>

#include "apps/report_text.h"
#include "tensor/error.h"

namespace limbeck::report {
namespace {

/// A row of the table: ours, or a place for published numbers alone.
struct ShownRow {
  std::string name, method, fakes;
  const PivotRow* ours = nullptr;
};

bool stands_in(const Published& p, const ShownRow& row) {
  return belongs_to(p, row.method, row.fakes);
}

bool has_column(const Published& p, const Pivot& pivot) {
  return p.key == pivot.measure.key && std::count(pivot.pairs.begin(), pivot.pairs.end(), p.pair);
}

std::vector<ShownRow> shown_rows(const Pivot& pivot, const std::vector<Published>& published) {
  std::vector<ShownRow> rows;
  for (const PivotRow& r : pivot.rows) rows.push_back({r.name, r.method, r.fakes, &r});
  for (const Published& p : published) {
    if (std::any_of(rows.begin(), rows.end(), [&](const ShownRow& r) { return stands_in(p, r); }))
      continue;
    StageRecord like;
    like.labels = {{"method", p.method}, {"fakes", p.fakes}};
    if (!p.name.empty()) like.labels["method_name"] = p.name;
    if (p.method == "teacher")
      rows.push_back({"teacher", "", "", nullptr});
    else
      rows.push_back({student_name(like), p.method, p.fakes, nullptr});
  }
  return rows;
}

/// Numbers sources as they are first cited.
class Sources {
 public:
  std::string cite(const std::string& source) {
    const auto at = std::find(list_.begin(), list_.end(), source);
    const auto number = at - list_.begin() + 1;
    if (at == list_.end()) list_.push_back(source);
    return cat(" [", number, "]");
  }
  std::string note() const {
    std::string text;
    for (size_t i = 0; i < list_.size(); ++i)
      text += cat(i ? "; " : " Published: ", "[", i + 1, "] ", list_[i]);
    return list_.empty() ? text : text + ".";
  }

 private:
  std::vector<std::string> list_;
};

std::string published_cell(const std::vector<Published>& published, const ShownRow& row,
                           const std::string& pair, const std::string& unit, Sources& sources) {
  for (const Published& p : published)
    if (p.pair == pair && stands_in(p, row)) {
      const double scale = shown_scale(unit);
      const Summary s{std::isnan(p.deviation) ? 1 : 2, p.value / scale, p.deviation / scale};
      return format_plain(s, unit) + sources.cite(p.source);
    }
  return "-";
}

/// "3", or "3, 2" where the pairs have different numbers of values.
std::string counts(const PivotRow* row) {
  if (!row) return "-";
  std::string text;
  for (const PivotCell& cell : row->cells) text += cat(text.empty() ? "" : ", ", cell.summary.n);
  const bool same = std::all_of(row->cells.begin(), row->cells.end(), [&](const PivotCell& c) {
    return c.summary.n == row->cells[0].summary.n;
  });
  return same ? std::to_string(row->cells[0].summary.n) : text;
}

std::string group_note(const Group& group) {
  if (group.name.empty()) return {};
  std::string runs;
  for (const auto& run : group.runs) runs += (runs.empty() ? " Runs: " : ", ") + run.directory;
  return cat(" Settings of ", group.name, ": ", describe_settings(group), ".", runs, ".");
}

std::string measure_text(const Measure& m) {
  const std::string unit = shown_unit(m.what.unit), better = name_of(m.what.better);
  return cat(m.key, unit.empty() ? "" : " in " + unit,
             m.what.better == kd::Better::neither ? "" : ", " + better + " is better");
}

std::string how(const Difference& d) {
  if (d.paired) return cat("paired, n ", d.n);
  return d.n == d.n_control ? cat("unpaired, n ", d.n)
                            : cat("unpaired, n ", d.n, " and ", d.n_control);
}

/// How the differences of a row were found; by pair where that is not the same for all.
std::string how(const Gain& gain) {
  std::vector<std::string> texts;
  for (const auto& d : gain.differences) texts.push_back(d ? how(*d) : "-");
  if (std::all_of(texts.begin(), texts.end(), [&](const std::string& t) { return t == texts[0]; }))
    return texts[0];
  std::string text;
  for (const auto& t : texts) text += (text.empty() ? "" : "; ") + t;
  return text;
}

std::string column_name(const std::string& pair) { return pair.empty() ? "result" : pair; }

}  // namespace

Table pivot_table(const Pivot& pivot, const Group& group, const std::vector<Published>& published) {
  const std::string& unit = pivot.measure.what.unit;
  std::vector<Published> beside;
  std::copy_if(published.begin(), published.end(), std::back_inserter(beside),
               [&](const Published& p) { return has_column(p, pivot); });
  const auto cited = [&](const std::string& pair) {
    return std::any_of(beside.begin(), beside.end(),
                       [&](const Published& p) { return p.pair == pair; });
  };

  Table t;
  t.title = cat("Result", in_group(group), ": ", measure_text(pivot.measure));
  t.header = {"method"};
  for (const auto& pair : pivot.pairs) {
    t.header.push_back(column_name(pair));
    if (cited(pair)) t.header.push_back("published");
  }
  t.header.push_back("n");
  Sources sources;
  for (const ShownRow& row : shown_rows(pivot, beside)) {
    std::vector<Cell> cells{row.name};
    for (size_t i = 0; i < pivot.pairs.size(); ++i) {
      cells.push_back(
          row.ours ? Cell(format_plain(row.ours->cells[i].summary, unit), row.ours->cells[i].mark)
                   : Cell("-"));
      if (cited(pivot.pairs[i]))
        cells.push_back(published_cell(beside, row, pivot.pairs[i], unit, sources));
    }
    cells.push_back(counts(row.ours));
    t.rows.push_back(cells);
  }
  t.note = cat("Mean ± sample standard deviation over seeds; n: number of values.",
               group_note(group), sources.note());
  return t;
}

Table gains_table(const Pivot& pivot, const Group& group) {
  const bool share = pivot.measure.what.unit == "share";
  Table t;
  t.title = cat("Differences to the controls", in_group(group), ": ",
                share ? pivot.measure.key + " in percentage points" : measure_text(pivot.measure));
  t.note =
      "Mean ± standard error. Paired: over the seeds that both have; unpaired: difference of the "
      "means.";
  t.text_columns = 2;
  t.header = {"method", "minus"};
  for (const auto& pair : pivot.pairs) t.header.push_back(column_name(pair));
  t.header.push_back("how");
  for (const Gain& gain : gains_of(pivot)) {
    std::vector<Cell> cells{pivot.rows[gain.row].name, pivot.rows[gain.control].name};
    for (const auto& d : gain.differences)
      cells.push_back(d ? format_plain(*d, pivot.measure.what.unit) : "-");
    cells.push_back(how(gain));
    t.rows.push_back(cells);
  }
  return t;
}

std::vector<Published> without_column(const std::vector<Published>& published,
                                      const std::vector<Pivot>& pivots) {
  std::vector<Published> left;
  for (const Published& p : published)
    if (std::none_of(pivots.begin(), pivots.end(),
                     [&](const Pivot& pivot) { return has_column(p, pivot); }))
      left.push_back(p);
  return left;
}

}  // namespace limbeck::report
