// What `limbeck predict` is asked about: arrays, or image files brought to what a network takes.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "data/image_file.h"
#include "data/resize.h"
#include "kd/checkpoint.h"

namespace limbeck::predict_app {

/// Images that are read a few at a time.
class Input {
 public:
  virtual ~Input() = default;
  virtual int64_t size() const = 0;
  /// Images [begin, end) as the network takes them: f32 [n, H, W, C], standardised.
  virtual Tensor images(int64_t begin, int64_t end) const = 0;
  /// What image i is called: its file, or its row of the array.
  virtual std::string name(int64_t i) const = 0;
};

/// A .npy file [N, C, H, W]: u8 is standardised, floating-point numbers are fed as they are.
std::unique_ptr<Input> open_array(const std::string& path, const kd::SavedNetwork& saved);

/// How image files are brought to the network's channels and size.
struct ImageOptions {
  /// Resize::none: a black frame around smaller ones, while larger ones are refused.
  data::Resize resize = data::Resize::none;
  int64_t max_pixels = data::default_max_pixels;
  int64_t bits =
      0;  ///< as data.folder.bits; 0: 16, but an image without a sample above 4095 is refused
};
std::unique_ptr<Input> open_images(std::vector<std::string> files, const ImageOptions& options,
                                   const kd::SavedNetwork& saved);

/// The images that a path means: itself; those below a folder, sorted, without hidden ones; the
/// lines of a text file (relative ones begin in its folder), without empty lines and those that
/// begin with #. `skipped` gets the files of a folder that are no images of ours. Throws when there
/// are none.
std::vector<std::string> image_files_of(const std::string& path, std::vector<std::string>& skipped);

}  // namespace limbeck::predict_app
