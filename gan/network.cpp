#include "gan/network.h"

#include <algorithm>
#include <cctype>

namespace limbeck::gan {
namespace {

std::vector<GanEntry>& entries() {
  static std::vector<GanEntry> all;
  return all;
}

std::vector<std::string> names_that(const std::function<bool(const GanEntry&)>& fit) {
  std::vector<std::string> names;
  for (const GanEntry& e : entries())
    if (fit(e)) names.push_back(e.name);
  std::sort(names.begin(), names.end());  // static objects register in no particular order
  return names;
}

const GanEntry& entry_of(const std::string& name) {
  for (const GanEntry& e : entries())
    if (e.name == name) return e;
  fail("unknown GAN architecture '", name, "'",
       did_you_mean(name, gan_names(), "; known: " + joined(gan_names())));
}

}  // namespace

Condition Condition::rows(int64_t begin, int64_t end) const {
  return {classes ? classes.rows(begin, end) : Tensor(),
          embedding ? Variable(embedding.data().rows(begin, end)) : Variable()};
}

Condition Condition::to(Device device) const {
  return {classes ? classes.to(device) : Tensor(),
          embedding ? Variable(embedding.data().to(device)) : Variable()};
}

std::vector<int64_t> parse_resolutions(const std::string& text, const std::string& what) {
  std::vector<int64_t> all;
  if (text == "0") return all;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('_', begin), text.size());
    const std::string part = text.substr(begin, end - begin);
    const bool is_number =
        !part.empty() && part.size() <= 4 &&
        std::all_of(part.begin(), part.end(), [](unsigned char c) { return std::isdigit(c); });
    LIMBECK_CHECK(is_number && std::stoll(part) > 0 && end + 1 != text.size(), what,
                  ": expected resolutions joined by '_', as 32_64, found '", text, "'");
    all.push_back(std::stoll(part));
    begin = end + 1;
  }
  return all;
}

std::string to_text(const std::vector<int64_t>& resolutions) {
  std::string text;
  for (int64_t r : resolutions) text += (text.empty() ? "" : "_") + std::to_string(r);
  return text.empty() ? "0" : text;
}

RegisterGan::RegisterGan(GanEntry entry) { entries().push_back(std::move(entry)); }

std::vector<std::string> gan_names() {
  return names_that([](const GanEntry& e) { return static_cast<bool>(e.discriminator); });
}
std::vector<std::string> data_free_generator_names(bool of_responses) {
  return names_that([of_responses](const GanEntry& e) {
    return !e.discriminator && (e.condition == ConditionKind::response) == of_responses;
  });
}

ConditionKind condition_kind(const std::string& arch) { return entry_of(arch).condition; }

void check_condition_kind(const std::string& arch, bool classes) {
  const auto fits = [&](const std::string& name) {
    return (condition_kind(name) == ConditionKind::classes) == classes;
  };
  if (fits(arch)) return;
  std::vector<std::string> fit;
  for (const std::string& n : gan_names())
    if (fits(n)) fit.push_back(n);
  fail("gan.arch: ", arch, " is conditioned on ",
       classes ? "responses, the task is classification" : "classes, the task is regression",
       "; expected one of ", joined(fit));
}

std::unique_ptr<Generator> create_generator(const NetworkConfig& config) {
  return entry_of(config.arch).generator(config);
}
std::unique_ptr<Discriminator> create_discriminator(const NetworkConfig& config) {
  const GanEntry& entry = entry_of(config.arch);
  LIMBECK_CHECK(entry.discriminator, config.arch, ": a generator without a discriminator");
  return entry.discriminator(config);
}

void check_sizes(const char* what, const NetworkConfig& c) {
  LIMBECK_CHECK(c.ch >= 1 && c.dim_z >= 1 && c.classes >= 1 && c.channels >= 1 && c.depth >= 1 &&
                    c.label_dim >= 1 && c.shared_dim >= 0,
                what,
                ": ch, dim_z, classes, channels, depth and label_dim must be positive and "
                "shared_dim not negative, found ",
                c.ch, ", ", c.dim_z, ", ", c.classes, ", ", c.channels, ", ", c.depth, ", ",
                c.label_dim, ", ", c.shared_dim);
}

void check_input(const char* what, const Variable& x, const Shape& expected) {
  LIMBECK_CHECK(x.shape() == expected, what, ": expected ", expected, ", found ", x.shape());
}

void check_labels(const char* what, const Condition& c, int64_t batch) {
  if (c.classes)
    LIMBECK_CHECK(c.classes.shape() == Shape({batch}), what, ": expected labels [", batch,
                  "], found ", c.classes.shape());
}

}  // namespace limbeck::gan
