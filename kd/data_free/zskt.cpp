// ZSKT (Micaelli and Storkey, "Zero-shot knowledge transfer via adversarial belief matching",
// NeurIPS 2019; official code: polo5/ZeroShotKnowledgeTransfer).
//   L_G = -KL / K;  L_S = KL / K + 250 sum over levels of mean (a_s - a_t)^2, temperature 1
// One noise for a step of the generator and the ten of the student behind it; 80,000 of them. Adam
// for both, cosine to 0, gradients cut at norm 5. All but the teacher is always in train mode.
#include "kd/data_free/registry.h"

namespace limbeck::kd::data_free {
namespace {

Settings zskt_settings() {
  Settings s;
  s.rounds = 400, s.batch = 128, s.same_noise = true, s.clip = 5;
  s.optimizer = "adam", s.lr = 2e-3, s.weight_decay = 0;
  s.generator.arch = "zskt", s.generator.dim_z = 100, s.generator.beta1 = 0.9;
  s.generator.schedule = "student", s.generator.clip = 5;
  s.loss.adversary = "kl_mean", s.loss.student_eval = false;
  s.distillation.form = "kl_mean", s.distillation.attention = 250;
  return s;
}

const Register zskt("zskt", "ZSKT", "zero-shot knowledge transfer (Micaelli and Storkey 2019)",
                    zskt_settings());

}  // namespace
}  // namespace limbeck::kd::data_free
