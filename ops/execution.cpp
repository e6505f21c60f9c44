#include "ops/execution.h"

#include "tensor/error.h"

namespace limbeck {
namespace {

thread_local Execution current;

}  // namespace

const char* name_of(Precision precision) {
  switch (precision) {
    case Precision::f32: return "f32";
    case Precision::tf32: return "tf32";
    case Precision::bf16: return "bf16";
  }
  return "?";
}

Precision parse_precision(const std::string& name) {
  for (const Precision p : {Precision::f32, Precision::tf32, Precision::bf16})
    if (name == name_of(p)) return p;
  fail("unknown precision '", name, "'; known: f32, tf32, bf16");
}

const Execution& execution() { return current; }

void set_execution(Execution settings) {
  LIMBECK_CHECK(settings.activations == DType::f32 || settings.activations == DType::bf16,
                "activations are stored in f32 or bf16, found ", settings.activations);
  current = std::move(settings);
}

ExecutionScope::~ExecutionScope() { current = std::move(outer_); }

}  // namespace limbeck
