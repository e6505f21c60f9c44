// The density-ratio net of the regression experiments: conditioned on the embedding of a response
// (cGAN-KD SteeringAngle/models/cDR_MLP.py; 2023). Loss, training loop and sampler are those of
// gan/density_ratio.h.
#pragma once
#include <string>
#include <vector>

#include "gan/density_ratio.h"
#include "gan/network.h"

namespace limbeck::gan {

/// Hidden widths of MLP3 and MLP5 for responses (half of those for classes in MLP5), scaled and
/// rounded to a multiple of 16 (at least 16).
/// Throws with the known names.
std::vector<int64_t> response_ratio_widths(const std::string& name, double scale = 1);

/// r(feature | y) of a response y normalised to [0, 1]. The embedding is no part of it. Keys
/// main.*.
class ResponseRatioNet : public RatioNet {
 public:
  ResponseRatioNet(ResponseEmbedding embed, int64_t embedding, int64_t feature,
                   const std::vector<int64_t>& widths, double dropout = 0.5);
  /// Throws unless y has a response for each.
  Variable ratio(const Variable& features, const Tensor& y) override;
  void start_alive() override { main_.start_alive(); }

 private:
  ResponseEmbedding embed_;
  RatioMlp main_;
};

}  // namespace limbeck::gan
