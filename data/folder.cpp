// The source `folder`: images with labels.csv, or in folders of classes (format: readers.h).
#include <algorithm>
#include <cstring>
#include <filesystem>

#include "data/image_file.h"
#include "data/labels.h"
#include "data/readers.h"
#include "data/source.h"

namespace limbeck::data {
namespace {

void check_folder_settings(const FolderSettings& s) {
  check_response_settings(s.response, "data.folder");
  LIMBECK_CHECK(s.task.empty() || s.task == "regression" || s.task == "classification",
                "data.folder.task: expected regression, classification or nothing, found '", s.task,
                "'");
  LIMBECK_CHECK(s.channels == 0 || s.channels == 1 || s.channels == 3,
                "data.folder.channels: expected 1 (grey), 3 (colours) or 0 (as the files), found ",
                s.channels);
  LIMBECK_CHECK(s.bits == 0 || (s.bits > 8 && s.bits <= 16),
                "data.folder.bits: expected 9..16, or 0, found ", s.bits);
}

Labels read_labels(const std::string& folder, const FolderSettings& s, int64_t seed) {
  check_folder_settings(s);
  return has_label_table(folder) ? read_label_table(folder, s, seed)
                                 : read_class_folders(folder, s, seed);
}

/// Why a file may be missing, as people write paths.
std::string missing_hint(const std::string& file) {
  if (file.find('\\') != std::string::npos) return "; paths are written with / here";
  if (std::filesystem::path(file).has_extension()) return "";
  for (const char* ending : {".png", ".jpg", ".jpeg", ".bmp", ".JPG"})
    if (std::filesystem::exists(file + ending)) return cat("; ", file, ending, " is there");
  return "";
}

void check_files(const Labels& l) {
  std::error_code error;
  for (size_t i = 0; i < l.files.size(); ++i)
    LIMBECK_CHECK(std::filesystem::exists(l.files[i], error), l.place(i), l.files[i],
                  ": no such file", missing_hint(l.files[i]));
}

/// Files that labels.csv names by an absolute path, or by one that leaves the folder.
std::vector<std::string> files_elsewhere(const Labels& l, const std::string& folder) {
  std::vector<std::string> files = l.files;
  std::erase_if(files, [&](const std::string& file) {
    if (!file.starts_with(folder + "/")) return false;
    const std::filesystem::path inside = file.substr(folder.size() + 1);
    return std::find(inside.begin(), inside.end(), "..") == inside.end();
  });
  return files;
}

/// Why an image does not fit to the first one, and what would help.
std::string unequal(const Tensor& image, const Tensor& first) {
  const char* help = image.size(2) != first.size(2)
                         ? "; data.folder.channels = 3 (or 1) brings them to one kind"
                         : "; data.resize brings them to one size";
  return cat(": expected an image of [height, width, channels] = ", first.shape(),
             " as the first one, found ", image.shape(), help);
}

struct ImageSizes {
  ImageReading reading;
  Resize resize = Resize::none;
  int64_t size = 0;
  DecodedImage read(const std::string& file) const {
    DecodedImage image = read_image_file(file, reading);
    if (resize != Resize::none) image.pixels = resize_image(image.pixels, size, resize);
    return image;
  }
};

/// Decodes all files, in parallel; the error of the first bad one is reported whatever the thread
/// count. `largest`: the largest sample of more than 8 bits.
Tensor read_images(const Labels& l, const ImageSizes& sizes, int64_t& largest) {
  const auto n = static_cast<int64_t>(l.files.size());
  const Tensor first = [&] {
    try {
      return sizes.read(l.files[0]).pixels;
    } catch (const Error& e) {
      fail(l.place(0), e.what());
    }
  }();
  Tensor images = Tensor::empty({n, first.size(0), first.size(1), first.size(2)}, DType::u8);
  std::vector<std::string> errors(l.files.size());
  int64_t most = 0;
#pragma omp parallel for schedule(dynamic, 16) reduction(max : most)
  for (int64_t i = 0; i < n; ++i) {
    const auto row = static_cast<size_t>(i);
    try {
      const DecodedImage image = sizes.read(l.files[row]);
      LIMBECK_CHECK(image.pixels.shape() == first.shape(), l.files[row],
                    unequal(image.pixels, first));
      std::memcpy(images.data<uint8_t>() + i * first.numel(), image.pixels.data<uint8_t>(),
                  static_cast<size_t>(first.numel()));
      most = std::max(most, image.largest);
    } catch (const std::exception& e) {
      errors[row] = e.what();
    }
  }
  for (size_t i = 0; i < errors.size(); ++i)
    LIMBECK_CHECK(errors[i].empty(), l.place(i), errors[i]);
  largest = most;
  return images;
}

}  // namespace

Split read_folder(const std::string& folder, const FolderSettings& s, const FolderReading& how) {
  const Labels l = read_labels(folder, s, how.seed);
  const ImageSizes sizes{
      {.channels = s.channels, .max_pixels = how.max_pixels, .bits = s.bits == 0 ? 16 : s.bits},
      how.resize,
      how.size};
  Dataset all = l.task;
  int64_t largest = 0;
  all.images = read_images(l, sizes, largest);
  LIMBECK_CHECK(s.bits != 0 || largest == 0 || largest > 4095, l.origin,
                ": images of 16 bits with no sample above ", largest,
                ": expected up to 65535; data.folder.bits = 12 makes 4095 white (16: they are that "
                "dark)");
  std::vector<int64_t> train, test;
  for (size_t i = 0; i < l.is_test.size(); ++i)
    (l.is_test[i] ? test : train).push_back(static_cast<int64_t>(i));
  return {all.select(train), all.select(test)};
}

namespace {

const RegisterSource source_of_folder(
    {.name = "folder",
     .help = "image files named by labels.csv with classes or responses, or in folders of classes",
     .files = "labels.csv and the images it names, or images in train/CLASS/ and test/CLASS/",
     .settings = FolderSettings{},
     .check =
         [](const AnySettings& own, const DataSettings& common) {
           check_files(read_labels(common.path, own.as<FolderSettings>(), common.seed));
         },
     .load =
         [](const AnySettings& own, const DataSettings& common) {
           return read_folder(common.path, own.as<FolderSettings>(),
                              {.resize = parse_resize(common.resize),
                               .size = common.image_size,
                               .max_pixels = common.max_pixels,
                               .seed = common.seed});
         },
     .notes =
         [](const AnySettings& own, const DataSettings& common) {
           return read_labels(common.path, own.as<FolderSettings>(), common.seed).notes;
         },
     .elsewhere =
         [](const AnySettings& own, const DataSettings& common) {
           return files_elsewhere(read_labels(common.path, own.as<FolderSettings>(), common.seed),
                                  common.path);
         }});

}  // namespace

}  // namespace limbeck::data
