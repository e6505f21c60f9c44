#include "apps/process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <poll.h>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>

#include "tensor/error.h"

namespace limbeck {
namespace {

/// execvp()'s argument list; points into `arguments`.
std::vector<char*> pointers_to(const std::vector<std::string>& arguments) {
  std::vector<char*> pointers;
  for (const auto& a : arguments) pointers.push_back(const_cast<char*>(a.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

pid_t fork_or_fail(const std::string& program) {
  const pid_t child = fork();
  LIMBECK_CHECK(child >= 0, program, ": cannot be started: ", std::strerror(errno));
  return child;
}

/// Reads both ends until they are closed.
void drain(const std::array<int, 2>& ends, const std::array<std::string*, 2>& texts) {
  std::array<pollfd, 2> polled{pollfd{ends[0], POLLIN, 0}, pollfd{ends[1], POLLIN, 0}};
  for (int open_ends = 2; open_ends > 0;) {
    if (poll(polled.data(), 2, -1) < 0 && errno != EINTR) return;
    for (size_t i = 0; i < 2; ++i) {
      if (polled[i].fd < 0 || polled[i].revents == 0) continue;
      char buffer[4096];
      const ssize_t n = read(polled[i].fd, buffer, sizeof buffer);
      if (n > 0)
        texts[i]->append(buffer, static_cast<size_t>(n));
      else if (n == 0 || errno != EINTR)
        polled[i].fd = -1, --open_ends;
    }
  }
}

}  // namespace

std::string this_program() { return std::filesystem::read_symlink("/proc/self/exe").string(); }

pid_t start_process(const std::vector<std::string>& arguments) {
  const auto pointers = pointers_to(arguments);
  const pid_t parent = getpid();
  const pid_t child = fork_or_fail(arguments[0]);
  if (child > 0) return child;
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() == parent) execvp(pointers[0], pointers.data());
  _exit(127);
}

ProcessOutput run_process(const std::vector<std::string>& arguments) {
  const auto pointers = pointers_to(arguments);
  int out[2], error[2];
  LIMBECK_CHECK(pipe2(out, O_CLOEXEC) == 0 && pipe2(error, O_CLOEXEC) == 0, arguments[0],
                ": no pipe: ", std::strerror(errno));
  const pid_t child = fork_or_fail(arguments[0]);
  if (child == 0) {
    const int null = open("/dev/null", O_RDONLY);
    dup2(null, 0), dup2(out[1], 1), dup2(error[1], 2);
    execvp(pointers[0], pointers.data());
    _exit(127);
  }
  close(out[1]), close(error[1]);
  ProcessOutput result;
  drain({out[0], error[0]}, {&result.out, &result.error});
  close(out[0]), close(error[0]);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
  result.status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  result.error = result.error.substr(0, result.error.find('\n'));
  return result;
}

std::vector<std::string> split_words(const std::string& text, const std::string& option) {
  std::vector<std::string> words;
  bool in_word = false;
  char quote = 0;
  for (const char c : text) {
    if (quote) {
      if (c == quote)
        quote = 0;
      else
        words.back() += c;
      continue;
    }
    if (c == ' ' || c == '\t' || c == '\n') {
      in_word = false;
      continue;
    }
    if (!in_word) words.emplace_back();
    in_word = true;
    if (c == '\'' || c == '"')
      quote = c;
    else
      words.back() += c;
  }
  LIMBECK_CHECK(!quote, option, ": a quote is not closed in '", text, "'");
  return words;
}

std::string shell_quoted(const std::string& word) {
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

}  // namespace limbeck
