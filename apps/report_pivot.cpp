#include "apps/report_pivot.h"

#include <algorithm>
#include <set>
#include <tuple>

namespace limbeck::report {
namespace {

template <class T>
size_t place_in(const std::vector<T>& list, const T& value) {
  return static_cast<size_t>(std::find(list.begin(), list.end(), value) - list.begin());
}

template <class T>
void add_once(std::vector<T>& list, const T& value) {
  if (place_in(list, value) == list.size()) list.push_back(value);
}

size_t order_of_fakes(const std::string& fakes) {
  return place_in<std::string>({"none", "equal", "raw", "m1", "m2"}, fakes);
}

bool is_student(const Subject& s) { return s.role == "student"; }

bool names_two(const std::string& pair) { return pair.find(" > ") != std::string::npos; }

/// A student that nobody taught has no pair but its model, and stands in the column of every pair
/// with that student.
bool stands_in(const Subject& s, const std::string& pair) {
  return s.pair == pair || (names_two(pair) && s.pair == student_of(pair));
}

/// Pairs first; then models that no pair has for its student.
std::vector<std::string> columns_of(const std::vector<const Subject*>& students) {
  std::vector<std::string> columns;
  for (const Subject* s : students)
    if (names_two(s->pair)) add_once(columns, s->pair);
  for (const Subject* s : students)
    if (std::none_of(columns.begin(), columns.end(),
                     [&](const std::string& pair) { return stands_in(*s, pair); }))
      columns.push_back(s->pair);
  return columns;
}

PivotCell cell_of(Repeated values) {
  const Summary summary = summarise(values);
  return {std::move(values), summary};
}

/// The students' rows in their order, with empty cells.
std::vector<PivotRow> student_rows(const std::vector<Subject>& subjects, const Pivot& pivot) {
  std::vector<std::string> methods{"none"};
  std::vector<PivotRow> rows;
  const auto missing = [&](const Subject& s) {
    return std::none_of(rows.begin(), rows.end(), [&](const PivotRow& r) {
      return r.method == s.method && r.fakes == s.fakes;
    });
  };
  for (const Subject& s : subjects) {
    if (!is_student(s) || s.values(pivot.measure.key, pivot.measure.what).empty()) continue;
    add_once(methods, s.method);
    if (missing(s))
      rows.push_back({s.row, s.method, s.fakes, std::vector<PivotCell>(pivot.pairs.size())});
  }
  std::stable_sort(rows.begin(), rows.end(), [&](const PivotRow& a, const PivotRow& b) {
    return std::tuple(order_of_fakes(a.fakes), place_in(methods, a.method)) <
           std::tuple(order_of_fakes(b.fakes), place_in(methods, b.method));
  });
  return rows;
}

PivotRow teacher_row(const std::vector<Subject>& subjects, const Pivot& pivot) {
  PivotRow row{"teacher", "", "", {}};
  for (const std::string& pair : pivot.pairs) {
    const auto found = std::find_if(subjects.begin(), subjects.end(), [&](const Subject& s) {
      return s.role == "teacher" && s.model == teacher_of(pair);
    });
    row.cells.push_back(found == subjects.end()
                            ? PivotCell{}
                            : cell_of(found->values(pivot.measure.key, pivot.measure.what)));
  }
  return row;
}

void mark_best(Pivot& pivot, size_t column) {
  if (pivot.measure.what.better == kd::Better::neither) return;
  const double sign = pivot.measure.what.better == kd::Better::higher ? -1 : 1;
  std::vector<PivotCell*> cells;
  std::set<double> scores;  // lower is better
  for (PivotRow& row : pivot.rows)
    if (PivotCell& cell = row.cells[column]; !row.method.empty() && cell.summary.n > 0)
      cells.push_back(&cell), scores.insert(sign * cell.summary.mean);
  if (cells.size() < 2) return;
  const double best = *scores.begin(),
               second = scores.size() > 1 ? *std::next(scores.begin()) : best;
  for (PivotCell* cell : cells) {
    const double score = sign * cell->summary.mean;
    cell->mark = score == best ? Mark::best : score == second ? Mark::second : Mark::none;
  }
}

Pivot pivot_of(const std::vector<Subject>& subjects, const Measure& measure) {
  Pivot pivot;
  pivot.measure = measure;
  std::vector<const Subject*> students;
  for (const Subject& s : subjects)
    if (is_student(s) && !s.values(measure.key, measure.what).empty()) students.push_back(&s);
  pivot.pairs = columns_of(students);
  pivot.rows = student_rows(subjects, pivot);
  for (const Subject* s : students)
    for (size_t column = 0; column < pivot.pairs.size(); ++column)
      if (stands_in(*s, pivot.pairs[column]))
        pivot.rows[*pivot.find(s->method, s->fakes)].cells[column] =
            cell_of(s->values(measure.key, measure.what));
  for (size_t column = 0; column < pivot.pairs.size(); ++column) mark_best(pivot, column);
  PivotRow teachers = teacher_row(subjects, pivot);
  if (std::any_of(teachers.cells.begin(), teachers.cells.end(),
                  [](const PivotCell& c) { return c.summary.n > 0; }))
    pivot.rows.insert(pivot.rows.begin(), std::move(teachers));
  return pivot;
}

Gain gain(const Pivot& pivot, size_t row, size_t control) {
  Gain g{row, control, {}};
  for (size_t column = 0; column < pivot.pairs.size(); ++column)
    g.differences.push_back(
        difference(pivot.rows[row].cells[column].values, pivot.rows[control].cells[column].values));
  return g;
}

}  // namespace

std::optional<size_t> Pivot::find(const std::string& method, const std::string& fakes) const {
  for (size_t i = 0; i < rows.size(); ++i)
    if (!rows[i].method.empty() && rows[i].method == method && rows[i].fakes == fakes) return i;
  return std::nullopt;
}

std::vector<Pivot> pivots_of(const Group& group) {
  const std::vector<Subject> subjects = subjects_of(group);
  std::vector<Measure> measures;
  for (const Subject& s : subjects)
    if (is_student(s))
      for (const Measure& m : measures_of(s, "test")) add_once(measures, m);
  std::vector<Pivot> pivots;
  for (const Measure& m : measures) pivots.push_back(pivot_of(subjects, m));
  return pivots;
}

std::vector<Gain> gains_of(const Pivot& pivot) {
  std::vector<Gain> gains;
  for (size_t row = 0; row < pivot.rows.size(); ++row) {
    const std::string &method = pivot.rows[row].method, &fakes = pivot.rows[row].fakes;
    if (method.empty() || (method == "none" && fakes == "none")) continue;
    std::vector<size_t> controls;
    for (const auto& [m, f] : {std::pair<std::string, std::string>{"none", "none"},
                               {"none", "equal"},
                               {method, "none"},
                               {method, "equal"}})
      if (const auto found = pivot.find(m, f);
          found && *found != row && !(fakes == "none" && f == "equal"))
        add_once(controls, *found);
    for (const size_t control : controls) {
      Gain g = gain(pivot, row, control);
      if (std::any_of(g.differences.begin(), g.differences.end(),
                      [](const auto& d) { return d.has_value(); }))
        gains.push_back(std::move(g));
    }
  }
  return gains;
}

}  // namespace limbeck::report
