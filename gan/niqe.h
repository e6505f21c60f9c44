// NIQE (Mittal, Soundararajan, Bovik: "Making a 'completely blind' image quality analyzer", IEEE
// Signal Processing Letters 2013): how far an image's local statistics are from those of good
// images, whatever it shows. Lower is better.
//
// Gray values 0..255 are normalised, (x - mu) / (sigma + 1) with a Gaussian window of 7 x 7 and
// deviation 7/6, at full and half size. Each block of 8 x 8 (4 x 4) pixels has 18 features for each
// size: shape and mean scale of an asymmetric generalised Gaussian, and for the products with four
// neighbours shape, mean and both scales. With mean and covariance of the blocks of good images
// (m, S) and of one image (m', S'),
//
//   NIQE = sqrt((m - m')^T pinv((S + S') / 2) (m - m'))
//
// Of good images only blocks count whose mean sigma is above a tenth of the image's largest one.
// Halving averages 2 x 2 pixels. Blocks of one gray value have no features; an image of such blocks
// alone is infinitely bad.
#pragma once
#include <vector>

#include "tensor/tensor.h"

namespace limbeck::gan {

struct NiqeModel {
  std::vector<double> mean, covariance;  ///< of 36 features, 36 x 36 row-major
  int64_t blocks = 0;
};

/// Of good images u8 [N, H, W, C], C = 1 or 3, sides of at least 16 pixels. Throws when they have
/// no two blocks with features.
NiqeModel niqe_model(const Tensor& images);
/// Of each image.
std::vector<double> niqe(const NiqeModel& model, const Tensor& images);

}  // namespace limbeck::gan
