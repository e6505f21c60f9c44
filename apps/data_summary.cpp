#include "apps/data_summary.h"

#include "data/classes.h"

namespace limbeck {

void print_data_summary(const data::DataSettings& settings, const data::Split& split,
                        Console& console) {
  for (const std::string& line : data::summary_of(split)) console.line(line);
  for (const std::string& warning : data::warnings_of(settings, split))
    console.note("warning: " + warning);
}

}  // namespace limbeck
