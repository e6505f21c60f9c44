#include "nn/images.h"

#include "ops/op.h"

namespace limbeck::nn {

ImageStandardiser::ImageStandardiser(const std::vector<double>& mean,
                                     const std::vector<double>& deviation, Device device)
    : mean_(Tensor::of(mean).to(DType::f32).to(device)),
      deviation_(Tensor::of(deviation).to(DType::f32).to(device)) {
  LIMBECK_CHECK(mean.size() == deviation.size(), "standardisation: ", mean.size(), " means and ",
                deviation.size(), " deviations");
  for (size_t c = 0; c < deviation.size(); ++c)
    LIMBECK_CHECK(deviation[c] > 0, "standardisation: the deviation of channel ", c, " is ",
                  deviation[c], ", expected above 0");
}

Tensor ImageStandardiser::operator()(const Tensor& images, const Tensor& draws) const {
  if (is_floating(images.dtype())) return images;
  static const Op& op = find_op("crop_flip_normalize");
  const Tensor drawn =
      draws.defined() ? draws : Tensor::zeros({images.size(0), 3}, DType::i32, images.device());
  return run_forward(op, {images, drawn, mean_, deviation_}, {})[0];
}

}  // namespace limbeck::nn
