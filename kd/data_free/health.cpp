#include "kd/data_free/health.h"

#include <algorithm>
#include <cmath>

namespace limbeck::kd::data_free {

void HealthSums::add_generator(double loss, double statistics) {
  generator_loss_ += loss, statistics_ += statistics, generator_steps_ += 1;
}

void HealthSums::add_student(const Tensors& said) {
  loss_ += said.at(0).item(), student_steps_ += 1;
  if (classes_.empty()) {
    label_error_ += said.at(1).item(), disagreement_ += said.at(2).item();
    return;
  }
  hits_ += said.at(1).item(), entropy_ += said.at(2).item(), agreed_ += said.at(3).item();
  for (size_t c = 0; c < classes_.size(); ++c)
    classes_[c] += said.at(4).at(static_cast<int64_t>(c));
}

Health HealthSums::means() const {
  const double g = std::max(1.0, generator_steps_), s = std::max(1.0, student_steps_);
  double class_entropy = 0;
  for (const double c : classes_)
    if (c > 0) class_entropy -= c / s * std::log(c / s);
  if (!classes_.empty()) class_entropy /= std::log(static_cast<double>(classes_.size()));
  return {.generator_loss = generator_loss_ / g,
          .statistics = statistics_ / g,
          .loss = loss_ / s,
          .hit_rate = hits_ / s,
          .entropy = entropy_ / s,
          .class_entropy = class_entropy,
          .agreement = agreed_ / s,
          .label_error = label_error_ / s,
          .disagreement = disagreement_ / s};
}

std::vector<double> HealthSums::numbers() const {
  std::vector<double> all{generator_loss_, statistics_,  generator_steps_, loss_,
                          hits_,           entropy_,     agreed_,          student_steps_,
                          label_error_,    disagreement_};
  all.insert(all.end(), classes_.begin(), classes_.end());
  return all;
}

void HealthSums::set(const std::vector<double>& all) {
  double* const fields[] = {&generator_loss_, &statistics_,  &generator_steps_, &loss_,
                            &hits_,           &entropy_,     &agreed_,          &student_steps_,
                            &label_error_,    &disagreement_};
  for (size_t i = 0; i < std::size(fields); ++i) *fields[i] = all.at(i);
  classes_.assign(all.begin() + std::size(fields), all.end());
}

nn::Values described(const Health& h, double range) {
  nn::Values values{
      {"loss", h.loss}, {"generator_loss", h.generator_loss}, {"statistics", h.statistics}};
  if (range > 0) {
    values.emplace_back("label_error", range * h.label_error);
    values.emplace_back("disagreement", range * h.disagreement);
    return values;
  }
  values.emplace_back("hit_rate", h.hit_rate);
  values.emplace_back("teacher_entropy", h.entropy);
  values.emplace_back("class_entropy", h.class_entropy);
  values.emplace_back("agreement", h.agreement);
  return values;
}

}  // namespace limbeck::kd::data_free
