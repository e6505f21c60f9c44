// Numbers of papers beside ours, from a TOML file or a CSV table: docs/report.md says how it looks.
#pragma once
#include <cmath>
#include <string>
#include <vector>

#include "tensor/fields.h"

namespace limbeck::report {

/// One [[published]] of the file. Values are in the unit that the table shows: accuracies in
/// percent.
struct Published {
  std::string pair, method, fakes = "none", key = "test_accuracy", name, source;
  double value = NAN, deviation = NAN;  ///< NaN: not given
  void fields(FieldVisitor& v) {
    v("pair", pair, "label of the students: \"wrn_40_2 > wrn_40_1\"");
    v("method", method, "label of the students: blkd, none, ...; teacher for the row of teachers");
    v("fakes", fakes,
      "label of the students: none | equal | raw | m1 | m2, and those of sweeps: m2-rho0.5");
    v("key", key, "the result that it stands beside");
    v("name", name, "what the row is called where we have none of that method");
    v("value", value, "as the table shows it: accuracies in percent");
    v("deviation", deviation, "its deviation, where it was published");
    v("source", source, "where it is from; stands below the table");
  }
};

/// Whether it belongs in the row of students with these labels; method "": the row of teachers.
bool belongs_to(const Published& published, const std::string& method, const std::string& fakes);

/// Throws Error "FILE:LINE: ..." for what is missing, twice there or of another type.
std::vector<Published> read_published(const std::string& path);

}  // namespace limbeck::report
