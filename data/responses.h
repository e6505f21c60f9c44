// Responses as files hold them: the settings of their scale, and what is refused.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "tensor/fields.h"

namespace limbeck::data {

/// Keys of a section [data.NAME] whose source may hold responses.
struct ResponseSettings {
  double low = 0, high = 0;
  std::string unit;
  bool wraps = false;
  bool scale_given() const { return low != 0 || high != 0; }
  void fields(FieldVisitor& v) {
    v("response_low", low,
      "response that networks see as 0; low and high both 0: minimum and maximum of the training "
      "responses");
    v("response_high", high,
      "response that networks see as 1; a given scale has to hold every response");
    v("response_unit", unit, "unit of the responses, as in \"degrees\"");
    v("response_wraps", wraps,
      "response_high is response_low again, as 360 degrees are 0; refused by what cannot learn it");
  }
};

/// Throws naming the keys of `section` ("data.folder") when they contradict each other.
void check_response_settings(const ResponseSettings& settings, const std::string& section);

/// Throws beginning with place(i) ("labels.csv: line 3") when response i is not finite, or outside
/// of a given scale; compared as f32, which is how sets hold them.
void check_responses(const std::vector<double>& responses, const ResponseSettings& settings,
                     const std::string& section, const std::function<std::string(size_t)>& place);

/// As the settings say, or the interval of the training responses, which then have to differ:
/// throws naming the file.
ResponseScale response_scale(const std::vector<double>& training, const ResponseSettings& settings,
                             const std::string& section, const std::string& file);

}  // namespace limbeck::data
