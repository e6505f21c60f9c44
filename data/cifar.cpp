// CIFAR-10 and CIFAR-100, binary version (A. Krizhevsky, "Learning Multiple Layers of Features from
// Tiny Images", 2009).
#include <algorithm>
#include <filesystem>

#include "data/readers.h"
#include "data/source.h"
#include "tensor/safetensors.h"

namespace limbeck::data {
namespace {

constexpr int64_t side = 32, plane = side * side, pixel_bytes = 3 * plane;
constexpr int64_t coarse_classes = 20;

/// data_batch_1.bin, data_batch_2.bin, ..., data_batch_10.bin in numerical order.
std::vector<std::string> training_batches(const std::string& folder) {
  LIMBECK_CHECK(std::filesystem::is_directory(folder), folder,
                ": expected a folder with CIFAR-10 binary files, found none");
  std::vector<std::pair<int, std::string>> found;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    int number = 0;
    char rest = 0;
    if (std::sscanf(name.c_str(), "data_batch_%d.bi%c", &number, &rest) == 2 &&
        name == cat("data_batch_", number, ".bin"))
      found.emplace_back(number, entry.path().string());
  }
  LIMBECK_CHECK(!found.empty(), folder,
                ": expected data_batch_1.bin (CIFAR-10 binary), found no data_batch_*.bin");
  std::sort(found.begin(), found.end());
  std::vector<std::string> files;
  for (auto& [number, file] : found) files.push_back(file);
  return files;
}

int64_t label_at(const std::string& file, int64_t record, const char* what, uint8_t value,
                 int64_t classes) {
  LIMBECK_CHECK(value < classes, file, ": record ", record, ": ", what, " ", int(value),
                ", expected 0..", classes - 1);
  return value;
}

void check_names(const std::string& file, const std::vector<std::string>& names, int64_t classes) {
  LIMBECK_CHECK(names.empty() || static_cast<int64_t>(names.size()) == classes, file, ": expected ",
                classes, " class names, found ", names.size());
}

}  // namespace

Dataset read_cifar_file(const std::string& file, int64_t classes, int label_bytes) {
  const std::string bytes = read_file(file);
  const int64_t record_bytes = label_bytes + pixel_bytes,
                total = static_cast<int64_t>(bytes.size());
  LIMBECK_CHECK(total > 0, file, ": expected records of ", record_bytes,
                " bytes, found an empty file");
  LIMBECK_CHECK(total % record_bytes == 0, file, ": record ", total / record_bytes, ": expected ",
                record_bytes, " bytes, found ", total % record_bytes, " (file of ", total,
                " bytes truncated, or with trailing bytes)");
  const int64_t n = total / record_bytes;
  Dataset d;
  d.classes = classes;
  d.images = Tensor::empty({n, side, side, 3}, DType::u8);
  d.labels = Tensor::empty({n}, DType::i64);
  uint8_t* out = d.images.data<uint8_t>();
  int64_t* labels = d.labels.data<int64_t>();
  for (int64_t i = 0; i < n; ++i) {
    const auto* record = reinterpret_cast<const uint8_t*>(bytes.data()) + i * record_bytes;
    if (label_bytes == 2) label_at(file, i, "coarse label", record[0], coarse_classes);
    labels[i] = label_at(file, i, "label", record[label_bytes - 1], classes);
    const uint8_t* planes = record + label_bytes;
    for (int64_t p = 0; p < plane; ++p)
      for (int64_t c = 0; c < 3; ++c) *out++ = planes[c * plane + p];
  }
  return d;
}

Split read_cifar10(const std::string& folder) {
  Split split;
  for (const std::string& file : training_batches(folder)) {
    Dataset part = read_cifar_file(file, 10, 1);
    split.train = split.train.size() > 0 ? concatenate(split.train, part) : part;
  }
  split.test = read_cifar_file(folder + "/test_batch.bin", 10, 1);
  split.train.class_names = split.test.class_names = optional_lines(folder + "/batches.meta.txt");
  check_names(folder + "/batches.meta.txt", split.train.class_names, 10);
  return split;
}

Split read_cifar100(const std::string& folder) {
  Split split{read_cifar_file(folder + "/train.bin", 100, 2),
              read_cifar_file(folder + "/test.bin", 100, 2)};
  split.train.class_names = split.test.class_names =
      optional_lines(folder + "/fine_label_names.txt");
  check_names(folder + "/fine_label_names.txt", split.train.class_names, 100);
  return split;
}

namespace {

const RegisterSource cifar10({.name = "cifar10",
                              .help = "CIFAR-10, binary version",
                              .files = "data_batch_*.bin and test_batch.bin",
                              .check =
                                  [](const AnySettings&, const DataSettings& common) {
                                    training_batches(common.path);
                                    check_readable(common.path + "/test_batch.bin");
                                  },
                              .load =
                                  [](const AnySettings&, const DataSettings& common) {
                                    return read_cifar10(common.path);
                                  },
                              .declares_classes = true});

const RegisterSource cifar100({.name = "cifar100",
                               .help = "CIFAR-100, binary version; the fine label is the class",
                               .files = "train.bin and test.bin",
                               .check =
                                   [](const AnySettings&, const DataSettings& common) {
                                     for (const char* part : {"train", "test"})
                                       check_readable(cat(common.path, "/", part, ".bin"));
                                   },
                               .load =
                                   [](const AnySettings&, const DataSettings& common) {
                                     return read_cifar100(common.path);
                                   },
                               .declares_classes = true});

}  // namespace

}  // namespace limbeck::data
