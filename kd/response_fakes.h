// M1 + M2 for responses (Ding et al., cGAN-KD, 2023; SteeringAngle/generate_synthetic_data.py): one
// cut-off for the whole set, the rho-quantile of the error between the judge's response and the one
// that an image was made for; kept images take the judge's response as their label (replacement).
#pragma once
#include "kd/fake_data.h"

namespace limbeck::kd {

/// Error |p - y| and p in the unit of `scale`, p the network's output clipped to [0, 1] and brought
/// to the unit; y in the unit. `network` outlives the result and stays on its device. No
/// augmentation.
Judge regressor_judge(nn::Network& network, data::Standardisation standardisation,
                      data::ResponseScale scale, int64_t batch = 200);

/// How many of n images M2 keeps: as many as lie strictly below the rho-quantile of n different
/// errors (form "official"), or not above it ("paper"); at least one, and all when rho is 1.
int64_t kept_of(int64_t n, double rho, const std::string& form);
/// The kept_of() images of the smallest errors, in order of index; of equal errors the smaller
/// indices. (The original drops all errors that equal the cut-off, which is the same unless errors
/// are equal, and keeps nothing when all are.)
std::vector<int64_t> keep_lowest(const std::vector<double>& errors, double rho,
                                 const std::string& form);

/// What happened to the whole set; errors are means in the unit.
struct ResponseFakeStatistics {
  double proposed = 0, accepted = 0;
  double candidates = 0, kept = 0;
  double error_before = 0, error_after = 0;  ///< 0 without a filter
  double cutoff = 0;                         ///< largest error that was kept
};

/// `task.conditions`: responses f32 [1] each, normalised to [0, 1]; settings.per_class images each.
/// Writes fake_images u8 [N, C, H, W] in the order of the conditions and fake_labels f32 [N] in the
/// unit of `scale`. Resumable after every condition.
ResponseFakeStatistics make_response_fakes(const FakeTask& task, const FakeSettings& settings,
                                           const data::ResponseScale& scale);

/// Reads such a file, ours or a converted original (labels f32, f64 or i64). Throws naming the file
/// for missing tensors, wrong types or labels that are not finite.
data::Dataset load_response_fakes(const std::string& path, const data::ResponseScale& scale);

}  // namespace limbeck::kd
