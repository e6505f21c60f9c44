// The settings of the operator cross_entropy, shared by the reference and the device kernels.
#pragma once
#include "ops/op.h"

namespace limbeck {

/// Attributes label_smoothing s (default 0) and ignore_index (default: none). A sample of class y
/// has the target t_c = (1 - s) w_y [c = y] + s w_c / C; w is 1 where no weight is given, and an
/// ignored sample has none. loss = -sum_c t_c log_softmax(logits)_c.
struct CrossEntropy {
  double smoothing;
  bool ignores;
  int64_t ignore_index;

  /// Throws naming the attribute.
  explicit CrossEntropy(const Attrs& attrs)
      : smoothing(attrs.number("label_smoothing", 0)),
        ignores(attrs.find("ignore_index") != nullptr),
        ignore_index(attrs.integer("ignore_index", 0)) {
    LIMBECK_CHECK(smoothing >= 0 && smoothing <= 1,
                  "cross_entropy: attribute 'label_smoothing' must be from 0 to 1, found ",
                  smoothing);
  }
  bool ignored(int64_t label) const { return ignores && label == ignore_index; }
  /// Labels are data, so their range is checked where they are read.
  /// Throws naming the sample.
  void check_label(int64_t n, int64_t label, int64_t classes) const {
    LIMBECK_CHECK(ignored(label) || (label >= 0 && label < classes), "cross_entropy: labels[", n,
                  "] = ", label, " is outside [0, ", classes, ")");
  }
};

}  // namespace limbeck
