#include "data/classes.h"

#include <algorithm>

#include "data/table.h"

namespace limbeck::data {
namespace {

/// Fewer training images of a class than this are said; so is a class with less than a twentieth
/// of the largest one.
constexpr int64_t few_images = 10;
/// Classes that are listed one by one.
constexpr size_t most_listed = 20;

std::string class_name(const Dataset& d, int64_t k) {
  return d.class_names.empty() ? cat(k) : d.class_names[static_cast<size_t>(k)];
}

std::vector<int64_t> empty_classes(const Dataset& d) {
  std::vector<int64_t> empty;
  const std::vector<int64_t> count = d.histogram();
  for (size_t k = 0; k < count.size(); ++k)
    if (count[k] == 0) empty.push_back(static_cast<int64_t>(k));
  return empty;
}

/// "3, 5, 7 and 12 others".
std::string listed(const Dataset& d, const std::vector<int64_t>& classes) {
  std::string text;
  const size_t shown = std::min<size_t>(classes.size(), 5);
  for (size_t i = 0; i < shown; ++i) text += (i ? ", " : "") + class_name(d, classes[i]);
  if (classes.size() > shown) text += cat(" and ", classes.size() - shown, " others");
  return text;
}

std::string class_counts(const Dataset& d) {
  const std::vector<int64_t> count = d.histogram();
  std::string text = cat(d.classes, d.classes == 1 ? " class" : " classes");
  if (count.size() <= most_listed) {
    for (size_t k = 0; k < count.size(); ++k)
      text += cat(k ? ", " : ": ", class_name(d, static_cast<int64_t>(k)), " ", count[k]);
    return text;
  }
  const auto [least, most] = std::minmax_element(count.begin(), count.end());
  if (*least == *most) return text + cat(" of ", *least, " each");
  return text + cat(" of ", *least, " (", class_name(d, least - count.begin()), ") to ", *most,
                    " (", class_name(d, most - count.begin()), ")");
}

std::string response_range(const Dataset& d) {
  const auto responses = d.targets.span<float>();
  const auto [low, high] = std::minmax_element(responses.begin(), responses.end());
  return cat("responses ", *low, " to ", *high, d.scale.unit.empty() ? "" : " ", d.scale.unit);
}

/// The class counts that a person should see; `empty` are said apart.
std::string few_line(const Dataset& train) {
  const std::vector<int64_t> count = train.histogram();
  const int64_t most = *std::max_element(count.begin(), count.end());
  std::vector<int64_t> few;
  for (size_t k = 0; k < count.size(); ++k)
    if (count[k] > 0 && (count[k] < few_images || 20 * count[k] < most))
      few.push_back(static_cast<int64_t>(k));
  if (few.empty()) return "";
  std::sort(few.begin(), few.end(), [&](int64_t a, int64_t b) {
    return std::pair(count[static_cast<size_t>(a)], a) <
           std::pair(count[static_cast<size_t>(b)], b);
  });
  return cat(few.size(), few.size() == 1 ? " class has" : " classes have",
             " few training images, from ", count[static_cast<size_t>(few[0])],
             " on: ", listed(train, few));
}

std::string plural(size_t n) { return n == 1 ? "class " : "classes "; }

}  // namespace

void check_class_names(const Dataset& d, const std::string& origin) {
  for (size_t k = 0; k < d.class_names.size(); ++k) {
    const std::string& name = d.class_names[k];
    LIMBECK_CHECK(is_utf8(name) && name.find('\n') == std::string::npos, origin, ": class ", k,
                  ": expected a name of one line in UTF-8, found ", name.size(), " other bytes");
  }
}

void check_classes(const Split& split, const std::string& origin) {
  const Dataset& d = split.train;
  if (d.classes == 0) return;
  const std::vector<int64_t> empty = empty_classes(d);
  if (empty.empty()) return;
  const auto there = d.classes - static_cast<int64_t>(empty.size());
  const bool one_based = empty.size() == 1 && empty[0] == 0 && d.class_names.empty();
  fail(origin, ": no training image of ", plural(empty.size()), listed(d, empty), " of 0..",
       d.classes - 1, one_based ? " (the labels begin with 1)" : "",
       "; data.compact_labels = true numbers the ", there, " classes that there are from 0 on");
}

void compact_classes(Split& split, const std::string& origin) {
  Dataset& train = split.train;
  if (train.classes == 0) return;
  const std::vector<int64_t> count = train.histogram();
  std::vector<int64_t> number(count.size(), -1);
  std::vector<std::string> names;
  for (size_t k = 0; k < count.size(); ++k)
    if (count[k] > 0) {
      number[k] = static_cast<int64_t>(names.size());
      names.push_back(class_name(train, static_cast<int64_t>(k)));
    }
  if (names.size() == count.size()) return;
  for (Dataset* d : {&split.train, &split.test}) {
    Tensor labels = d->labels.clone();
    for (int64_t i = 0; i < labels.numel(); ++i) {
      int64_t& label = labels.data<int64_t>()[i];
      const int64_t now = label < train.classes ? number[static_cast<size_t>(label)] : -1;
      LIMBECK_CHECK(now >= 0, origin, ": test image ", i, ": class ", label,
                    ", of which there is no training image");
      label = now;
    }
    d->labels = labels;
  }
  for (Dataset* d : {&split.train, &split.test})
    d->classes = static_cast<int64_t>(names.size()), d->class_names = names;
}

std::vector<std::string> summary_of(const Split& split) {
  std::vector<std::string> lines;
  for (const auto& [part, d] : {std::pair{"training", &split.train}, {"test", &split.test}}) {
    if (d->size() == 0) {
      lines.push_back(cat(part, " images: none"));
      continue;
    }
    lines.push_back(cat(part, " images: ", d->size(), ", ",
                        d->classes > 0 ? class_counts(*d) : response_range(*d)));
  }
  return lines;
}

std::vector<std::string> warnings_of(const DataSettings& s, const Split& split) {
  const DataSource& source = find_source(s.kind);
  std::vector<std::string> lines;
  if (source.notes) lines = source.notes(s.sources.at(s.kind), s);
  if (split.train.classes > 0 && split.train.size() > 0) {
    const std::vector<int64_t> empty = empty_classes(split.train);
    if (!empty.empty())
      lines.push_back(
          cat("no training image of ", plural(empty.size()), listed(split.train, empty)));
    if (const std::string few = few_line(split.train); !few.empty()) lines.push_back(few);
    if (split.test.size() > 0)
      if (const auto untested = empty_classes(split.test); !untested.empty())
        lines.push_back(
            cat("no test image of ", plural(untested.size()), listed(split.test, untested)));
  }
  if (split.test.size() == 0) lines.push_back("no test images: nothing is measured on such");
  return lines;
}

}  // namespace limbeck::data
