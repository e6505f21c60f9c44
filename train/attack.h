// Robustness: a network's metric on images that were changed against it.
#pragma once
#include "nn/models/registry.h"
#include "train/criterion.h"

namespace limbeck::train {

/// -1, 0 or 1 of each element of x, any shape, on its device.
Variable sign(const Tensor& x);

/// The fast gradient sign method (Goodfellow, Shlens, Szegedy, "Explaining and harnessing
/// adversarial examples", 2015): x + epsilon sign(d loss / d x), clamped to the range of images.
/// `images` are standardised, f32 [n, H, W, C] on the network's device, and so is the result;
/// epsilon is in units of images in [0, 1]. The network stays in its mode.
Tensor fgsm(nn::Network& network, const data::Batch& batch,
            const data::Standardisation& standardisation, const Criterion& criterion,
            double epsilon);

/// As evaluate() (train/supervised.h), on images that fgsm() made. Throws for a data set
/// without images.
double evaluate_under_fgsm(nn::Network& network, const data::Dataset& dataset,
                           const data::Standardisation& standardisation, const Criterion& criterion,
                           double epsilon, int64_t batch = 200);

}  // namespace limbeck::train
