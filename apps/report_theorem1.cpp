#include "apps/report_theorem1.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "apps/report_theorem1_values.h"
#include "tensor/error.h"

namespace limbeck::report {
namespace {

using theorem1::measured;
using theorem1::number;
using theorem1::value_of;
using theorem1::with_error;

/// "-" where nothing was measured, for every student: the column is left out.
struct Column {
  std::string header;
  std::function<std::string(const Subject&)> cell;
};

Column plain(const std::string& header, const std::string& key) {
  return {header, [key](const Subject& s) { return number(value_of(s, key)); }};
}
Column estimated(const std::string& header, const std::string& key) {
  return {header, [key](const Subject& s) { return with_error(s, key); }};
}

/// What lies between the two: a difference to V(best), which is between 0 and `lowest`.
std::string between(double loss, double lowest) {
  if (std::isnan(loss) || std::isnan(lowest)) return "-";
  return cat(number(std::max(0.0, loss - lowest)), " to ", number(loss));
}

std::vector<Column> columns_for(const std::vector<Subject>& subjects) {
  const double lowest = theorem1::lowest_loss(subjects);
  return {
      plain("real", "real_images"),
      plain("fake", "fake_images"),
      plain("theta", "theta"),
      plain("C_L", "loss_bound"),
      estimated("complexity", "complexity_term"),
      plain("sampling", "sample_term"),
      estimated("teacher's loss", "teacher_loss"),
      estimated("TV by classifier", "tv_classifier"),
      estimated("TV by losses", "tv_losses"),
      estimated("TV by ratio", "tv_ratio"),
      plain("gap", "gap_term"),
      plain("gap by ratio", "gap_term_ratio"),
      {"capacity",
       [=](const Subject& s) {
         const double best = theorem1::lowest_loss_of(theorem1::network_of(s), subjects);
         return between(best, lowest);
       }},
      estimated("gap met", "gap_met"),
      estimated("student's loss", "student_loss"),
      {"left side", [=](const Subject& s) { return between(value_of(s, "student_loss"), lowest); }},
      plain("right side", "right_side")};
}

/// What the bound comes to, in a sentence.
std::string verdict(const std::vector<Subject>& subjects) {
  const auto counted = [&](auto&& holds) {
    return std::count_if(subjects.begin(), subjects.end(), holds);
  };
  const auto vacuous = counted(
      [](const Subject& s) { return value_of(s, "right_side") > value_of(s, "loss_bound"); });
  const auto complete =
      counted([](const Subject& s) { return !std::isnan(value_of(s, "complexity_term")); });
  const auto all = static_cast<std::ptrdiff_t>(subjects.size());
  const std::string terms =
      complete == all ? "complexity, sampling and gap, without capacity, which only adds to it"
      : complete == 0
          ? "sampling and gap alone, without complexity and capacity, which are not "
            "measured and only add to it"
          : "sampling and gap, complexity where it was measured, without capacity; what "
            "is left out only adds to it";
  if (vacuous == 0)
    return cat("The right side (", terms,
               ") is below C_L, what nearly all losses lie below, for every student.");
  return cat("The bound is vacuous for ", vacuous, " of ", subjects.size(),
             " students: its right side (", terms,
             ") is above C_L, what nearly all losses lie below anyway (of responses the largest "
             "loss, of classes the 99.9 % quantile), so it excludes nothing. Compare runs by the "
             "signs of the differences between their terms, not by the right side.");
}

bool measured_anywhere(const std::vector<Subject>& subjects, const std::string& key) {
  return std::any_of(subjects.begin(), subjects.end(),
                     [&](const Subject& s) { return !std::isnan(value_of(s, key)); });
}

std::string explanation(const std::vector<Subject>& subjects) {
  std::string text =
      " ± is a standard error. TV: two lower bounds of the total variation between real and fake "
      "(image, label), by a classifier of both and by the errors of a student that no fake taught.";
  if (measured_anywhere(subjects, "tv_ratio"))
    text +=
        " By ratio: an estimate, no bound, from a density ratio trained again on the fakes, in the "
        "space of its features.";
  if (measured_anywhere(subjects, "complexity_term"))
    text +=
        " Complexity is what trainings on random signs reached, brought to n images by R0 / "
        "sqrt(n): a lower estimate.";
  return text +
         " Capacity and left side lie between their values with the best predictor as good as the "
         "best network here, and with one that makes no loss; capacity is at most what its second "
         "number says. Gap met: the student's loss on fakes minus that on test images.";
}

}  // namespace

Table theorem1_table(const Group& group) {
  const std::vector<Subject> subjects = measured(group);
  Table t{cat("Theorem 1", in_group(group)), {}, {"student"}, {}, 1};
  for (const Subject& s : subjects) t.rows.push_back({Cell(s.name)});
  for (const Column& column : columns_for(subjects)) {
    std::vector<std::string> cells;
    for (const Subject& s : subjects) cells.push_back(column.cell(s));
    if (std::all_of(cells.begin(), cells.end(), [](const auto& c) { return c == "-"; })) continue;
    t.header.push_back(column.header);
    for (size_t i = 0; i < cells.size(); ++i) t.rows[i].push_back(cells[i]);
  }
  if (!subjects.empty()) t.note = verdict(subjects) + explanation(subjects);
  return t;
}

}  // namespace limbeck::report
