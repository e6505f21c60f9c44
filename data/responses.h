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
  bool wraps = false, truncate = false;
  double from = 0, to = 0;
  bool scale_given() const { return low != 0 || high != 0; }
  bool cuts() const { return from != 0 || to != 0; }
  /// Whether a response stays in the set; compared as f32.
  bool holds(double response) const {
    const auto y = static_cast<float>(response);
    return !cuts() || (y >= static_cast<float>(from) && y <= static_cast<float>(to));
  }
  void fields(FieldVisitor& v) {
    v("response_low", low,
      "response that networks see as 0; low and high both 0: minimum and maximum of the training "
      "responses");
    v("response_high", high,
      "response that networks see as 1; a given scale has to hold every response");
    v("response_unit", unit, "unit of the responses, as in \"degrees\"");
    v("response_wraps", wraps,
      "response_high is response_low again, as 360 degrees are 0; refused by what cannot learn it");
    v("response_truncate", truncate,
      "predictions count as whole numbers, cut toward zero, as the original's years do");
    v("response_from", from,
      "images with a response below this or above response_to are left out; both 0: none");
    v("response_to", to, "see response_from");
  }
};

/// Throws naming the keys of `section` ("data.folder") when they contradict each other.
void check_response_settings(const ResponseSettings& settings, const std::string& section);

/// Throws beginning with place(i) ("labels.csv: line 3") when response i is not finite, or stays in
/// the set and is outside of a given scale; compared as f32, which is how sets hold them.
void check_responses(const std::vector<double>& responses, const ResponseSettings& settings,
                     const std::string& section, const std::function<std::string(size_t)>& place);

/// The rows whose responses stay in the set.
std::vector<int64_t> kept_rows(const std::vector<double>& responses,
                               const ResponseSettings& settings);

/// As the settings say, or the interval of the training responses, which then have to differ:
/// throws naming the file.
ResponseScale response_scale(const std::vector<double>& training, const ResponseSettings& settings,
                             const std::string& section, const std::string& file);

}  // namespace limbeck::data
