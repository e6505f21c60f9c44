// Other programs as child processes: this program again, and those of Slurm.
#pragma once
#include <sys/types.h>

#include <string>
#include <vector>

namespace limbeck {

/// The path of the running program.
std::string this_program();

/// Starts a program (looked up in PATH unless it has a slash) that shares stdout and stderr, in a
/// process group of its own, so that a terminal's Ctrl-C reaches this process only; it gets SIGTERM
/// when this process dies. Returns its process id; a program that cannot be started ends with
/// status 127.
pid_t start_process(const std::vector<std::string>& arguments);

struct ProcessOutput {
  int status =
      0;  ///< exit code; 127 when it could not be started; 128 + signal when a signal ended it
  std::string out, error;  ///< what it wrote to stdout, and the first line of stderr
};
/// Runs a program to its end with no input.
ProcessOutput run_process(const std::vector<std::string>& arguments);

/// Words as a shell splits them: separated by blanks, kept together by '...' and "...". Throws
/// Error naming `option` for an open quote.
std::vector<std::string> split_words(const std::string& text, const std::string& option);
/// The word as a POSIX shell reads it back.
std::string shell_quoted(const std::string& word);

}  // namespace limbeck
