#include "apps/console.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "tensor/error.h"

namespace limbeck {
namespace {

/// A terminal that understands carriage return and "erase to the end of the line".
bool is_terminal(std::FILE* out) {
  const char* term = std::getenv("TERM");
  return isatty(fileno(out)) && term && std::string(term) != "dumb";
}

size_t terminal_width(std::FILE* out) {
  winsize size{};
  if (ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 20) return size.ws_col;
  return 100;
}

double seconds_between(std::chrono::steady_clock::time_point a,
                       std::chrono::steady_clock::time_point b) {
  return std::chrono::duration<double>(b - a).count();
}

}  // namespace

std::string format_duration(double seconds) {
  char text[64];
  const auto s = static_cast<int64_t>(std::max(0.0, seconds) + 0.5);
  if (seconds < 9.95)
    std::snprintf(text, sizeof text, "%.1f s", std::max(0.0, seconds));
  else if (s < 60)
    std::snprintf(text, sizeof text, "%lld s", static_cast<long long>(s));
  else if (s < 3600)
    std::snprintf(text, sizeof text, "%lld min %02lld s", static_cast<long long>(s / 60),
                  static_cast<long long>(s % 60));
  else
    std::snprintf(text, sizeof text, "%lld h %02lld min", static_cast<long long>(s / 3600),
                  static_cast<long long>(s % 3600 / 60));
  return text;
}

std::string format_bytes(int64_t bytes) {
  const double mib = static_cast<double>(bytes) / (1 << 20);
  char text[32];
  std::snprintf(text, sizeof text,
                mib < 10     ? "%.1f MiB"
                : mib < 1024 ? "%.0f MiB"
                             : "%.1f GiB",
                mib < 1024 ? mib : mib / 1024);
  return text;
}

std::string format_number(double value) {
  char text[40];
  if (std::isnan(value)) return "-";
  if (value == static_cast<double>(static_cast<int64_t>(std::clamp(value, -1e15, 1e15))))
    std::snprintf(text, sizeof text, "%.0f", value);
  else
    std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

Console::Console(std::FILE* out, Mode mode) : out_(out), mode_(mode) {
  if (mode_ == Mode::automatic) mode_ = is_terminal(out) ? Mode::live : Mode::plain;
}

void Console::begin(int index, int count, const std::string& name, const std::string& title) {
  name_ = name;
  prefix_ = cat("[", index, "/", count, "] ", name);
  started_ = last_progress_ = Clock::now();
  last_shown_ = mode_ == Mode::live ? Clock::time_point{} : started_;
  first_done_ = -1, next_tenth_ = 1, items_ = 0, first_items_ = 0;
  // Titles may open with the stage's own name.
  const std::string rest = title.rfind(name + ": ", 0) == 0 ? title.substr(name.size() + 2) : title;
  if (mode_ == Mode::plain) line(cat(prefix_, ": ", rest));
}

std::string Console::status(int64_t done, int64_t total, const nn::Values& values) const {
  std::string text = cat(prefix_, "  ", done, "/", total);
  const double elapsed = seconds_between(started_, last_progress_);
  const int64_t steps = done - first_done_;
  if (total > 0) text += cat(" (", 100 * done / total, "%)");
  if (elapsed > 0.5 && steps > 0) {
    if (items_ > first_items_)
      text += cat("  ", format_number(static_cast<double>(items_ - first_items_) / elapsed),
                  " images/s");
    else
      text += cat("  ", format_number(static_cast<double>(steps) / elapsed), " steps/s");
    if (done < total)
      text += cat("  ETA ", format_duration(elapsed * static_cast<double>(total - done) /
                                            static_cast<double>(steps)));
  }
  for (const auto& [key, value] : values) text += cat("  ", key, " ", format_number(value));
  return text;
}

void Console::progress(int64_t done, int64_t total, int64_t rate_items, const nn::Values& values) {
  if (mode_ == Mode::quiet) return;
  const auto now = Clock::now();
  last_progress_ = now;
  items_ += rate_items;
  if (first_done_ < 0) {
    // What the first call reports was done before the clock started (a resumed stage), but for one
    // step.
    first_done_ = done, first_items_ = items_, started_ = now;
    next_tenth_ = total > 0 ? 10 * done / total + 1 : 1;
  }
  const double since = seconds_between(last_shown_, now);
  if (mode_ == Mode::live) {
    if (since < 0.1 && done < total) return;
    std::string text = status(done, total, values);
    const size_t width = terminal_width(out_) - 1;
    if (text.size() > width) text.resize(width);
    std::fprintf(out_, "\r%s\033[K", text.c_str());
    std::fflush(out_);
    live_line_ = true;
  } else {
    const bool tenth = total > 0 && 10 * done >= next_tenth_ * total && since >= 2;
    if (!tenth && since < 30) return;
    next_tenth_ = total > 0 ? 10 * done / total + 1 : 1;
    line(status(done, total, values));
  }
  last_shown_ = now;
}

void Console::clear_live() {
  if (live_line_) std::fputs("\r\033[K", out_);
  live_line_ = false;
}

void Console::line(const std::string& text) {
  if (mode_ == Mode::quiet) return;
  clear_live();
  std::fprintf(out_, "%s\n", text.c_str());
  std::fflush(out_);
}

void Console::note(const std::string& text) {
  clear_live();
  std::fprintf(out_, "%s: %s\n", name_.empty() ? "limbeck" : name_.c_str(), text.c_str());
  std::fflush(out_);
}

void Console::end(const std::string& text) {
  line(cat(prefix_, ": ", text));
  name_.clear();
}

}  // namespace limbeck
