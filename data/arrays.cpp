#include "data/arrays.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "tensor/metadata.h"
#include "tensor/rows.h"

namespace limbeck::data {
namespace {

constexpr int64_t most_classes = 65536;

/// In this order; the images say which one a file has.
const std::vector<ArrayLayout>& known_layouts() {
  static const std::vector<ArrayLayout> layouts = {
      {"images_train", "labels_train", "images_test", "labels_test", ""},
      {"images_train", "labels_train", "images_valid", "labels_valid", ""},
      {"x_train", "y_train", "x_test", "y_test", ""},
      {"images", "labels", "", "", "indx_train"},
      {"fake_images", "fake_labels", "", "", ""}};
  return layouts;
}

/// The names of a file, for looking up and for errors.
struct Names {
  std::vector<std::string> list;
  bool has(const std::string& name) const {
    return std::find(list.begin(), list.end(), name) != list.end();
  }
  std::string text() const { return list.empty() ? "none" : joined(list); }
};

ArrayLayout given_layout(const ArraySettings& s) {
  return {s.train_images, s.train_labels, s.test_images, s.test_labels, s.train_index};
}

/// The best of the known layouts: one whose test part is there comes before one without.
ArrayLayout found_layout(const std::string& path, const Names& names) {
  const ArrayLayout* best = nullptr;
  for (const ArrayLayout& layout : known_layouts()) {
    if (!names.has(layout.train_images)) continue;
    if (!best || (!names.has(best->test_images) && names.has(layout.test_images))) best = &layout;
  }
  LIMBECK_CHECK(best, path,
                ": expected an array images_train, x_train, images or fake_images, found ",
                names.text());
  ArrayLayout layout = *best;
  if (!names.has(layout.test_images) && !names.has(layout.test_labels))
    layout.test_images.clear(), layout.test_labels.clear();
  if (!names.has(layout.train_index)) layout.train_index.clear();
  return layout;
}

std::string place_of(const ArrayFile& file, const std::string& array) {
  return file.path() + ": array " + array;
}

/// u8 [N, H, W, C] of whatever order the file has.
Tensor images_of(const ArrayFile& file, const std::string& name) {
  const Tensor t = file.read(name);
  const auto refuse = [&](const char* why) {
    fail(place_of(file, name), ": expected u8 images [N, C, H, W], [N, H, W, C] or [N, H, W] with ",
         "1 or 3 channels, found ", t.dtype(), t.shape(), why);
  };
  if (t.dtype() != DType::u8 || t.rank() < 3 || t.rank() > 4 || t.numel() == 0) refuse("");
  if (t.rank() == 3) return t.reshape({t.size(0), t.size(1), t.size(2), 1});
  const auto channels = [&](int dim) { return t.size(dim) == 1 || t.size(dim) == 3; };
  if (channels(1) == channels(3)) refuse(channels(1) ? " (either order would do)" : "");
  return channels(1) ? to_channels_last(t) : t;
}

struct RawLabels {
  std::string place;  ///< "file.h5: array labels_train"
  std::vector<double> values;
  bool integers = true;
  std::vector<int64_t> rows;  ///< of the array, when these are not all
  std::string place_of_row(size_t i) const {
    return cat(place, ": row ", rows.empty() ? static_cast<int64_t>(i) : rows[i]);
  }
};

RawLabels labels_of(const ArrayFile& file, const std::string& name, const Tensor& images) {
  const Tensor t = file.read(name);
  RawLabels labels{.place = place_of(file, name)};
  LIMBECK_CHECK(t.rank() == 1 || (t.rank() == 2 && t.size(1) == 1), labels.place,
                ": expected labels [N] or [N, 1], found ", t.dtype(), t.shape());
  LIMBECK_CHECK(t.size(0) == images.size(0), labels.place, ": expected ", images.size(0),
                " labels, as many as images, found ", t.size(0));
  labels.integers = !is_floating(t.dtype());
  for (int64_t i = 0; i < t.size(0); ++i) labels.values.push_back(t.at(i));
  return labels;
}

/// A part before it is known what its labels are.
struct Part {
  Tensor images;
  RawLabels labels;
};

Part read_part_of(const ArrayFile& file, const std::string& images, const std::string& labels) {
  Part part;
  part.images = images_of(file, images);
  part.labels = labels_of(file, labels, part.images);
  return part;
}

/// Some rows of a part.
Part rows_of(const Part& all, const std::vector<int64_t>& rows) {
  const RawLabels& labels = all.labels;
  Part part{take_rows(all.images, rows), {.place = labels.place, .integers = labels.integers}};
  for (const int64_t row : rows) {
    const auto i = static_cast<size_t>(row);
    part.labels.values.push_back(labels.values[i]);
    part.labels.rows.push_back(labels.rows.empty() ? row : labels.rows[i]);
  }
  return part;
}

/// Rows of the index train, the others test.
std::pair<Part, Part> split_by_index(const ArrayFile& file, const std::string& name,
                                     const Part& all) {
  const Tensor index = file.read(name);
  const std::string place = place_of(file, name);
  const int64_t n = all.images.size(0);
  LIMBECK_CHECK((index.rank() == 1 || (index.rank() == 2 && index.size(1) == 1)) &&
                    index.numel() > 0 && !is_floating(index.dtype()) &&
                    index.dtype() != DType::boolean,
                place, ": expected row numbers [n], found ", index.dtype(), index.shape());
  std::vector<bool> trains(static_cast<size_t>(n), false);
  std::vector<int64_t> train, test;
  for (int64_t i = 0; i < index.numel(); ++i) {
    const auto row = static_cast<int64_t>(index.at(i));
    LIMBECK_CHECK(row >= 0 && row < n && !trains[static_cast<size_t>(row)], place, ": row ", i,
                  ": expected a new number 0..", n - 1, ", found ", row);
    trains[static_cast<size_t>(row)] = true;
    train.push_back(row);
  }
  for (int64_t row = 0; row < n; ++row)
    if (!trains[static_cast<size_t>(row)]) test.push_back(row);
  return {rows_of(all, train), rows_of(all, test)};
}

/// Training and test part; the latter has no rows when the file has none.
std::pair<Part, Part> read_parts(const ArrayFile& file, const ArrayLayout& layout) {
  const Part train = read_part_of(file, layout.train_images, layout.train_labels);
  if (!layout.train_index.empty()) return split_by_index(file, layout.train_index, train);
  if (layout.test_images.empty()) return {train, rows_of(train, {})};
  const Part test = read_part_of(file, layout.test_images, layout.test_labels);
  const auto image_shape = [](const Part& p) {
    return Shape{p.images.size(1), p.images.size(2), p.images.size(3)};
  };
  LIMBECK_CHECK(image_shape(test) == image_shape(train), place_of(file, layout.test_images),
                ": expected images as in ", layout.train_images,
                ", [height, width, channels] = ", image_shape(train), ", found ",
                image_shape(test));
  return {train, test};
}

/// The classes of a part; `task.classes` 0: they are counted.
void take_classes(const RawLabels& labels, Dataset& d) {
  const int64_t limit = d.classes > 0 ? d.classes : most_classes;
  std::vector<int64_t> classes;
  for (size_t i = 0; i < labels.values.size(); ++i) {
    const double y = labels.values[i];
    LIMBECK_CHECK(y >= 0 && y < static_cast<double>(limit) && y == std::floor(y),
                  labels.place_of_row(i), ": label ", y, ", expected a class 0..", limit - 1);
    classes.push_back(static_cast<int64_t>(y));
  }
  if (d.classes == 0) d.classes = *std::max_element(classes.begin(), classes.end()) + 1;
  d.labels = Tensor::of(classes);
}

/// What the metadata say of the task; empty where they say nothing.
struct Described {
  TensorFile file;
  MetadataReader reader;
  explicit Described(const ArrayFile& f)
      : file{{}, f.metadata()}, reader(file, f.path(), "a data set") {}
  bool has(const char* key) const { return reader.has(key); }
};

Split classification(const Part& train, const Part& test, const Described& described) {
  Split split;
  if (described.has("classes"))
    split.train.classes = described.reader.integer("classes", 1, most_classes);
  take_classes(train.labels, split.train);
  if (described.has("class_names"))
    split.train.class_names =
        described.reader.lines("class_names", static_cast<size_t>(split.train.classes));
  split.test = split.train;
  take_classes(test.labels, split.test);
  split.train.images = train.images;
  split.test.images = test.images;
  return split;
}

/// What the file says of the scale, where the settings say nothing. It does not bound responses:
/// those of a test part may lie outside of the training responses.
ResponseSettings scale_settings(ResponseSettings s, const Described& described) {
  if (described.has("response_truncate"))
    s.truncate = s.truncate || described.reader.flag("response_truncate");
  if (s.scale_given() || !described.has("response_low")) return s;
  s.low = described.reader.number("response_low");
  s.high = described.reader.number("response_high");
  s.wraps = described.has("response_wraps") && described.reader.flag("response_wraps");
  if (s.unit.empty() && described.has("response_unit"))
    s.unit = described.reader.text("response_unit");
  LIMBECK_CHECK(s.low < s.high, described.reader.place("response_high"),
                ": expected a number above ", s.low, ", found ", s.high);
  return s;
}

/// What stays of a part.
Part cut(const Part& whole, const ResponseSettings& given, const std::string& section) {
  check_responses(whole.labels.values, given, section,
                  [&](size_t i) { return whole.labels.place_of_row(i); });
  return given.cuts() ? rows_of(whole, kept_rows(whole.labels.values, given)) : whole;
}

Split regression(const Part& whole_train, const Part& whole_test, const Described& described,
                 const ResponseSettings& given, const std::string& section) {
  Split split;
  const Part train = cut(whole_train, given, section), test = cut(whole_test, given, section);
  const ResponseScale scale = response_scale(train.labels.values, scale_settings(given, described),
                                             section, train.labels.place);
  const auto take = [&](const Part& p, Dataset& d) {
    d.targets = Tensor::of(std::vector<float>(p.labels.values.begin(), p.labels.values.end()));
    d.scale = scale;
    d.images = p.images;
  };
  take(train, split.train);
  take(test, split.test);
  return split;
}

bool holds_classes(const ArraySettings& s, const Described& d, bool integers) {
  if (!s.task.empty()) return s.task == "classification";
  if (d.has("classes") || d.has("response_low")) return d.has("classes");
  return integers;
}

}  // namespace

void check_array_settings(const ArraySettings& s, const std::string& section) {
  LIMBECK_CHECK(s.task.empty() || s.task == "regression" || s.task == "classification", section,
                ".task: expected regression, classification or nothing, found '", s.task, "'");
  check_response_settings(s.response, section);
  LIMBECK_CHECK(s.train_images.empty() == s.train_labels.empty(), section,
                ".train_images and train_labels: expected both or none");
  LIMBECK_CHECK(s.test_images.empty() == s.test_labels.empty(), section,
                ".test_images and test_labels: expected both or none");
  LIMBECK_CHECK(!s.train_images.empty() || (s.test_images.empty() && s.train_index.empty()),
                section,
                ".train_images: expected a name beside test_images or train_index, found none");
  LIMBECK_CHECK(s.test_images.empty() || s.train_index.empty(), section,
                ".train_index: expected no test_images beside it, whose rows the others are");
}

ArrayLayout layout_of(const ArrayFile& file, const ArraySettings& s, const std::string& section) {
  check_array_settings(s, section);
  const Names names{file.names()};
  const ArrayLayout layout =
      s.train_images.empty() ? found_layout(file.path(), names) : given_layout(s);
  for (const std::string* name : {&layout.train_images, &layout.train_labels, &layout.test_images,
                                  &layout.test_labels, &layout.train_index})
    LIMBECK_CHECK(name->empty() || names.has(*name), place_of(file, *name), " is missing; found ",
                  names.text());
  return layout;
}

Split read_arrays(const ArrayFile& file, const ArraySettings& s, const std::string& section,
                  bool integers_are_responses) {
  const auto [train, test] = read_parts(file, layout_of(file, s, section));
  const Described described(file);
  const bool classes =
      holds_classes(s, described, train.labels.integers && !integers_are_responses);
  LIMBECK_CHECK(!classes || !s.response.cuts(), file.path(), ": the labels are classes; ", section,
                ".response_from and response_to belong to responses");
  return classes ? classification(train, test, described)
                 : regression(train, test, described, s.response, section);
}

TensorFile tensors_of(const Split& split, bool fake) {
  const Dataset& d = split.train;
  LIMBECK_CHECK(!fake || split.test.size() == 0, "a fake set has no test part, found one of ",
                split.test.size(), " images");
  TensorFile file;
  const auto add = [&](const Dataset& part, const std::string& images, const std::string& labels) {
    file.add(images, to_channels_first(part.images));
    file.add(labels, d.classes > 0 ? part.labels : part.targets);
  };
  add(d, fake ? "fake_images" : "images_train", fake ? "fake_labels" : "labels_train");
  if (split.test.size() > 0) add(split.test, "images_test", "labels_test");
  if (d.classes > 0) {
    file.metadata["classes"] = cat(d.classes);
    if (!d.class_names.empty())
      file.metadata["class_names"] = metadata_lines(d.class_names, "class name");
    return file;
  }
  file.metadata["response_low"] = metadata_text(d.scale.low);
  file.metadata["response_high"] = metadata_text(d.scale.high);
  file.metadata["response_unit"] = d.scale.unit;
  file.metadata["response_wraps"] = d.scale.wraps ? "true" : "false";
  file.metadata["response_truncate"] = d.scale.truncates ? "true" : "false";
  return file;
}

}  // namespace limbeck::data
