// Console: what a person sees of a run. One live line per stage on a terminal; sparse plain lines
// in a pipe or a log file.
#pragma once
#include <chrono>
#include <cstdio>
#include <string>

#include "nn/monitor.h"

namespace limbeck {

class Console {
 public:
  enum class Mode {
    automatic,  ///< live on a terminal, plain otherwise
    live,
    plain,
    quiet,  ///< notes only
  };
  explicit Console(std::FILE* out = stdout, Mode mode = Mode::automatic);

  /// Opens stage `index` of `count` (1-based).
  void begin(int index, int count, const std::string& name, const std::string& title);
  /// Live: at most ten times a second. Plain: one line when a tenth of the stage is done, and at
  /// least every 30 s. The rate counts from this start of the program, so a resumed stage shows no
  /// fantasy.
  void progress(int64_t done, int64_t total, int64_t rate_items, const nn::Values& values);
  /// A permanent line, prefixed with the stage's name.
  void note(const std::string& text);
  /// A permanent line as it is.
  void line(const std::string& text);
  /// Closes the stage with its last line.
  void end(const std::string& text);

 private:
  using Clock = std::chrono::steady_clock;
  std::string status(int64_t done, int64_t total, const nn::Values& values) const;
  void clear_live();

  std::FILE* out_;
  Mode mode_;
  std::string name_, prefix_;
  Clock::time_point started_, last_shown_, last_progress_;
  int64_t first_done_ = -1, next_tenth_ = 1, items_ = 0, first_items_ = 0;
  bool live_line_ = false;
};

/// "42 s", "3 min 05 s", "2 h 07 min".
std::string format_duration(double seconds);
/// "1.2 GiB", "340 MiB", "0.4 MiB".
std::string format_bytes(int64_t bytes);
/// Four significant digits: "0.01234", "93.25", "1.2e-07"; "-" for no value (NaN).
std::string format_number(double value);

}  // namespace limbeck
