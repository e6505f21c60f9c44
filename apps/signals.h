// Stop requests: SIGINT and SIGTERM ask a run to write a checkpoint and end; a second one ends it
// at once.
#pragma once

namespace limbeck {

/// Installs the handlers while alive.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;
  static bool requested();
};

}  // namespace limbeck
