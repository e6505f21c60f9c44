// What a network makes of many images.
#pragma once
#include <functional>

#include "data/dataset.h"
#include "nn/models/registry.h"
#include "nn/monitor.h"

namespace limbeck::kd {

/// Standardised images [n, H, W, C] to [n, D].
using ImageFunction = std::function<Variable(const Variable& images)>;

/// Throws nn::Interrupted when the monitor is asked to stop: for stages that begin anew.
void stop_if_asked(nn::Monitor& monitor);

/// Of every image, u8 [n, H, W, C]: [n, D], f32 on the host, without augmentation or gradient.
Tensor outputs_for(const ImageFunction& network, const Tensor& images,
                   const data::Standardisation& standardisation, Device device,
                   nn::Monitor& monitor);

}  // namespace limbeck::kd
