// Fast-DFKD (Fang et al., "Up to 100x faster data-free knowledge distillation", AAAI 2022; official
// code: zju-vipa/Fast-Datafree), with 10 steps. A meta generator learns where to begin: each
// synthesis optimises noise and a copy of it, whose gradients of all steps are the meta generator's
// (FOMAML).
//   L = .5 CE(t, y) + 10 statistics, mixed with .9 of their averages over syntheses - 1.1 KL where
//   student and teacher agree, from synthesis 20 on;  L_S = KL, temperature 20
// 20 epochs of syntheses before the student begins; the layers behind the noise begin anew at
// synthesis 140. With 2 or 5 steps its authors have learning rates 5e-3 and .015 or 3e-3 and .01.
#include "kd/data_free/registry.h"

namespace limbeck::kd::data_free {
namespace {

Settings fast_settings() {
  Settings s;
  s.epochs = 220, s.rounds = 1, s.generator_steps = 10, s.student_steps = 400;
  s.lr = 0.2, s.final_lr = 2e-4, s.crop_padding = 4, s.flip = true;
  s.generator.arch = "cmi", s.generator.lr = 2e-3;
  s.synthesis.of = "meta", s.synthesis.lr = 0.01, s.synthesis.warmup = 20;
  s.synthesis.redraw = 140, s.synthesis.momentum = 0.9;
  s.synthesis.crop_padding = 4, s.synthesis.flip = true;
  s.loss.cls = 0.5, s.loss.statistics = 10, s.loss.adversary = "decision";
  s.loss.adversarial = 1.1, s.loss.adversarial_warmup = 20.0 / 220;
  s.distillation.temperature = 20;
  return s;
}

const Register fast("fast", "Fast-DFKD", "a generator learns where to begin (Fang et al. 2022)",
                    fast_settings());

}  // namespace
}  // namespace limbeck::kd::data_free
