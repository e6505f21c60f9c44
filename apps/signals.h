// Stop requests: SIGINT, SIGTERM and what batch systems (Slurm, LSF, SGE) send before they end a
// job (SIGHUP, SIGUSR1, SIGUSR2) ask a run to write a checkpoint and end; a second one ends it at
// once.
#pragma once

namespace limbeck {

/// Installs the handlers while alive; not of a SIGHUP that nohup has ignored.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;
  static bool requested();
};

}  // namespace limbeck
