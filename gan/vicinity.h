// Vicinal sampling of CcGAN (Ding, Wang, Xu, Welch, Wang: "Continuous conditional generative
// adversarial networks: novel empirical losses and label input mechanisms", TPAMI 2023; "CcGAN",
// ICLR 2021). A continuous response has few images or none at each value, so the discriminator is
// shown, for a target y, images whose responses lie near y. Pure functions of responses normalised
// to [0, 1]; docs/gan.md has the losses.
//
//   target        y = y' + eps, y' uniform over the distinct responses, eps ~ N(0, sigma^2)
//   hard (HVDL)   vicinity |y_i - y| <= kappa, weight 1
//   soft (SVDL)   weight w(y_i, y) = exp(-nu (y_i - y)^2), vicinity w >= 0.001; nu is called kappa
//                 in settings, as in the original's scripts
//
// Adaptive vicinities (Ding et al.: "Imbalance-robust and sampling-efficient continuous conditional
// GANs via adaptive vicinity and auxiliary regularization", arXiv 2508.01725): kappa is each
// target's own, the distance within which `min_images` images lie, nu = 1 / kappa^2. The hybrid one
// has the soft weights within the hard interval.
#pragma once
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tensor/fields.h"
#include "tensor/random.h"

namespace limbeck::gan {

/// [gan.vicinity] of a configuration. The defaults are those of the Steering Angle experiment;
/// UTKFace has kappa -2.
struct VicinitySettings {
  std::string type = "soft";
  double sigma = -1;
  double kappa = -5;
  int64_t min_images = 0;
  bool clip_targets = false;
  void fields(FieldVisitor& v) {
    v("type", type,
      "vicinity of a response: hard | soft, with min_images also hybrid (soft weights within the "
      "hard interval)");
    v("sigma", sigma,
      "deviation of the noise on target responses (normalised to [0, 1]), negative: by the rule of "
      "thumb");
    v("kappa", kappa,
      "hard: radius; soft: steepness of the weights; -m: from m times the largest gap between "
      "responses",
      influence_if(min_images == 0));
    v("min_images", min_images,
      "adaptive vicinities (CcGAN-AVAR): each grows until it holds so many images, kappa is not "
      "used; 0: all have the width of kappa");
    v("clip_targets", clip_targets,
      "targets outside of the training responses get other noise, until at most one of a batch is "
      "left");
  }
};

/// Throws naming the key for values that fit no responses.
void check(const VicinitySettings& settings);

/// Responses in order. At least one; normalised to [0, 1], else Error naming the first that is not.
class SortedResponses {
 public:
  explicit SortedResponses(std::span<const float> responses);

  int64_t size() const { return static_cast<int64_t>(values_.size()); }
  /// The i-th smallest, and where it stood in the list that was given. Equal ones keep their order.
  double value(int64_t i) const { return values_[static_cast<size_t>(i)]; }
  int64_t place(int64_t i) const { return places_[static_cast<size_t>(i)]; }
  const std::vector<double>& distinct() const { return distinct_; }
  /// Between neighbouring distinct responses; 0 when there is only one.
  double largest_gap() const;
  /// Population deviation over all, with multiplicity.
  double deviation() const;
  /// By linear interpolation between order statistics (numpy's default); p in [0, 1].
  double quantile(double p) const;
  /// Distance of the k-th nearest response to y, with multiplicity, k from 1 to size(); by
  /// bisection.
  double distance_of_nearest(double y, int64_t k) const;
  /// Those within the distance of y, [begin, end) in their order, by bisection.
  std::pair<int64_t, int64_t> within(double y, double distance) const;

 private:
  std::vector<double> values_, distinct_;
  std::vector<int64_t> places_;
};

/// A vicinity whose numbers are known.
struct Vicinity {
  bool soft = true;
  double sigma = 0;
  double kappa = 0;
  double reach = std::numeric_limits<double>::infinity();  ///< where a hybrid one ends
  int64_t min_images = 0;  ///< > 0: at() says what belongs to a target
  bool hybrid = false;
  bool clip_targets = false;

  /// The vicinity of y: this one, or the adaptive one of that target.
  Vicinity at(const SortedResponses& responses, double y) const;

  /// w(a, b): 1 within a hard vicinity, else 0; exp(-kappa (a - b)^2), never cut off, for a soft
  /// one.
  double weight(double a, double b) const;
  /// Whether a lies in the vicinity of b. Soft: (a - b)^2 <= -ln(0.001) / kappa.
  bool holds(double a, double b) const;
  /// Half the width of the interval.
  double radius() const;
  /// What -m in the settings asks for, from which a soft vicinity has nu = 1 / base^2; the radius
  /// of a hard one.
  double base() const { return soft ? 1 / std::sqrt(kappa) : kappa; }
  /// The responses in the vicinity of y, [begin, end) in their order, by bisection.
  std::pair<int64_t, int64_t> range(const SortedResponses& responses, double y) const;
};

/// Fills in what is to be computed, as the original does:
///   sigma = 1.06 s N^(-1/5) with s = deviation() (Silverman's rule of thumb);
///   kappa_base = m largest_gap(); hard: kappa = kappa_base, soft: kappa = 1 / kappa_base^2.
/// Throws naming the key when that is impossible, and when no vicinity could hold an image.
/// Adaptive ones know their kappa only at().
Vicinity vicinity_of(const SortedResponses& responses, const VicinitySettings& settings);

/// What the discriminator sees for one target.
struct VicinalDraw {
  double target;  ///< y: both images are judged under it; may leave [0, 1]
  int64_t
      image;  ///< uniform over the images in the vicinity of y; a place in the list of responses
  double
      /// uniform over [y - radius, y + radius] within [0, 1]: the fake image is generated from it
      fake_response;
  double real_weight, fake_weight;  ///< w(response of the image, y), w(fake_response, y)
  double base;                      ///< of the vicinity of y
};
/// y' + eps, for the generator's update: no vicinity, no clipping.
double draw_target(const SortedResponses& responses, const Vicinity& vicinity, Stream& stream);
/// While a target has no image in its vicinity, its noise is drawn again, y' kept. Throws naming
/// the keys when there is still none after many draws.
VicinalDraw draw_vicinal(const SortedResponses& responses, const Vicinity& vicinity,
                         Stream& stream);
/// Of a batch: one after the other; with clip_targets first all targets.
std::vector<double> draw_targets(const SortedResponses& responses, const Vicinity& vicinity,
                                 int64_t n, Stream& stream);
std::vector<VicinalDraw> draw_vicinal_batch(const SortedResponses& responses,
                                            const Vicinity& vicinity, int64_t n, Stream& stream);

}  // namespace limbeck::gan
