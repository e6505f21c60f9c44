#include "apps/report_data_free.h"

#include <algorithm>

#include "apps/report_text.h"
#include "tensor/error.h"

namespace limbeck::report {
namespace {

const Measure* find(const std::vector<Measure>& measures, const std::string& key) {
  const auto at = std::find_if(measures.begin(), measures.end(),
                               [&](const Measure& m) { return m.key == key; });
  return at == measures.end() ? nullptr : &*at;
}

/// Of the same network and seed, taught by nobody, with real images.
Repeated shares(const Subject& student, const std::vector<Subject>& all, const Measure& measure) {
  const Repeated values = student.values(measure.key, measure.what);
  Repeated result;
  for (const Subject& s : all) {
    if (s.role != "student" || s.method != "none" || s.fakes != "none") continue;
    if (s.pair != student.pair && s.pair != student_of(student.pair)) continue;
    for (const auto& [repetition, with_data] : s.values(measure.key, measure.what))
      if (const auto at = values.find(repetition); at != values.end() && with_data != 0)
        result[repetition] = at->second / with_data;
  }
  return result;
}

std::string cell(const Repeated& values, const std::string& unit) {
  return format_with_unit(summarise(values), unit);
}

}  // namespace

Table data_free_table(const Group& group) {
  const std::vector<Subject> subjects = subjects_of(group);
  Table t{cat("Without data", in_group(group)),
          "The gap is to the teacher; relative to the teacher's measure, and to that of the same "
          "network trained on the data by nobody, by seed. Mean ± sample standard deviation; n: "
          "number of values.",
          {"what", "test", "gap", "relative to the teacher", "to a student with data", "n"},
          {}};
  for (const Subject& s : subjects) {
    const std::vector<Measure> details = measures_of(s, "detail"), tests = measures_of(s, "test");
    const Measure *relative = find(details, "relative_to_teacher"),
                  *gap = find(details, "gap_to_teacher");
    if (s.role != "student" || !relative || !gap || tests.empty()) continue;
    const Repeated measured = s.values(tests[0].key, tests[0].what);
    t.rows.push_back({s.name, cell(measured, tests[0].what.unit),
                      cell(s.values(gap->key, gap->what), gap->what.unit),
                      cell(s.values(relative->key, relative->what), "share"),
                      cell(shares(s, subjects, tests[0]), "share"),
                      std::to_string(summarise(measured).n)});
  }
  return t;
}

}  // namespace limbeck::report
