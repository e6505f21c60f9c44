#include "apps/report_csv.h"

#include <algorithm>
#include <set>

#include "apps/report_text.h"
#include "tensor/error.h"

namespace limbeck::report {
namespace {

std::string csv_line(const std::vector<std::string>& fields) {
  std::string line;
  for (size_t i = 0; i < fields.size(); ++i) line += (i ? "," : "") + fields[i];
  return line + "\n";
}

/// The labels that kd/stage.h names come first and have their own names as columns; others are
/// "label.NAME", sorted.
std::vector<std::string> label_keys(const std::vector<RunRecord>& runs, size_t& known) {
  std::vector<std::string> keys{"role", "task", "pair", "model", "method", "fakes", "seed"};
  known = keys.size();
  std::set<std::string> others;
  for (const auto& run : runs)
    for (const auto& stage : run.stages)
      for (const auto& [key, value] : stage.labels)
        if (std::find(keys.begin(), keys.end(), key) == keys.end()) others.insert(key);
  keys.insert(keys.end(), others.begin(), others.end());
  return keys;
}

/// The controls of gains_of() by the labels that they have.
struct Control {
  const char* column;
  bool same_method;
  const char* fakes;
};
constexpr Control controls[] = {{"minus_none", false, "none"},
                                {"minus_none_equal", false, "equal"},
                                {"minus_method", true, "none"},
                                {"minus_method_equal", true, "equal"}};

void add_difference(std::vector<std::string>& fields, const Pivot& pivot,
                    const std::vector<Gain>& gains, size_t row, size_t column,
                    const Control& control) {
  const std::string& method = pivot.rows[row].method;
  const bool applies = !control.same_method || method != "none";
  const auto other =
      applies ? pivot.find(control.same_method ? method : "none", control.fakes) : std::nullopt;
  const auto found = std::find_if(gains.begin(), gains.end(), [&](const Gain& g) {
    return g.row == row && g.control == other;
  });
  const bool known = other && found != gains.end() && found->differences[column];
  const Difference d = known ? *found->differences[column] : Difference{};
  fields.insert(fields.end(),
                {known ? csv_number(d.mean) : "", known ? csv_number(d.standard_error) : "",
                 known ? (d.paired ? "yes" : "no") : ""});
}

void add_published(std::vector<std::string>& fields, const Pivot& pivot, const PivotRow& row,
                   const std::string& pair, const std::vector<Published>& published) {
  for (const Published& p : published)
    if (p.key == pivot.measure.key && p.pair == pair && belongs_to(p, row.method, row.fakes)) {
      const double scale = shown_scale(pivot.measure.what.unit);
      fields.insert(fields.end(), {csv_number(p.value / scale), csv_number(p.deviation / scale),
                                   csv_text(p.source)});
      return;
    }
  fields.insert(fields.end(), {"", "", ""});
}

std::string rank_of(Mark mark) {
  return mark == Mark::best ? "1" : mark == Mark::second ? "2" : "";
}

std::string pivot_lines(const Pivot& pivot, const Group& group,
                        const std::vector<Published>& published) {
  const std::vector<Gain> gains = gains_of(pivot);
  std::string out;
  for (size_t r = 0; r < pivot.rows.size(); ++r)
    for (size_t c = 0; c < pivot.pairs.size(); ++c) {
      const PivotRow& row = pivot.rows[r];
      const Summary& s = row.cells[c].summary;
      std::vector<std::string> fields{csv_text(group.name),
                                      csv_text(pivot.measure.key),
                                      csv_text(pivot.measure.what.unit),
                                      name_of(pivot.measure.what.better),
                                      csv_text(row.name),
                                      csv_text(row.method),
                                      csv_text(row.fakes),
                                      csv_text(pivot.pairs[c]),
                                      std::to_string(s.n),
                                      s.n > 0 ? csv_number(s.mean) : "",
                                      s.n > 1 ? csv_number(s.deviation) : "",
                                      rank_of(row.cells[c].mark)};
      for (const Control& control : controls) add_difference(fields, pivot, gains, r, c, control);
      add_published(fields, pivot, row, pivot.pairs[c], published);
      out += csv_line(fields);
    }
  return out;
}

}  // namespace

std::string results_csv(const std::vector<RunRecord>& runs) {
  size_t known = 0;
  const auto keys = label_keys(runs, known);
  std::vector<std::string> header{"run", "stage"};
  for (size_t i = 0; i < keys.size(); ++i)
    header.push_back(csv_text(i < known ? keys[i] : "label." + keys[i]));
  header.insert(header.end(), {"key", "value", "unit", "better", "kind"});
  std::string out = csv_line(header);
  for (const auto& run : runs)
    for (const auto& stage : run.stages)
      for (const auto& [key, r] : stage.results) {
        std::vector<std::string> fields{csv_text(run.directory), csv_text(stage.name)};
        for (const auto& label : keys) fields.push_back(csv_text(stage.label(label)));
        fields.insert(fields.end(), {csv_text(key), csv_number(r.value), csv_text(r.unit),
                                     name_of(r.better), csv_text(r.kind)});
        out += csv_line(fields);
      }
  return out;
}

std::string pivots_csv(const std::vector<Group>& groups, const std::vector<Published>& published) {
  std::vector<std::string> header{"group", "key",  "unit", "better", "row",       "method",
                                  "fakes", "pair", "n",    "mean",   "deviation", "rank"};
  for (const Control& c : controls)
    header.insert(header.end(), {c.column, cat(c.column, "_error"), cat(c.column, "_paired")});
  header.insert(header.end(), {"published", "published_deviation", "published_source"});
  std::string out = csv_line(header);
  for (const Group& group : groups)
    for (const Pivot& pivot : pivots_of(group)) out += pivot_lines(pivot, group, published);
  return out;
}

}  // namespace limbeck::report
