// DFAD (Fang et al., "Data-free adversarial distillation", 2019; official code:
// VainF/Data-Free-Adversarial-Distillation). The generator seeks images on which the student is
// wrong, the student learns them.
//   L_G = -mean |s - t|;  L_S = mean |s - t|; five steps of the student, then one of the generator
// Both learning rates fall tenfold, an epoch before 100 and 200: the code steps its schedule before
// the epoch. The student is in train mode in the generator's steps too, as there.
#include "kd/data_free/registry.h"

namespace limbeck::kd::data_free {
namespace {

Settings dfad_settings() {
  Settings s;
  s.epochs = 500, s.rounds = 50, s.student_steps = 5, s.order = "student";
  s.schedule = "milestones", s.milestones = {99, 199}, s.weight_decay = 5e-4;
  s.generator.arch = "dfad", s.generator.beta1 = 0.9, s.generator.schedule = "student";
  s.loss.adversary = "l1", s.loss.student_eval = false;
  s.distillation.form = "l1";
  return s;
}

const Register dfad("dfad", "DFAD", "images on which the student is wrong (Fang et al. 2019)",
                    dfad_settings());

}  // namespace
}  // namespace limbeck::kd::data_free
