#include "apps/signals.h"

#include <csignal>

namespace limbeck {
namespace {

volatile std::sig_atomic_t stop = 0;

void handle(int) { stop = 1; }

constexpr int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};

void install(int signal, void (*handler)(int)) {
  struct sigaction before {};
  sigaction(signal, nullptr, &before);
  if (signal == SIGHUP && before.sa_handler == SIG_IGN) return;  // nohup
  struct sigaction action {};
  action.sa_handler = handler;
  // One shot: the second signal finds the default action and ends the process. System calls are
  // restarted.
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
  sigaction(signal, &action, nullptr);
}

}  // namespace

StopSignals::StopSignals() {
  stop = 0;
  for (const int signal : signals) install(signal, handle);
}

StopSignals::~StopSignals() {
  for (const int signal : signals) install(signal, SIG_DFL);
}

bool StopSignals::requested() { return stop != 0; }

}  // namespace limbeck
