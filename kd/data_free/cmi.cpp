// CMI (Fang et al., "Contrastive model inversion for data-free knowledge distillation", IJCAI 2021;
// official code: zju-vipa/CMI), from scratch: 200 steps on the noise and the weights of a generator
// that is drawn anew for each batch, then 400 of the student on all images that were made.
//   L = CE(t, y) + statistics - .5 KL where student and teacher agree + .8 contrast (kd/data_free/
//   contrast.h), temperature .1;  L_S = KL, temperature 20
// The global view is a crop after padding by 4, flipped or not, for each image; the local one a
// part of 1/4 to all of the area, resized. Here that part is a square, the same for a batch.
#include "kd/data_free/registry.h"

namespace limbeck::kd::data_free {
namespace {

Settings cmi_settings() {
  Settings s;
  s.rounds = 1, s.generator_steps = 200, s.student_steps = 400;
  s.crop_padding = 4, s.flip = true;
  s.generator.arch = "cmi";
  s.synthesis.of = "fresh", s.synthesis.lr = 1e-3, s.synthesis.student_batch = 128;
  s.synthesis.crop_padding = 4, s.synthesis.flip = true;
  s.synthesis.contrast.weight = 0.8;
  s.loss.cls = 1, s.loss.statistics = 1;
  s.loss.adversary = "decision", s.loss.adversarial = 0.5;
  s.distillation.temperature = 20;
  return s;
}

const Register cmi("cmi", "CMI", "syntheses that differ from each other (Fang et al. 2021)",
                   cmi_settings());

}  // namespace
}  // namespace limbeck::kd::data_free
