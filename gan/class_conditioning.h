// Conditioning on classes, as BigGAN and cGAN-KD on CIFAR-100: real images with their classes from
// a loader, the classes of fakes uniform.
#pragma once
#include <memory>

#include "gan/conditioning.h"
#include "gan/settings.h"

namespace limbeck::gan {

/// Of [gan]: batch, flip, loader_threads. The dataset has classes, else Error; its tensors are
/// shared.
std::unique_ptr<Conditioning> condition_on_classes(const data::Dataset& data,
                                                   const GanSettings& settings,
                                                   Device device = cpu);

}  // namespace limbeck::gan
