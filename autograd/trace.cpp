#include "autograd/trace.h"

namespace limbeck {

namespace {
thread_local OperatorTrace* active = nullptr;
}

OperatorTrace::OperatorTrace() : outer_(active) { active = this; }
OperatorTrace::~OperatorTrace() { active = outer_; }

void OperatorTrace::note(const std::string& name, const Op* op, const Attrs& attrs,
                         const Variables& inputs, const Variables& outputs) {
  if (active) active->calls_.push_back({name, op, attrs, inputs, outputs});
}

}  // namespace limbeck
