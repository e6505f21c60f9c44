// Monitor: how a training loop talks to whoever runs it (progress, metrics, checkpoints, stop
// requests). The library never prints.
#pragma once
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "nn/trial.h"
#include "tensor/safetensors.h"

namespace limbeck::nn {

/// Thrown by a training loop after it saved its state because a stop was requested (SIGINT,
/// SIGTERM).
class Interrupted : public Error {
 public:
  using Error::Error;
};

using Values = std::vector<std::pair<std::string, double>>;

/// The base class does nothing: tests and library users may pass it as it is.
class Monitor {
 public:
  virtual ~Monitor() = default;
  /// Called every step or so; cheap. `rate_items` images were processed since the last call.
  virtual void progress(int64_t /*done*/, int64_t /*total*/, int64_t /*rate_items*/,
                        const Values& /*values*/) {}
  /// One line of metrics.jsonl. Must not contain wall times: it is part of the reproducible result.
  virtual void metrics(int64_t /*step*/, const Values& /*values*/) {}
  /// A picture (u8 [H, W, C]) by file name without extension.
  virtual void image(const std::string& /*name*/, const Tensor& /*u8_hwc*/) {}
  /// A warning or note for the person who watches.
  virtual void note(const std::string& /*text*/) {}
  /// True when enough time has passed since the last save, or a stop was requested.
  virtual bool checkpoint_due() { return false; }
  virtual bool stop_requested() { return false; }
  /// Atomic write of the loop's whole state; the metrics written so far are synced with it.
  virtual void save(const TensorFile& /*state*/) {}
  /// Where only the cost is asked for (nn/trial.h); null: an earnest run.
  virtual Trial* trial() { return nullptr; }
  /// The last saved state of this stage, if any.
  virtual std::optional<TensorFile> load() { return std::nullopt; }
};

/// In a trial: whether a loop of `total` steps shall end now. `finish` waits for the results of the
/// step.
template <class Finish>
bool tried_enough(Monitor& monitor, int64_t total, Finish&& finish) {
  Trial* const trial = monitor.trial();
  if (!trial) return false;
  finish();
  return trial->enough(total);
}

/// The usual end of an iteration: saves when due, and throws Interrupted after saving when a stop
/// was requested.
template <class MakeState>
void checkpoint(Monitor& monitor, MakeState&& make_state) {
  if (!monitor.checkpoint_due()) return;
  monitor.save(make_state());
  if (monitor.stop_requested()) throw Interrupted("stopped on request; run again to continue");
}

}  // namespace limbeck::nn
