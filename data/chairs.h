// chairs: a procedural set for regression, after RC-49 (X. Ding et al., "CcGAN: Continuous
// Conditional Generative Adversarial Networks for Image Generation", ICLR 2021): chairs of random
// proportions and colours, of which the yaw angle in (0, 90) degrees is the response. Fewer and
// missing training angles make it harder.
#pragma once
#include "data/dataset.h"
#include "tensor/fields.h"

namespace limbeck::data {

/// [data.chairs].
struct ChairsSettings {
  int64_t train = 2000, test = 1000;
  double step = 0.2;
  double missing_low = 0, missing_high = 0;
  int64_t per_angle = 0;
  int64_t models = 0;
  double noise = 0;
  std::string label = "angle";
  void fields(FieldVisitor& v) {
    v("train", train, "training images before the draw, each at one of the training angles");
    v("test", test, "test images before the draw, at every tenth of a degree from 0.1 to 89.9");
    v("step", step,
      "degrees between training angles, from 0.1 on: 0.2: odd tenths, 0.1: all; 0: real numbers");
    v("missing_low", missing_low, "no training angle lies in [missing_low, missing_high)");
    v("missing_high", missing_high, "end of the gap; equal to missing_low: no gap");
    v("per_angle", per_angle, "images at each training angle; above 0 it replaces `train`");
    v("models", models,
      "different chairs, in both parts the same ones; 0: a new one in each image");
    v("noise", noise,
      "deviation in degrees of a normal error in the training responses, reflected at 0 and 90; "
      "images and test responses stay as they are",
      influence_if(noise != 0));
    v("label", label,
      "angle: the response | model: which of the `models` chairs it is, a class (for "
      "evaluation.types)");
  }
};

/// The training angles in rising order, in degrees; empty when `step` is 0. Throws naming the key
/// of [data.chairs] when the settings leave none.
std::vector<double> chair_angles(const ChairsSettings& settings);

enum class ChairsPart { train, test };

/// Images first .. first+count-1 of the endless sequence of a part: u8 [count, size, size, 3], size
/// >= 16, and targets in degrees on the scale 0..90, or labels 0..models-1. Image i depends on
/// (settings without `label`, seed, size, i) only; the bits are the same for any thread count.
/// Throws for negative ones.
Dataset chairs(const ChairsSettings& settings, ChairsPart part, int64_t count, int64_t size,
               uint64_t seed, int64_t first = 0);

/// Training and test part, from different streams of the seed.
Split load_chairs(const ChairsSettings& settings, int64_t size = 64, uint64_t seed = 0);

}  // namespace limbeck::data
