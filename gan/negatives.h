// Negative samples of Dual-NDA (Ding, Wang, Xu: "Turning waste into wealth: leveraging low-quality
// samples for enhancing continuous conditional generative adversarial networks", AAAI 2024, arXiv
// 2308.10273): further images that the discriminator is to refuse under its target y.
//   mismatched (type I)   a real image whose response is farther from y than most are
//   poor (type II)        a fake made for a response near y that looks worst, from a generator that
//                         has been trained already
// L_D = real + (1 - l1 - l2) fake + l1 mean f(D(mismatched)) + l2 mean f(D(poor)), f as for fakes.
#pragma once
#include <functional>

#include "data/dataset.h"
#include "gan/network.h"
#include "gan/vicinity.h"
#include "tensor/fields.h"
#include "tensor/safetensors.h"

namespace limbeck::gan {

/// [gan.negatives] of a configuration. 0 and 0: there are none.
struct NegativeSettings {
  double mismatched = 0, mismatched_quantile = 0.9;
  double poor = 0, poor_quantile = 0.9;
  int64_t poor_from = 2000;
  int64_t start = 0;
  bool used() const { return mismatched > 0 || poor > 0; }
  int64_t kinds() const { return (mismatched > 0 ? 1 : 0) + (poor > 0 ? 1 : 0); }
  void fields(FieldVisitor& v) {
    v("mismatched", mismatched,
      "negatives (Dual-NDA): weight of real images with other responses (0.05 to 0.2 in the "
      "original), 0: none");
    v("mismatched_quantile", mismatched_quantile,
      "their distance from the target lies beyond this quantile of all images' (0.9; Steering "
      "Angle 0.5)",
      influence_if(mismatched > 0));
    v("poor", poor,
      "weight of poor fakes (0.15 to 0.3 in the original), which the generator makes once at step "
      "start; 0: none");
    v("poor_quantile", poor_quantile, "fakes are poor beyond this quantile of NIQE",
      influence_if(poor > 0));
    v("poor_from", poor_from, "fakes of which the poor ones are taken", influence_if(poor > 0));
    v("start", start, "generator steps before the first negatives", influence_if(used()));
  }
};

/// Throws naming the key when the numbers cannot be followed in a training of so many steps.
void check(const NegativeSettings& settings, int64_t steps);

/// Place of a real image, uniform over those whose distance from y is beyond the quantile of all
/// distances (numpy's default); where none is, over the farthest ones.
int64_t draw_mismatched(const SortedResponses& responses, double y, double quantile,
                        Stream& stream);
/// Place of a response, uniform over those within the radius of y, which grows by 5 % while there
/// are none.
int64_t draw_near(const SortedResponses& responses, double y, double radius, Stream& stream);

/// The images with their responses (normalised to [0, 1]) of the worst fakes by NIQE (gan/niqe.h)
/// beside the real ones, made for responses uniform over the distinct ones of the real images.
/// `condition` is how responses enter the generator.
data::Dataset poor_fakes(Generator& generator,
                         const std::function<Condition(const Tensor& y)>& condition,
                         const data::Dataset& real, const NegativeSettings& settings,
                         const Stream& stream);

}  // namespace limbeck::gan
