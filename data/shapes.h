// shapes: a procedural set of ten figure classes, made to be hard for its size, so that the
// workflow can be studied without any download. The figure's outline alone tells the class: colour,
// texture, light, pose, scale and clutter are drawn independently of it.
#pragma once
#include "data/dataset.h"
#include "tensor/fields.h"

namespace limbeck::data {

inline constexpr int64_t shape_classes = 10;

/// Images first .. first+count-1 of the endless sequence of a seed: u8 [count, size, size, 3], size
/// >= 8. Image i depends on (seed, size, i) only, its class is i mod 10; the bits are the same for
/// any thread count. difficulty in [0, 1] scales what hides the outline (colours, pose, clutter,
/// occlusion, noise): 0 is light upright figures of random size on dark ground.
/// Throws for numbers out of range.
Dataset shapes(int64_t count, int64_t size, uint64_t seed, int64_t first = 0,
               double difficulty = 1);

/// [data.shapes].
struct ShapesSettings {
  int64_t train = 2000, test = 1000;  ///< images of the two parts
  double difficulty = 1;
  double wrong_labels = 0;
  void fields(FieldVisitor& v) {
    v("train", train, "training images before the draw");
    v("test", test, "test images before the draw");
    v("difficulty", difficulty, "clutter, colour and pose of the images, 0: plain figures, to 1");
    v("wrong_labels", wrong_labels,
      "share of the training images, drawn one by one, that have the label of another class; "
      "images and test labels stay as they are",
      influence_if(wrong_labels != 0));
  }
};

/// Training and test part, from different streams of the seed.
Split load_shapes(const ShapesSettings& settings, int64_t size = 32, uint64_t seed = 0);

}  // namespace limbeck::data
