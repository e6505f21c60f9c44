#include "apps/report_theorem1.h"

#include <algorithm>
#include <cmath>

#include "apps/console.h"
#include "apps/report_svg.h"
#include "apps/report_text.h"
#include "tensor/error.h"

namespace limbeck::report {
namespace {

/// The mean over repetitions; NaN where there is none.
double value_of(const Subject& s, const std::string& key) {
  for (const Measure& m : measures_of(s, "theorem1"))
    if (m.key == key) return summarise(s.values(key, m.what)).mean;
  return std::nan("");
}

std::vector<Subject> measured(const Group& group) {
  std::vector<Subject> all = subjects_of(group);
  std::erase_if(all, [](const Subject& s) { return std::isnan(value_of(s, "right_side")); });
  return all;
}

std::string number(double x) { return std::isnan(x) ? "-" : format_number(x); }

/// Value and standard error.
std::string with_error(const Subject& s, const std::string& key) {
  const double x = value_of(s, key), error = value_of(s, key + "_error");
  return std::isnan(x) ? "-" : cat(format_number(x), " ± ", format_number(error));
}

/// What the bound comes to, in a sentence.
std::string verdict(const std::vector<Subject>& subjects) {
  size_t vacuous = 0;
  for (const Subject& s : subjects)
    vacuous += value_of(s, "right_side") > value_of(s, "loss_bound");
  const std::string terms =
      "sampling and gap alone, without complexity and capacity, which are not "
      "measured and only add to it";
  if (vacuous == 0)
    return cat("The right side (", terms, ") is below the largest loss C_L for every student.");
  return cat("The bound is vacuous for ", vacuous, " of ", subjects.size(),
             " students: its right side (", terms,
             ") is above C_L, the largest loss there is, so it excludes nothing. Compare runs by "
             "the signs of the differences between their terms, not by the right side.");
}

/// Points in order of x, of subjects with both values.
Series series(const std::vector<Subject>& subjects, const std::string& x, const std::string& y) {
  std::vector<std::pair<double, double>> points;
  for (const Subject& s : subjects)
    if (const double a = value_of(s, x), b = value_of(s, y); !std::isnan(a) && !std::isnan(b))
      points.emplace_back(a, b);
  std::sort(points.begin(), points.end());
  Series out;
  for (const auto& [a, b] : points) out.x.push_back(a), out.y.push_back(b);
  return out;
}

bool differ(const std::vector<Subject>& subjects, const std::string& key) {
  const Series s = series(subjects, key, key);
  return !s.x.empty() && s.x.front() < s.x.back();
}

/// Students of one pair and method are what can be compared.
std::vector<std::vector<Subject>> comparable(const std::vector<Subject>& subjects) {
  std::vector<std::vector<Subject>> sets;
  for (const Subject& s : subjects) {
    const auto set = std::find_if(sets.begin(), sets.end(), [&](const auto& other) {
      return other[0].pair == s.pair && other[0].method == s.method;
    });
    if (set == sets.end())
      sets.push_back({s});
    else
      set->push_back(s);
  }
  return sets;
}

}  // namespace

Table theorem1_table(const Group& group) {
  const std::vector<Subject> subjects = measured(group);
  const std::string what = group.name.empty() ? "Theorem 1" : cat("Theorem 1 of ", group.name);
  Table t{what,
          {},
          {"student", "real", "fake", "theta", "C_L", "sampling", "teacher's loss",
           "TV by classifier", "TV by losses", "gap", "gap met", "student's loss", "right side"},
          {},
          1};
  for (const Subject& s : subjects) {
    std::vector<Cell> row{s.name};
    for (const char* key : {"real_images", "fake_images", "theta", "loss_bound", "sample_term"})
      row.push_back(number(value_of(s, key)));
    for (const char* key : {"teacher_loss", "tv_classifier", "tv_losses"})
      row.push_back(with_error(s, key));
    row.push_back(number(value_of(s, "gap_term")));
    for (const char* key : {"gap_met", "student_loss"}) row.push_back(with_error(s, key));
    row.push_back(number(value_of(s, "right_side")));
    t.rows.push_back(row);
  }
  if (subjects.empty()) return t;
  t.note = verdict(subjects) +
           " ± is a standard error. TV: two lower bounds of the total variation between real and "
           "fake (image, label), by a classifier of both and by the errors of a student that no "
           "fake taught. Gap met: the student's loss on fakes minus that on test images.";
  return t;
}

std::string theorem1_charts(const Group& group) {
  std::string out;
  const std::vector<Subject> all = measured(group);
  const auto line = [](const char* label, const std::vector<Subject>& set, const char* x,
                       const char* y) {
    return Line{label, series(set, x, y)};
  };
  for (const auto& set : comparable(all))
    if (differ(set, "fake_images")) {
      const char* x = "fake_images";
      out += line_chart(cat(set[0].name, " and others: terms over the number of fakes"), "fakes",
                        {line("sampling", set, x, "sample_term"), line("gap", set, x, "gap_term"),
                         line("student's loss", set, x, "student_loss")});
    }
  if (differ(all, "teacher_loss")) {
    const char* x = "teacher_loss";
    out +=
        line_chart("Distribution gap over the teacher's loss", "teacher's loss",
                   {line("TV by classifier", all, x, "tv_classifier"),
                    line("TV by losses", all, x, "tv_losses"), line("gap met", all, x, "gap_met")});
  }
  return out;
}

}  // namespace limbeck::report
