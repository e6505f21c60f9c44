// The `limbeck` program: collects the subcommands, reports every error in one line. Exit codes: 0
// done, 1 error, 2 wrong command line, 3 interrupted by a signal with a checkpoint written
// (run again to continue).
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include "apps/command.h"
#include "apps/report_text.h"
#include "apps/version.h"
#include "tensor/error.h"

namespace {

/// OpenMP's threads spin while they wait; with another process (or our own prefetch threads) on the
/// same cores that costs several times the work itself. The runtime reads its environment before
/// main(), so the program starts itself again with a short spin.
void shorten_spinning(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") || std::getenv("GOMP_SPINCOUNT")) return;
  setenv("GOMP_SPINCOUNT", "1000", 1);
  execv("/proc/self/exe", argv);  // returns only when it failed: then it runs as it is
}

/// What was printed must have arrived: on a full disk it has not, and nobody said so yet.
int flushed(int status) {
  if (std::fflush(stdout) == 0 && !std::ferror(stdout)) return status;
  std::fprintf(stderr, "limbeck: error: standard output: %s\n", std::strerror(errno));
  return status == 0 ? 1 : status;
}

}  // namespace

int main(int argc, char** argv) {
  shorten_spinning(argv);
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is an error of its write
  try {
    return flushed(limbeck::run_program(argc, argv, limbeck::version_text));
  } catch (const limbeck::ExitStatus& e) {
    return e.code;
  } catch (const limbeck::Error& e) {
    std::fprintf(stderr, "limbeck: error: %s\n", limbeck::report::printable(e.what()).c_str());
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "limbeck: error: out of memory\n");
  } catch (const std::exception& e) {
    std::fprintf(stderr, "limbeck: error: unexpected: %s\n",
                 limbeck::report::printable(e.what()).c_str());
  }
  return 1;
}
