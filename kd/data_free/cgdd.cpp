// CGDD-R: a reconstruction of CGDD (Yu, Yan, Yang, Ou, Zhou, "Conditional generative data-free
// knowledge distillation", arXiv 2112.15358). Neither its code nor its full text could be had; what
// the abstracts say is kept, the rest (networks, weights, schedule) is this project's choice, after
// DFQ, its closest published relative. So its numbers are not the authors'.
//   known: labels are preset and supervise a conditional generator "in a semi-supervised manner";
//   the student has the soft targets, cross entropy with the preset label, and the teacher's
//   attention maps; several losses are adversarial
//   L_G = CE(t, y) of the labelled half + CE(t, argmax t) + 5 sum_k p_k ln p_k of the others (20
//   from 100 classes) + statistics of the batch norms - mean |s - t|, the last after 5 % of the
//   epochs
//   L_S = 16 KL at temperature 4 + .1 CE(s, y) where the teacher agrees + 1000 AT
// cgdd_v1 is the abstract's first version: all images labelled, no unsupervised and no adversarial
// terms, the preset label believed whatever the teacher says.
#include "kd/data_free/registry.h"

namespace limbeck::kd::data_free {
namespace {

Settings cgdd_settings() {
  Settings s;
  s.weight_decay = 5e-4;
  s.generator.clip = 5;
  s.loss.labelled = 0.5;
  s.loss.cls = 1, s.loss.one_hot = 1, s.loss.balance = -1, s.loss.statistics = 1;
  s.loss.adversary = "l1", s.loss.adversarial_warmup = 0.05;
  s.distillation.temperature = 4, s.distillation.cross_entropy = 0.1;
  s.distillation.attention = 1000;
  return s;
}

Settings cgdd_v1_settings() {
  Settings s = cgdd_settings();
  s.loss.labelled = 1, s.loss.one_hot = s.loss.balance = 0;
  s.loss.adversary = "none", s.loss.adversarial_warmup = 0;
  s.distillation.keep = false;
  return s;
}

const Register cgdd("cgdd", "CGDD-R",
                    "images of requested classes, a reconstruction (after Yu et al. 2021)",
                    cgdd_settings());
const Register cgdd_v1("cgdd_v1", "CGDD-R v1",
                       "a reconstruction of the first version, all images labelled",
                       cgdd_v1_settings());

}  // namespace
}  // namespace limbeck::kd::data_free
