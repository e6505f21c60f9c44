// DAFL (Chen et al., "Data-free learning of student networks", ICCV 2019; official code:
// huawei-noah/Efficient-Computing). Images are those of which the teacher is certain, evenly over
// its classes; nobody asks for a class.
//   L_G = .05 CE(t, argmax t) + 5 sum_k p_k log10 p_k - .01 mean |h|;  L_S = KL, temperature 1
// Generator and student learn from the same images, by one backward. The weights are those of the
// official code for CIFAR-10 (1, 5 and .1 in the older copy; .5, 20, .1 for CIFAR-100). Its log10
// is a factor of the weight here. Its training is 11 times as many images as CGDD-R's.
#include "kd/data_free/registry.h"

namespace limbeck::kd::data_free {
namespace {

Settings dafl_settings() {
  constexpr double log10 = 0.4342944819;
  Settings s;
  s.epochs = 2000, s.rounds = 120, s.order = "joint", s.batch = 1024;
  s.schedule = "milestones", s.milestones = {800, 1600}, s.weight_decay = 5e-4;
  s.generator.arch = "dafl", s.generator.dim_z = 1000, s.generator.lr = 0.02;
  s.generator.beta1 = 0.9;
  s.loss.labelled = 0;
  s.loss.one_hot = 0.05, s.loss.balance = 5 * log10, s.loss.activation = 0.01;
  return s;
}

const Register dafl("dafl", "DAFL", "images of which the teacher is certain (Chen et al. 2019)",
                    dafl_settings());

}  // namespace
}  // namespace limbeck::kd::data_free
