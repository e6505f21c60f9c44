// The training loop of data-free distillation: rounds of generator and student steps. No image
// comes from outside; test images, where there are any, only measure.
#pragma once
#include <limits>

#include "kd/data_free/health.h"
#include "kd/data_free/update.h"
#include "nn/monitor.h"
#include "train/criterion.h"

namespace limbeck::kd::data_free {

/// References outlive the call. The networks are on one device, student and generator initialised.
struct Task {
  Networks networks;
  int64_t classes = 0;             ///< 0: the teacher regresses
  data::ResponseScale scale = {};  ///< of its responses
  const data::Dataset& test;       ///< may be empty
  const train::Criterion& criterion;
  Stream stream;  ///< forked by purpose and round inside
  nn::Monitor& monitor;
};

struct DataFreeResult {
  int64_t student_steps = 0, generator_steps = 0;
  Health last;
  double test_metric = std::numeric_limits<double>::quiet_NaN();  ///< NaN without test images
};

/// Trains, or goes on from the monitor's saved state to the same bits. One metrics line an epoch,
/// and as many sheets of images as there are tenths. Throws when a loss is not finite.
DataFreeResult fit(const Task& task, const Settings& settings);

/// Rows of one class each, of at most ten classes, or of one response each; u8 [H, W, C].
Tensor sheet(gan::DataFreeGenerator& generator, const Stream& stream);

}  // namespace limbeck::kd::data_free
