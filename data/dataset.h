// Dataset: images in memory as bytes, with integer classes or real responses.
#pragma once
#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tensor/random.h"
#include "tensor/tensor.h"

namespace limbeck::data {

/// What the responses of a set are: an interval of their unit that networks see as [0, 1].
struct ResponseScale {
  double low = 0, high = 1;
  std::string unit;    ///< "degrees"; empty: plain numbers
  bool wraps = false;  ///< `high` is the same as `low`, as 360 degrees are 0
  /// Predictions count as whole numbers too (the original's years of UTKFace).
  bool truncates = false;

  /// A response in its unit -> the number that networks learn, and back. Not clipped: what lies
  /// outside of [low, high] stays outside of [0, 1]. Called where batches enter a network and where
  /// its output leaves, nowhere else.
  double to_unit(double response) const { return (response - low) / (high - low); }
  double from_unit(double value) const { return low + value * (high - low); }
  /// Cut toward zero after rounding to f32, in which whole responses come back from [0, 1] exactly.
  static double truncated(double response) {
    return static_cast<double>(std::trunc(static_cast<float>(response)));
  }
  /// What a prediction counts as: truncated, or as it is.
  double counted(double response) const { return truncates ? truncated(response) : response; }
  /// The same for every element of an f32 tensor on the host; computed in f64. Throws when the
  /// responses wrap.
  Tensor to_unit(const Tensor& responses) const;
  Tensor from_unit(const Tensor& values) const;
  /// For whoever takes the interval for a line: throws naming `who` when the responses wrap.
  void expect_line(const std::string& who) const;
  bool operator==(const ResponseScale&) const = default;
};

/// A labelled image set. One of `classes` > 0 (labels i64) or responses (targets f32) describes the
/// task; nothing takes labels for classes where a number may come.
struct Dataset {
  Tensor images;        ///< u8 [N, H, W, C]
  Tensor labels;        ///< i64 [N]; undefined for regression
  Tensor targets;       ///< f32 [N] in the unit of `scale`; undefined for classification
  ResponseScale scale;  ///< of the targets
  int64_t classes = 0;
  std::vector<std::string> class_names;  ///< may be empty

