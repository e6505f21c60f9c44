// DFQ (Choi et al., "Data-free network quantization with adversarial knowledge distillation", CVPR
// workshops 2020), as the benchmark of CMI runs it for students (zju-vipa/CMI).
//   L_G = CE(t, argmax t) + 20 sum_k p_k ln p_k + statistics of the batch norms - KL;  L_S = KL
// The student is in eval mode in the generator's steps, the generator in the student's.
#include "kd/data_free/registry.h"

namespace limbeck::kd::data_free {
namespace {

Settings dfq_settings() {
  Settings s;
  s.generator.arch = "dfq", s.generator.eval_images = true;
  s.loss.labelled = 0;
  s.loss.one_hot = 1, s.loss.balance = 20, s.loss.statistics = 1, s.loss.adversary = "kl";
  return s;
}

const Register dfq("dfq", "DFQ",
                   "certain, even, like the teacher's training images (Choi et al. 2020)",
                   dfq_settings());

}  // namespace
}  // namespace limbeck::kd::data_free
