// The result of a group of runs: methods x pairs, with the best marked, and what each method gains
// over its controls.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "apps/report_groups.h"

namespace limbeck::report {

struct PivotCell {
  Repeated values;
  Summary summary;
  Mark mark = Mark::none;
};

struct PivotRow {
  std::string name;              ///< "cGAN-KD + BLKD"; "teacher"
  std::string method, fakes;     ///< labels; both empty for the teacher's row
  std::vector<PivotCell> cells;  ///< one per pair
};

struct Pivot {
  Measure measure;
  std::vector<std::string>
      pairs;  ///< in order of first appearance; "" where students have no such label nor a model
  /// The teachers' row first, where a teacher ("T" of the pair "T > S") has the measure. Then the
  /// students: without fakes, with equal steps, with fakes (raw, m1, m2); methods in order of first
  /// appearance, "none" first.
  std::vector<PivotRow> rows;
  /// The row of students with a method and fakes.
  std::optional<size_t> find(const std::string& method, const std::string& fakes) const;
};

/// One pivot for each result of kind "test" that the group's students have. In each column the best
/// and second best mean among the students are marked by the direction of the measure: where it has
/// one and at least two students have a value. Equal means share a mark.
std::vector<Pivot> pivots_of(const Group& group);

/// A row minus a control, for each pair.
struct Gain {
  size_t row = 0, control = 0;
  std::vector<std::optional<Difference>> differences;
};
/// For each student, in this order and where they exist: minus no method alone; minus no method
/// with equal steps; minus its method alone; minus its method with equal steps (students without
/// fakes, which take fewer steps: minus no method alone). Those without any common pair are left
/// out.
std::vector<Gain> gains_of(const Pivot& pivot);

}  // namespace limbeck::report
