// Stop requests: SIGINT, SIGTERM and what batch systems (Slurm, LSF, SGE) send before they end a
// job (SIGHUP, SIGUSR1, SIGUSR2) ask a run to write a checkpoint and end; a second one ends it at
// once.
#pragma once

namespace limbeck {

/// For the footer of a command's --help.
inline constexpr const char* stop_signals_help =
    "SIGINT (Ctrl-C), SIGTERM, SIGHUP, SIGUSR1 and SIGUSR2 write a checkpoint and end with exit "
    "code "
    "3; the same command continues from there.";
inline constexpr int exit_interrupted = 3;

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
