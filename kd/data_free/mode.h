// Train or eval mode for a while.
#pragma once
#include "nn/module.h"

namespace limbeck::kd::data_free {

class ModeOf {
 public:
  ModeOf(nn::Module& m, bool train) : module_(m), was_(m.training()) { m.train(train); }
  ~ModeOf() { module_.train(was_); }
  ModeOf(const ModeOf&) = delete;
  ModeOf& operator=(const ModeOf&) = delete;

 private:
  nn::Module& module_;
  const bool was_;
};

}  // namespace limbeck::kd::data_free
