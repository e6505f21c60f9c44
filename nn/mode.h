// Train or eval mode for a while.
#pragma once
#include "nn/module.h"

namespace limbeck::nn {

/// The mode that the module had comes back when this goes out of scope.
class ModeOf {
 public:
  ModeOf(Module& m, bool train) : module_(m), was_(m.training()) { m.train(train); }
  ~ModeOf() { module_.train(was_); }
  ModeOf(const ModeOf&) = delete;
  ModeOf& operator=(const ModeOf&) = delete;

 private:
  Module& module_;
  const bool was_;
};

}  // namespace limbeck::nn
