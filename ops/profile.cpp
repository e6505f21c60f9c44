#include "ops/profile.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string_view>

namespace limbeck {
namespace {

struct Profile {
  std::atomic<ProfileDetail> detail = ProfileDetail::off;
  bool print = false;  // at exit
  std::mutex mutex;
  std::map<std::string, ProfileRow> rows;

  Profile() {
    const char* v = std::getenv("LIMBECK_PROFILE");
    if (!v || !*v || std::string_view(v) == "0") return;
    LIMBECK_CHECK(std::string_view(v) == "1" || std::string_view(v) == "shapes",
                  "environment variable LIMBECK_PROFILE: expected 0, 1 or shapes, found '", v, "'");
    detail = std::string_view(v) == "1" ? ProfileDetail::operators : ProfileDetail::shapes;
    print = true;
  }

  std::vector<ProfileRow> sorted() const {
    std::vector<ProfileRow> result;
    for (const auto& [name, row] : rows) result.push_back(row);
    std::sort(result.begin(), result.end(),
              [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
    return result;
  }

  ~Profile() {
    if (!print) return;
    double total = 0;
    for (const auto& [name, row] : rows) total += row.seconds;
    for (const ProfileRow& r : sorted())
      std::fprintf(stderr, "%-36s %9.1f ms %5.1f %% %9lld calls\n", r.name.c_str(), r.seconds * 1e3,
                   100 * r.seconds / total, static_cast<long long>(r.calls));
  }
};

Profile& profile() {
  static Profile p;
  return p;
}

std::string name_of(const Op& op, bool backward, const std::vector<TensorSpec>& in,
                    const Attrs& attrs) {
  std::string name = op.name + (backward ? " backward" : "");
  if (profile().detail != ProfileDetail::shapes) return name;
  for (const TensorSpec& spec : in)
    if (spec.shape.numel() > 1) name += " " + to_string(spec.shape);
  const std::string settings = to_string(attrs);
  return name + (settings == to_string(Attrs{}) ? "" : " " + settings);
}

std::vector<TensorSpec> specs_of(const Tensors& in) {
  std::vector<TensorSpec> specs;
  for (const Tensor& t : in)
    if (t.defined()) specs.push_back({t.shape(), t.dtype()});
  return specs;
}

}  // namespace

void set_profile(ProfileDetail detail) {
  std::lock_guard lock(profile().mutex);
  profile().detail = detail;
  profile().rows.clear();
}

std::vector<ProfileRow> profile_rows() {
  std::lock_guard lock(profile().mutex);
  return profile().sorted();
}

bool ProfileScope::enabled() { return profile().detail != ProfileDetail::off; }

void ProfileScope::begin(const Op& op, const Tensors& in, const Attrs& attrs) {
  name_ = name_of(op, false, specs_of(in), attrs);
  if (op.flops) flops_ = op.flops(in, attrs);
  start_ = std::chrono::steady_clock::now();
}

void ProfileScope::begin(const Op& op, const std::vector<TensorSpec>& in,
                         const std::vector<bool>& wanted, const Attrs& attrs) {
  name_ = name_of(op, true, in, attrs);
  if (op.flops) {
    Tensors like;  // only their shapes matter
    for (const TensorSpec& spec : in) like.push_back(Tensor::empty(spec.shape, spec.dtype));
    flops_ =
        op.flops(like, attrs) *
        double(std::count(wanted.begin(),
                          wanted.begin() + std::min<int64_t>(2, int64_t(wanted.size())), true));
  }
  start_ = std::chrono::steady_clock::now();
}

void ProfileScope::finish() const {
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  std::lock_guard lock(profile().mutex);
  ProfileRow& row = profile().rows[name_];
  row.name = name_;
  row.seconds += seconds;
  row.flops += flops_;
  ++row.calls;
}

}  // namespace limbeck
