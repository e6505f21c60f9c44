// load(): asks the source for a set, resizes, draws the labelled images, pads to the wanted size.
#include <algorithm>
#include <map>

#include "data/classes.h"
#include "data/resize.h"
#include "data/source.h"

namespace limbeck::data {
namespace {

/// The same number of images per class, or per distinct response: the first `per_class` of a random
/// order of each group, so that a larger draw with the same seed contains the smaller one. The rows
/// keep the order of the file.
Dataset draw(const Dataset& d, int64_t per_class, const Stream& stream, const char* part) {
  if (per_class == 0) return d;
  std::map<double, std::vector<int64_t>> groups;
  for (int64_t k = 0; k < d.classes; ++k) groups[static_cast<double>(k)];
  for (int64_t i = 0; i < d.size(); ++i)
    groups[d.classes > 0 ? static_cast<double>(d.labels.data<int64_t>()[i])
                         : d.targets.data<float>()[i]]
        .push_back(i);
  std::vector<int64_t> chosen;
  uint64_t group = 0;
  for (const auto& [label, rows] : groups) {
    const auto n = static_cast<int64_t>(rows.size());
    LIMBECK_CHECK(n >= per_class || d.classes == 0, "data.", part, "_per_class: expected ",
                  per_class, " images of class ", label, ", found ", n);
    Stream order = stream.fork("class", group++);
    const std::vector<int64_t> shuffled = order.permutation(n);
    for (int64_t j = 0; j < std::min(n, per_class); ++j)
      chosen.push_back(rows[static_cast<size_t>(shuffled[static_cast<size_t>(j)])]);
  }
  std::sort(chosen.begin(), chosen.end());
  return d.select(chosen);
}

void fit_size(Dataset& d, const DataSettings& s) {
  LIMBECK_CHECK(d.height() <= s.image_size && d.width() <= s.image_size,
                s.path.empty() ? s.kind : s.path, ": images of ", d.height(), " x ", d.width(),
                " pixels are larger than data.image_size = ", s.image_size,
                "; data.resize scales them");
  if (d.height() != s.image_size || d.width() != s.image_size)
    d.images = pad_images(d.images, s.image_size);
}

}  // namespace

Split load_whole(const DataSettings& s) {
  check(s);
  Split split = find_source(s.kind).load(s.sources.at(s.kind), s);
  for (const Dataset* d : {&split.train, &split.test})
    LIMBECK_CHECK(d->images.defined() && (d->classes > 0 ? d->labels : d->targets).defined(),
                  "data source ", s.kind, ": a part without images or labels");
  const std::string origin = s.path.empty() ? s.kind : s.path;
  check_class_names(split.train, origin);
  if (s.compact_labels)
    compact_classes(split, origin);
  else if (!find_source(s.kind).declares_classes)
    check_classes(split, origin);
  if (const Resize how = parse_resize(s.resize); how != Resize::none)
    for (Dataset* d : {&split.train, &split.test})
      if (d->height() != s.image_size || d->width() != s.image_size)
        d->images = resize_images(d->images, s.image_size, how);
  return split;
}

Split load(const DataSettings& s) {
  Split split = load_whole(s);
  const Stream stream(static_cast<uint64_t>(s.seed));
  split.train = draw(split.train, s.train_per_class, stream.fork("draw/train"), "train");
  split.test = draw(split.test, s.test_per_class, stream.fork("draw/test"), "test");
  fit_size(split.train, s);
  fit_size(split.test, s);
  return split;
}

}  // namespace limbeck::data
