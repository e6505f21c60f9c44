// A distillation that counts how often its loss is asked for: a step that a device replays asks no
// more.
#pragma once
#include "kd/distillation.h"

namespace limbeck::kd {

class CountedDistillation : public Distillation {
 public:
  using Distillation::Distillation;
  Variable loss(const train::Step& step) override {
    ++calls_;
    return Distillation::loss(step);
  }
  int64_t calls() const { return calls_; }

 private:
  int64_t calls_ = 0;
};

}  // namespace limbeck::kd
