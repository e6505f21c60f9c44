#include "ops/profile.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string_view>
#include <vector>

namespace limbeck {
namespace {

struct Entry {
  double seconds = 0;
  int64_t calls = 0;
};

struct Profile {
  std::mutex mutex;
  std::map<std::string, Entry> entries;

  ~Profile() {
    std::vector<std::pair<std::string, Entry>> rows(entries.begin(), entries.end());
    std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.second.seconds > b.second.seconds; });
    double total = 0;
    for (const auto& [name, e] : rows) total += e.seconds;
    for (const auto& [name, e] : rows)
      std::fprintf(stderr, "%-36s %9.1f ms %5.1f %% %9lld calls\n", name.c_str(), e.seconds * 1e3, 100 * e.seconds / total, static_cast<long long>(e.calls));
  }
};

}  // namespace

bool ProfileScope::enabled() {
  static const bool on = [] {
    const char* v = std::getenv("LIMBECK_PROFILE");
    return v && std::string_view(v) == "1";
  }();
  return on;
}

void ProfileScope::finish() const {
  static Profile profile;
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  std::lock_guard lock(profile.mutex);
  Entry& e = profile.entries[op_ + (backward_ ? " backward" : "")];
  e.seconds += seconds;
  ++e.calls;
}

}  // namespace limbeck
