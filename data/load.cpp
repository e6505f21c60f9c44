// load(): reads or renders a set, draws the labelled images, pads to the wanted size.
#include <algorithm>
#include <cstring>
#include <map>

#include "data/readers.h"
#include "data/shapes.h"

namespace limbeck::data {
namespace {

/// Black frame around each image; an odd rest goes to the bottom and right.
Tensor pad_images(const Tensor& images, int64_t size) {
  const int64_t n = images.size(0), h = images.size(1), w = images.size(2), c = images.size(3);
  const int64_t top = (size - h) / 2, left = (size - w) / 2;
  Tensor out = Tensor::zeros({n, size, size, c}, DType::u8);
  const uint8_t* in = images.data<uint8_t>();
  for (int64_t i = 0; i < n; ++i)
    for (int64_t y = 0; y < h; ++y)
      std::memcpy(out.data<uint8_t>() + ((i * size + top + y) * size + left) * c, in + (i * h + y) * w * c, static_cast<size_t>(w * c));
  return out;
}

/// The same number of images per class, or per distinct response: the first `per_class` of a random order of each group, so that
/// a larger draw with the same seed contains the smaller one. The rows keep the order of the file.
Dataset draw(const Dataset& d, int64_t per_class, const Stream& stream, const char* part) {
  if (per_class == 0) return d;
  std::map<double, std::vector<int64_t>> groups;
  for (int64_t k = 0; k < d.classes; ++k) groups[static_cast<double>(k)];
  for (int64_t i = 0; i < d.size(); ++i)
    groups[d.classes > 0 ? static_cast<double>(d.labels.data<int64_t>()[i]) : d.targets.data<float>()[i]].push_back(i);
  std::vector<int64_t> chosen;
  uint64_t group = 0;
  for (const auto& [label, rows] : groups) {
    const auto n = static_cast<int64_t>(rows.size());
    LIMBECK_CHECK(n >= per_class || d.classes == 0, "data.", part, "_per_class: expected ", per_class, " images of class ", label, ", found ", n);
    Stream order = stream.fork("class", group++);
    const std::vector<int64_t> shuffled = order.permutation(n);
    for (int64_t j = 0; j < std::min(n, per_class); ++j) chosen.push_back(rows[static_cast<size_t>(shuffled[static_cast<size_t>(j)])]);
  }
  std::sort(chosen.begin(), chosen.end());
  return d.select(chosen);
}

Split read(const DataSettings& s) {
  if (s.kind == "shapes") {
    LIMBECK_CHECK(s.shapes_train > 0 && s.shapes_test > 0, "data.shapes_train and data.shapes_test: expected at least 1, found ", s.shapes_train,
                  " and ", s.shapes_test);
    const Stream stream(static_cast<uint64_t>(s.seed));
    return {shapes(s.shapes_train, s.image_size, stream.fork("shapes/train").key(), 0, s.shapes_difficulty),
            shapes(s.shapes_test, s.image_size, stream.fork("shapes/test").key(), 0, s.shapes_difficulty)};
  }
  const std::vector<std::string> kinds = {"shapes", "cifar10", "cifar100", "idx", "folder"};
  if (std::find(kinds.begin(), kinds.end(), s.kind) == kinds.end()) {
    const std::string near = nearest_name(s.kind, kinds);
    fail("data.kind: expected shapes, cifar10, cifar100, idx or folder, found '", s.kind, "'", near.empty() ? "" : "; did you mean '" + near + "'?");
  }
  LIMBECK_CHECK(!s.path.empty(), "data.path: data of kind ", s.kind, " need the folder of their files");
  if (s.kind == "cifar10") return read_cifar10(s.path);
  if (s.kind == "cifar100") return read_cifar100(s.path);
  if (s.kind == "idx") return read_idx(s.path);
  return read_folder(s.path, s.label_column);
}

void fit_size(Dataset& d, const DataSettings& s) {
  LIMBECK_CHECK(d.height() <= s.image_size && d.width() <= s.image_size, s.path, ": images of ", d.height(), " x ", d.width(),
                " pixels are larger than data.image_size = ", s.image_size);
  if (d.height() != s.image_size || d.width() != s.image_size) d.images = pad_images(d.images, s.image_size);
}

}  // namespace

Split load(const DataSettings& s) {
  LIMBECK_CHECK(s.image_size > 0 && s.image_size <= 4096, "data.image_size: expected 1..4096, found ", s.image_size);
  LIMBECK_CHECK(s.train_per_class >= 0 && s.test_per_class >= 0, "data.train_per_class and data.test_per_class: expected 0 or more, found ",
                s.train_per_class, " and ", s.test_per_class);
  Split split = read(s);
  const Stream stream(static_cast<uint64_t>(s.seed));
  split.train = draw(split.train, s.train_per_class, stream.fork("draw/train"), "train");
  split.test = draw(split.test, s.test_per_class, stream.fork("draw/test"), "test");
  fit_size(split.train, s);
  fit_size(split.test, s);
  return split;
}

}  // namespace limbeck::data
