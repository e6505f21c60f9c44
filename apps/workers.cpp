#include "apps/workers.h"

#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <map>
#include <thread>

#include "apps/process.h"
#include "tensor/error.h"

namespace limbeck {
namespace {

/// Empty for an orderly end. SIGTERM that comes before the handler is installed ends a process by
/// itself.
std::string disorderly_end(int status, bool told_to_stop) {
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM && told_to_stop) return {};
  if (WIFSIGNALED(status)) return cat("was ended by signal ", WTERMSIG(status));
  const int code = WEXITSTATUS(status);
  return code == 0 || code == 1 || code == 3 ? std::string() : cat("ended with status ", code);
}

}  // namespace

std::vector<int> divide_threads(int threads, int count) {
  std::vector<int> shares;
  for (int i = 0; i < count; ++i)
    shares.push_back(std::max(1, threads / count + (i < threads % count)));
  return shares;
}

std::vector<std::string> run_workers(const std::vector<std::vector<std::string>>& argument_lists,
                                     const std::function<bool()>& stop_requested) {
  std::map<pid_t, size_t> running;
  for (size_t i = 0; i < argument_lists.size(); ++i) {
    std::vector<std::string> command{this_program()};
    command.insert(command.end(), argument_lists[i].begin(), argument_lists[i].end());
    running[start_process(command)] = i + 1;
  }
  std::vector<std::string> ends;
  bool told = false;
  while (!running.empty()) {
    if (!told && stop_requested()) {
      for (const auto& [process, number] : running) kill(process, SIGTERM);
      told = true;
    }
    for (auto it = running.begin(); it != running.end();) {
      int status = 0;
      if (waitpid(it->first, &status, WNOHANG) != it->first) {
        ++it;
        continue;
      }
      const std::string end = disorderly_end(status, told);
      if (!end.empty())
        ends.push_back(cat("process ", it->second, " of ", argument_lists.size(), " ", end));
      it = running.erase(it);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return ends;
}

}  // namespace limbeck
