// A student's training under a distillation.
#pragma once
#include "kd/distillation.h"
#include "train/supervised.h"

namespace limbeck::kd {

/// Of classes, from the student's present weights.
inline train::SupervisedResult teach(nn::Network& student, Distillation& distillation,
                                     const data::Dataset& train, const data::Dataset& test,
                                     nn::Monitor& monitor, const train::Settings& settings,
                                     uint64_t seed = 3) {
  const train::ClassificationCriterion criterion;
  return train::fit({.network = student,
                     .train = train,
                     .test = test,
                     .standardisation = data::standardisation_of(train),
                     .criterion = criterion,
                     .stream = Stream(seed),
                     .monitor = monitor,
                     .extra = &distillation},
                    settings);
}

}  // namespace limbeck::kd
