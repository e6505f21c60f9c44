#include "tensor/device.h"

#include "tensor/error.h"

namespace limbeck {
namespace {

thread_local HostEffects* collector = nullptr;

}  // namespace

bool recording() { return collector != nullptr; }

HostEffects::HostEffects() {
  LIMBECK_CHECK(!collector, "a step is already being recorded");
  collector = this;
}

HostEffects::~HostEffects() { stop(); }

void HostEffects::stop() {
  if (collector == this) collector = nullptr;
}

void HostEffects::run() const {
  for (const auto& effect : effects_) effect();
}

void host_effect(std::function<void()> effect) {
  if (collector)
    collector->effects_.push_back(std::move(effect));
  else
    effect();
}

}  // namespace limbeck