  int64_t size() const { return images.defined() ? images.size(0) : 0; }
  int64_t height() const { return images.size(1); }
  int64_t width() const { return images.size(2); }
  int64_t channels() const { return images.size(3); }
  /// The rows of an index list, in that order.
  Dataset select(const std::vector<int64_t>& index) const;
  /// Images per class.
  /// Throws for responses and for labels out of range.
  std::vector<int64_t> histogram() const;
};

/// Both datasets must agree in image shape, task and response scale.
Dataset concatenate(const Dataset& a, const Dataset& b);

struct Split {
  Dataset train, test;
};

/// Per-channel mean and population deviation over all pixels of images scaled to [0, 1] (streaming,
/// f64).
struct Standardisation {
  std::vector<double> mean, deviation;
};
/// Throws for an empty set.
Standardisation standardisation_of(const Dataset& d);
/// Mean and deviation 1/2 in every channel: pixels in [-1, 1], as GANs take them.
Standardisation halves(const Dataset& d);

/// What happens to a batch of bytes on its way to the network: zero-pad (black) and random crop,
/// horizontal flip, /255, (x - mean) / deviation.
struct Augmentation {
  int64_t crop_padding = 0;  ///< 0: no random crop
  bool flip = false;
};

/// What an image's draw hangs on besides the stream: its place in the batch, or its row of the data
/// set, whatever batch it comes in.
enum class DrawnBy { place, row };

/// u8 [N,H,W,C] rows -> f32 [n,H,W,C]. Draw i depends on the stream and on place or row only.
Tensor make_batch(const Tensor& images, const std::vector<int64_t>& index,
                  const Augmentation& augmentation, const Standardisation& standardisation,
                  Stream stream, DrawnBy drawn_by = DrawnBy::place);

/// The same before the conversion, a quarter of the size: rows as they are and what was drawn for
/// them, i32 [n, 3] (crop corner in rows and columns, flip). The operator crop_flip_normalize makes
/// the images of make_batch from it, bit for bit.
struct ByteBatch {
  Tensor images, draws;
};
/// Rows of u8 [N,H,W,C] by their index.
ByteBatch make_byte_batch(const Tensor& images, const std::vector<int64_t>& index,
                          const Augmentation& augmentation, Stream stream,
                          DrawnBy drawn_by = DrawnBy::place);

/// Augmented views that are the same whenever they are drawn: view v of image i hangs on seed, v
/// and i. A loader's epoch e hands out view e mod count, so that what a teacher said of a view can
/// be stored and found again.
struct ReplayedViews {
  int64_t count = 0;  ///< 0: none, every epoch draws afresh
  int64_t seed = 0;
  Tensor outputs = {};  ///< f32 [count, N, outputs] of a teacher; undefined: none are stored
  Stream stream(int64_t view) const;
};

/// What is made of every image of a batch before the crop: one view, or the four quarter turns by
/// 0, 90, 180 and 270 degrees against the clock, rows 4i to 4i + 3 of the batch's images; labels
/// and index stay one per image. The flip is of the image, before it is turned; each view is
/// cropped by itself.
struct Views {
  bool quarter_turns = false;
  bool flip_each = false;  ///< flip each view once more by itself
  int64_t count() const { return quarter_turns ? 4 : 1; }
};
/// u8 rows of square images -> u8 [4 n,H,W,C], flipped before with probability 1/2 when `flip`.
/// Throws for other images.
Tensor quarter_turns(const Tensor& images, const std::vector<int64_t>& index, bool flip,
                     Stream stream);

struct Batch {
  Tensor
      /// f32, standardised; or u8, when `draws` says what is still to be done (Loader of a device)
      images;
  Tensor labels;                  ///< i64, or undefined
  Tensor targets;                 ///< f32, or undefined
  std::vector<int64_t> index;     ///< rows of the dataset
  Tensor draws;                   ///< i32 [n, 3] beside u8 images, or undefined
  Tensor outputs = {};            ///< f32 [n, outputs] of ReplayedViews, or undefined
  Batch to(Device device) const;  ///< the tensors there
};

/// Steps of a pass over n images. Where a single image would be left for the last batch it joins
/// the batch before it: batch norm has no variance of one. With drop_last it is left out with the
/// others.
int64_t steps_per_epoch(int64_t n, int64_t batch, bool drop_last = false);
/// Images of the largest batch of such a pass: `batch`, or one more.
int64_t largest_batch(int64_t n, int64_t batch, bool drop_last = false);

/// Shuffled batches for training with background threads. Batch k of epoch e depends on (seed
/// stream, e, k) only, so a loop can start at any step. next() hands them out in order.
class Loader {
 public:
  struct Config {
    int64_t batch = 64;
    bool drop_last = false;  ///< PyTorch's meaning; without it steps_per_epoch() has the last batch
    bool shuffle = true;
    Augmentation augmentation;
    Views views = {};
    Standardisation standardisation;
    int64_t threads = 1;  ///< prefetch threads; 0: in the caller
    int64_t depth = 4;    ///< batches made ahead
    /// The rows of a step's batch, instead of those of an epoch's order (shuffle, drop_last); from
    /// any thread, so it depends on the step only.
    std::function<std::vector<int64_t>(int64_t step)> pick = {};
    Device device =
        /// where the batches go; on another device than the CPU their images are bytes with `draws`
        cpu;
    ReplayedViews replayed = {};
  };
  /// Throws for settings out of range, for an empty set, and for replayed views that do not fit.
  Loader(const Dataset& dataset, Config config, Stream stream, int64_t first_step = 0);
  ~Loader();
  int64_t steps_per_epoch() const;
  /// The next batch; epochs follow each other without end.
  Batch next();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// A grid of equally sized images (u8 [n,H,W,C] -> u8 [rows*(H+gap), cols*(W+gap), C]).
/// Throws for others, and for sizes out of range.
Tensor grid(const Tensor& images, int64_t columns, int64_t gap = 2, int64_t zoom = 1);
/// f32 images in [-1, 1] -> u8 by truncation of (x/2 + 1/2) * 255, as the original does.
/// Throws naming a pixel that is not a number.
Tensor to_bytes(const Tensor& images);
/// The file of a u8 [H, W, 1 or 3] image; errors begin with `what`.
std::string encode_png(const Tensor& u8_hwc, const std::string& what);
void write_png(const std::string& path, const Tensor& u8_hwc);
Tensor read_image(const std::string& path);  ///< u8 [H, W, C], through stb_image

}  // namespace limbeck::data
