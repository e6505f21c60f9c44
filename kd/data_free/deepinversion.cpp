// DeepInversion (Yin et al., "Dreaming to distill: data-free knowledge transfer via DeepInversion",
// CVPR 2020; official code: NVlabs/DeepInversion), adaptive by the student (ADI), as the benchmark
// of CMI runs it for students (zju-vipa/CMI): 1000 steps on the pixels of a batch, then 400 of the
// student on all images that were made.
//   L = CE(t, y) + 10 statistics + .001 total variation (L1) + 1 - JS at temperature 3
//   L_S = KL, temperature 20
// The teacher judges images that are rolled by up to 4 pixels and flipped or not, each batch alike.
// Kept is the last step: the official code means the best, but keeps a reference to what it
// changes.
#include "kd/data_free/registry.h"

namespace limbeck::kd::data_free {
namespace {

Settings deepinversion_settings() {
  Settings s;
  s.rounds = 1, s.generator_steps = 1000, s.student_steps = 400;
  s.crop_padding = 4, s.flip = true;
  s.generator.arch = "cmi", s.generator.ch = 1;  // no generator: it holds the standardisation
  s.generator.dim_z = 1, s.generator.beta2 = 0.99;
  s.synthesis.of = "pixels", s.synthesis.best = false, s.synthesis.tv_l1 = 1e-3;
  s.synthesis.roll = 4, s.synthesis.flip = true;
  s.loss.cls = 1, s.loss.statistics = 10, s.loss.adversary = "js";
  s.distillation.temperature = 20;
  return s;
}

const Register deepinversion("deepinversion", "DeepInversion",
                             "pixels of which the teacher is certain (Yin et al. 2020)",
                             deepinversion_settings());

}  // namespace
}  // namespace limbeck::kd::data_free
