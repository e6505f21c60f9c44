#include "nn/trace.h"

namespace limbeck::nn {

namespace {
thread_local LayerTrace* active = nullptr;
}

LayerTrace::LayerTrace() : outer_(active) { active = this; }
LayerTrace::~LayerTrace() { active = outer_; }

int64_t LayerTrace::macs() const {
  int64_t total = 0;
  for (const LayerRecord& r : records_) total += r.macs;
  return total;
}

void LayerTrace::note(const Module& layer, const Variable& in, const Variable& out, int64_t macs) {
  if (active) active->records_.push_back({&layer, in.shape(), out.shape(), macs});
}

}  // namespace limbeck::nn
