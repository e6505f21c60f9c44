#include "apps/report_theorem1_sweeps.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "apps/console.h"
#include "apps/line_fit.h"
#include "apps/report_svg.h"
#include "apps/report_text.h"
#include "apps/report_theorem1_values.h"
#include "tensor/error.h"

namespace limbeck::report {
namespace {

using theorem1::value_of;

/// Students that differ in one number, `x`, by which they are sorted.
struct Sweep {
  std::string x, family;
  std::vector<Subject> points;
  std::vector<Subject> others;  // all that were measured in the same runs, these among them
  /// The shortest of theirs: "cGAN-KD (resnet8)" and not "cGAN-KD (m2-by-vgg8) (resnet8)".
  const std::string& name() const {
    return std::min_element(
               points.begin(), points.end(),
               [](const Subject& a, const Subject& b) { return a.name.size() < b.name.size(); })
        ->name;
  }
};

bool begins_with(const std::string& text, const char* prefix) { return text.rfind(prefix, 0) == 0; }

bool is_of_fakes(const std::string& setting) {
  return setting == "transfer.fakes" || setting == "plan.counts";
}
/// What decides which teacher filters, and nothing about raw fakes.
bool is_of_teacher(const std::string& setting) {
  return begins_with(setting, "teacher.") || setting == "plan.judge" || setting == "plan.judges" ||
         setting == "plan.teachers";
}

/// Settings but the seeds and those that a sweep is over, and the seeds of all runs: with other
/// seeds the raw fakes are others.
std::string family_of(const Group& group, bool (*swept)(const std::string&)) {
  std::string text;
  for (const auto& [key, value] : group.runs[0].settings)
    if (key != "seed" && key != "plan.seeds" && !swept(key)) text += cat(key, "=", value, "\n");
  std::multiset<std::string> seeds;
  for (const RunRecord& run : group.runs)
    for (const auto& [key, value] : run.settings)
      if (key == "seed") seeds.insert(value);
  for (const std::string& seed : seeds) text += seed + " ";
  return text;
}

/// "m2" of "m2-n1000" and "m2-by-wrn_40_2" (kd/plan.h), where `mark` is "-n" or "-by-".
std::string without_point(const std::string& fakes, const std::string& mark) {
  const size_t at = fakes.find(mark);
  return fakes.substr(0, at);
}

/// Of all that agree in `key_of`, those that have two values of x.
template <class KeyOf>
std::vector<Sweep> sweeps_over(const std::vector<Group>& groups, const std::string& x,
                               bool (*swept)(const std::string&), KeyOf key_of) {
  std::map<std::string, Sweep> sweeps;
  std::map<std::string, std::vector<Subject>> all;
  for (const Group& group : groups) {
    const std::string family = family_of(group, swept);
    for (const Subject& s : theorem1::measured(group)) {
      all[family].push_back(s);
      if (std::isnan(value_of(s, x))) continue;
      Sweep& sweep =
          sweeps[cat(family, "\n", theorem1::network_of(s), "\n", s.method, "\n", key_of(s))];
      sweep.x = x, sweep.family = family;
      sweep.points.push_back(s);
    }
  }
  std::vector<Sweep> found;
  for (auto& [key, sweep] : sweeps) {
    std::stable_sort(
        sweep.points.begin(), sweep.points.end(),
        [&](const Subject& a, const Subject& b) { return value_of(a, x) < value_of(b, x); });
    if (value_of(sweep.points.front(), x) == value_of(sweep.points.back(), x)) continue;
    sweep.others = all.at(sweep.family);
    found.push_back(std::move(sweep));
  }
  return found;
}

std::vector<Sweep> sweeps_over_fakes(const std::vector<Group>& groups) {
  return sweeps_over(groups, "fake_images", is_of_fakes,
                     [](const Subject& s) { return without_point(s.fakes, "-n"); });
}

std::vector<Sweep> sweeps_over_teachers(const std::vector<Group>& groups) {
  return sweeps_over(groups, "teacher_loss", is_of_teacher, [](const Subject& s) {
    return cat(without_point(without_point(s.fakes, "-n"), "-by-"), "\n",
               value_of(s, "fake_images"));
  });
}

Series series(const Sweep& sweep, const std::string& y) {
  Series out;
  for (const Subject& s : sweep.points)
    if (const double v = value_of(s, y); !std::isnan(v))
      out.x.push_back(value_of(s, sweep.x)), out.y.push_back(v);
  return out;
}

// --- over the number of fakes --------------------------------------------------------------------

double change(const Subject& a, const Subject& b, const std::string& key) {
  return value_of(b, key) - value_of(a, key);
}
std::string signed_number(double x) {
  return std::isnan(x) ? "-" : cat(x > 0 ? "+" : "", format_number(x));
}
/// Both were measured on the same images, so this is at most their error.
double error_of_change(const Subject& a, const Subject& b) {
  return std::hypot(value_of(a, "student_loss_error"), value_of(b, "student_loss_error"));
}

std::string moves(const std::string& what, double by) {
  if (by == 0) return what + " stays";
  return cat(what, by > 0 ? " rises by " : " falls by ", format_number(std::abs(by)));
}

/// What the bound and the measurement say of the whole way, in two sentences.
std::string verdict(const Sweep& sweep) {
  const Subject &a = sweep.points.front(), &b = sweep.points.back();
  std::string terms;
  for (const auto& [name, key] :
       {std::pair("complexity", "complexity_term"), std::pair("sampling", "sample_term"),
        std::pair("gap", "gap_term")})
    if (const double by = change(a, b, key); !std::isnan(by))
      terms += (terms.empty() ? "" : ", ") + moves(name, by);
  const double bound = change(a, b, "right_side"), loss = change(a, b, "student_loss"),
               error = error_of_change(a, b);
  const std::string agreement = std::abs(loss) < 2 * error
                                    ? "which is less than twice its error and decides nothing"
                                : bound * loss > 0 ? "as the bound says"
                                                   : "the other way than the bound";
  return cat(sweep.name(), ", from ", format_number(value_of(a, sweep.x)), " to ",
             format_number(value_of(b, sweep.x)), " fakes: ", terms, "; ",
             moves("the right side", bound), ". ", moves("The student's loss", loss), " ± ",
             format_number(error), ", ", agreement, ".");
}

std::string chart_over_fakes(const Sweep& sweep) {
  const double capacity =
      theorem1::lowest_loss_of(theorem1::network_of(sweep.points[0]), sweep.others);
  Line most{"capacity, at most", series(sweep, "student_loss")};
  for (double& y : most.points.y) y = capacity;
  return line_chart(
      cat(sweep.name(), " and others: terms over the number of fakes"), "fakes",
      {Line{"complexity", series(sweep, "complexity_term")},
       Line{"sampling", series(sweep, "sample_term")}, Line{"gap", series(sweep, "gap_term")}, most,
       Line{"student's loss", series(sweep, "student_loss")}});
}

// --- over the teacher's loss ---------------------------------------------------------------------

constexpr size_t fewest_teachers = 5;
const std::pair<const char*, const char*> distances[] = {
    {"by classifier", "tv_classifier"}, {"by losses", "tv_losses"}, {"by ratio", "tv_ratio"}};

size_t different(const std::vector<double>& values) {
  return std::set<double>(values.begin(), values.end()).size();
}

std::string with_half(double value, double half) {
  return cat(format_number(value), " ± ", format_number(half));
}

std::vector<Cell> teachers_row(const Sweep& sweep, const char* name, const Series& s) {
  std::vector<Cell> row{sweep.name(), name, std::to_string(different(s.x))};
  if (different(s.x) < fewest_teachers) {
    row.insert(row.end(), 3, "-");
    return row;
  }
  const LineFit f = fit_line(s.x, s.y);
  row.push_back(with_half(f.intercept, f.intercept_half));
  row.push_back(with_half(f.slope, f.slope_half));
  row.push_back(theorem1::number(f.r_squared));
  return row;
}

std::string chart_over_teachers(const Sweep& sweep) {
  std::vector<Line> lines;
  for (const auto& [name, key] : distances) lines.push_back({cat("TV ", name), series(sweep, key)});
  lines.push_back({"gap met", series(sweep, "gap_met")});
  return line_chart(cat(sweep.name(), " and others: distribution gap over the teacher's loss"),
                    "teacher's loss", lines);
}

}  // namespace

Table theorem1_fakes_table(const std::vector<Group>& groups) {
  Table t{"Theorem 1: what more fakes change",
          {},
          {"student", "fakes", "complexity", "sampling", "gap", "right side", "student's loss"},
          {},
          2};
  for (const Sweep& sweep : sweeps_over_fakes(groups)) {
    for (size_t i = 1; i < sweep.points.size(); ++i) {
      const Subject &a = sweep.points[i - 1], &b = sweep.points[i];
      if (value_of(a, sweep.x) == value_of(b, sweep.x)) continue;
      std::vector<Cell> row{sweep.name(), cat(format_number(value_of(a, sweep.x)), " to ",
                                              format_number(value_of(b, sweep.x)))};
      for (const char* key : {"complexity_term", "sample_term", "gap_term", "right_side"})
        row.push_back(signed_number(change(a, b, key)));
      row.push_back(cat(signed_number(change(a, b, "student_loss")), " ± ",
                        format_number(error_of_change(a, b))));
      t.rows.push_back(row);
    }
    t.note += (t.note.empty() ? "" : " ") + verdict(sweep);
  }
  return t;
}

Table theorem1_teachers_table(const std::vector<Group>& groups) {
  Table t{"Theorem 1: the distance over the teacher's loss",
          {},
          {"student", "distance", "teachers", "intercept (C_M1)", "slope", "R squared"},
          {},
          2};
  bool refused = false;
  for (const Sweep& sweep : sweeps_over_teachers(groups))
    for (const auto& [name, key] : distances)
      if (const Series s = series(sweep, key); !s.x.empty()) {
        t.rows.push_back(teachers_row(sweep, name, s));
        refused = refused || different(s.x) < fewest_teachers;
      }
  if (t.rows.empty()) return t;
  t.note =
      "± is half of a 95 % confidence interval. Assumption A3 says that the distance is C_M1 > 0 "
      "plus something that grows with the teacher's loss; the distances are lower bounds, so both "
      "numbers are of these.";
  if (refused)
    t.note +=
        cat(" No line is put through fewer than ", fewest_teachers,
            " teachers of different loss on the same raw fakes and with as many of them kept: "
            "it would say nothing.");
  return t;
}

std::string theorem1_charts(const std::vector<Group>& groups) {
  std::string out;
  for (const Sweep& sweep : sweeps_over_fakes(groups)) out += chart_over_fakes(sweep);
  for (const Sweep& sweep : sweeps_over_teachers(groups)) out += chart_over_teachers(sweep);
  return out;
}

}  // namespace limbeck::report
