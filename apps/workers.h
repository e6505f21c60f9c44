// --jobs: several processes of this program on one run folder.
#pragma once
#include <functional>
#include <string>
#include <vector>

namespace limbeck {

/// How many threads each of `count` processes gets of `threads` (at least one).
std::vector<int> divide_threads(int threads, int count);

/// Runs this program once with each of the argument lists, all at a time, until all have ended. The
/// first time that `stop_requested` says so, all get SIGTERM. Returns what went wrong with
/// processes that ended otherwise than with the exit codes 0, 1 (a stage failed) and 3
/// (interrupted): "process 2 of 3 was ended by signal 9".
std::vector<std::string> run_workers(const std::vector<std::vector<std::string>>& argument_lists,
                                     const std::function<bool()>& stop_requested);

}  // namespace limbeck
