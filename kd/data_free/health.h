// What the images of an epoch and the student on them were like, without real data.
#pragma once
#include <vector>

#include "nn/monitor.h"
#include "ops/op.h"

namespace limbeck::kd::data_free {

/// By the teacher's judgement of the student's images. Those of classes and those of responses
/// exclude each other.
struct Health {
  double generator_loss = 0, statistics = 0, loss = 0;
  double hit_rate = 0;       ///< share that gets the requested class
  double entropy = 0;        ///< of the teacher's predictions, nats
  double class_entropy = 0;  ///< of its classes over those of an even distribution
  double agreement = 0;      ///< share of which the student says the same
  double label_error = 0;    ///< mean |T(x) - y| to the requested response, on [0, 1]
  double disagreement = 0;   ///< mean |S(x) - T(x)|, on [0, 1]
};

/// Sums of an epoch's steps.
class HealthSums {
 public:
  /// 0 classes: responses.
  explicit HealthSums(int64_t classes) : classes_(static_cast<size_t>(classes)) {}
  void add_generator(double loss, double statistics);
  /// What a student's step says (kd/data_free/update.h), on the host.
  void add_student(const Tensors& said);
  bool has_student() const { return student_steps_ > 0; }
  Health means() const;

  std::vector<double> numbers() const;
  void set(const std::vector<double>& numbers);

 private:
  double generator_loss_ = 0, statistics_ = 0, generator_steps_ = 0;
  double loss_ = 0, hits_ = 0, entropy_ = 0, agreed_ = 0, student_steps_ = 0;
  double label_error_ = 0, disagreement_ = 0;
  std::vector<double> classes_;  // how often the teacher says each
};

/// Names and values as metrics carry them; `range` is that of the responses in their unit, 0: of
/// classes.
nn::Values described(const Health& health, double range);

}  // namespace limbeck::kd::data_free
