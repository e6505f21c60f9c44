#include "apps/predict_input.h"

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "data/table.h"

namespace limbeck::predict_app {
namespace {

namespace fs = std::filesystem;

class ArrayInput : public Input {
 public:
  ArrayInput(const std::string& path, const kd::SavedNetwork& saved)
      : saved_(saved), array_(read_npy(path)) {
    const nn::ModelOptions& o = saved.options;
    LIMBECK_CHECK(array_.rank() == 4 && array_.size(0) > 0 && array_.size(1) == o.channels &&
                      array_.size(2) == o.size && array_.size(3) == o.size,
                  path, ": ", saved.name, " expects images [N, ", o.channels, ", ", o.size, ", ",
                  o.size, "], found ", array_.shape());
    LIMBECK_CHECK(array_.dtype() == DType::u8 || is_floating(array_.dtype()), path,
                  ": expected u8, f32 or f64, found ", name_of(array_.dtype()));
  }
  int64_t size() const override { return array_.size(0); }
  std::string name(int64_t i) const override { return std::to_string(i); }
  Tensor images(int64_t begin, int64_t end) const override {
    const Tensor images = to_channels_last(array_.rows(begin, end).to(DType::f32));
    return array_.dtype() == DType::u8 ? standardised(images, saved_.standardisation) : images;
  }

  /// Bytes as f32 -> what the network was trained on.
  static Tensor standardised(const Tensor& images, const data::Standardisation& s) {
    Tensor out = images.clone();
    float* p = out.data<float>();
    const int64_t channels = images.size(3);
    for (int64_t i = 0; i < out.numel(); ++i) {
      const auto c = static_cast<size_t>(i % channels);
      p[i] = static_cast<float>((p[i] / 255.0 - s.mean[c]) / s.deviation[c]);
    }
    return out;
  }

 private:
  const kd::SavedNetwork& saved_;
  const Tensor array_;
};

class ImageInput : public Input {
 public:
  ImageInput(std::vector<std::string> files, const ImageOptions& options,
             const kd::SavedNetwork& saved)
      : saved_(saved), files_(std::move(files)), options_(options) {}
  int64_t size() const override { return static_cast<int64_t>(files_.size()); }
  std::string name(int64_t i) const override { return files_[static_cast<size_t>(i)]; }

  Tensor images(int64_t begin, int64_t end) const override {
    const int64_t side = saved_.options.size, channels = saved_.options.channels;
    Tensor bytes = Tensor::empty({end - begin, side, side, channels}, DType::u8);
    std::vector<std::string> errors(static_cast<size_t>(end - begin));
#pragma omp parallel for schedule(dynamic)
    for (int64_t i = begin; i < end; ++i) {
      try {
        bytes.rows(i - begin, i - begin + 1).copy_from(image(files_[static_cast<size_t>(i)]));
      } catch (const std::exception& e) {
        errors[static_cast<size_t>(i - begin)] = e.what();
      }
    }
    for (const std::string& error : errors) LIMBECK_CHECK(error.empty(), error);
    return ArrayInput::standardised(bytes.to(DType::f32), saved_.standardisation);
  }

 private:
  /// u8 [1, side, side, channels].
  Tensor image(const std::string& file) const {
    const int64_t side = saved_.options.size;
    const data::DecodedImage read =
        data::read_image_file(file, {.channels = saved_.options.channels,
                                     .max_pixels = options_.max_pixels,
                                     .bits = options_.bits == 0 ? 16 : options_.bits});
    LIMBECK_CHECK(options_.bits != 0 || read.largest == 0 || read.largest > 4095, file,
                  ": an image of 16 bits with no sample above ", read.largest,
                  "; --bits 12 makes 4095 white (16: it is that dark)");
    const Tensor& whole = read.pixels;
    const Tensor one = whole.reshape({1, whole.size(0), whole.size(1), whole.size(2)});
    if (whole.size(0) == side && whole.size(1) == side) return one;
    if (options_.resize != data::Resize::none)
      return data::resize_images(one, side, options_.resize);
    LIMBECK_CHECK(whole.size(0) <= side && whole.size(1) <= side, file, ": ", saved_.name,
                  " expects images of ", side, " x ", side, " pixels, found ", whole.size(0), " x ",
                  whole.size(1), "; --resize crop, fit or stretch scales them");
    return data::pad_images(one, side);
  }

  const kd::SavedNetwork& saved_;
  const std::vector<std::string> files_;
  const ImageOptions options_;
};

std::vector<std::string> files_below(const std::string& folder, std::vector<std::string>& skipped) {
  std::vector<std::string> files;
  constexpr auto options = fs::directory_options::follow_directory_symlink;
  for (auto at = fs::recursive_directory_iterator(folder, options);
       at != fs::recursive_directory_iterator(); ++at) {
    const bool is_folder = at->is_directory(), hidden = at->path().filename().string()[0] == '.';
    if (is_folder && hidden) at.disable_recursion_pending();
    if (is_folder || hidden) continue;
    (data::is_image_name(at->path()) ? files : skipped).push_back(at->path());
  }
  std::sort(files.begin(), files.end());
  std::sort(skipped.begin(), skipped.end());
  return files;
}

/// Lines of a text file that name images.
std::vector<std::string> files_listed(const std::string& list, const std::string& text) {
  const fs::path folder = fs::path(list).parent_path();
  std::vector<std::string> files;
  std::istringstream in(text);
  int64_t number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    line = data::trimmed(line);
    if (line.empty() || line[0] == '#') continue;
    const std::string file = folder / line;
    std::error_code error;
    LIMBECK_CHECK(fs::exists(file, error), list, ": line ", number, ": ", file, ": no such file");
    files.push_back(file);
  }
  return files;
}

}  // namespace

std::unique_ptr<Input> open_array(const std::string& path, const kd::SavedNetwork& saved) {
  return std::make_unique<ArrayInput>(path, saved);
}

std::unique_ptr<Input> open_images(std::vector<std::string> files, const ImageOptions& options,
                                   const kd::SavedNetwork& saved) {
  return std::make_unique<ImageInput>(std::move(files), options, saved);
}

std::vector<std::string> image_files_of(const std::string& path,
                                        std::vector<std::string>& skipped) {
  std::error_code error;
  std::vector<std::string> files;
  if (fs::is_directory(path, error)) {
    files = files_below(path, skipped);
    LIMBECK_CHECK(!files.empty(), path, ": expected images (PNG, JPEG, BMP, PNM), found ",
                  skipped.size(), " other files");
    return files;
  }
  if (data::is_image_name(path) || data::is_foreign_image_name(path)) return {path};
  const std::string text = read_file(path);
  // Of an image without an ending the first bytes tell; its reader says the rest.
  if (!data::is_utf8(text)) return {path};
  files = files_listed(path, text);
  LIMBECK_CHECK(!files.empty(), path, ": expected paths of images, one a line, found none");
  return files;
}

}  // namespace limbeck::predict_app
