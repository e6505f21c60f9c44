// Station 10: soft targets, the vicinities of CcGAN, and the stages of cGAN-KD.
#include <cmath>
#include <cstdio>
#include <vector>

#include "autograd/functions.h"
#include "gan/vicinity.h"
#include "kd/workflow.h"

using namespace limbeck;

namespace {

const Tensor teacher = Tensor::of<float>({8, 6, 1, 0, -2}, {1, 5}),
             student = Tensor::of<float>({2, 1, 3, 0, 0}, {1, 5});

void print_softened() {
  std::printf("    T  softmax(teacher / T)            T^2 KL  its gradient at the student\n");
  for (const double t : {1.0, 2.0, 4.0, 16.0}) {
    const Variable s(student, true);
    const Variable p = softmax(Variable(teacher) * (1 / t)),
                   loss = distillation_loss(s, teacher, t);
    loss.backward();
    std::printf("%5.0f", t);
    for (int64_t i = 0; i < 5; ++i) std::printf(" %5.3f", p.data().at(i));
    std::printf("%8.2f ", loss.item());
    for (int64_t i = 0; i < 5; ++i) std::printf(" %5.2f", s.grad().at(i));
    std::printf("\n");
  }
}

void print_vicinities() {
  const std::vector<float> ages = {0.1f, 0.2f, 0.25f, 0.3f, 0.5f, 0.55f, 0.9f};
  const gan::SortedResponses responses(ages);
  const auto vicinity = [&](const char* type) {
    return gan::vicinity_of(responses, {.type = type, .sigma = 0.05, .kappa = -0.5});
  };
  const gan::Vicinity hard = vicinity("hard"), soft = vicinity("soft");
  std::printf("hard: radius %.3f; soft: nu %.1f\nresponse  hard  soft  (target 0.4)\n",
              hard.radius(), soft.kappa);
  for (const float y : ages)
    std::printf("%8.2f%6.0f%6.3f\n", y, hard.weight(y, 0.4), soft.weight(y, 0.4));
}

void print_stages() {
  const kd::Workflow workflow{kd::ExperimentSettings{}};
  for (const kd::Stage& stage : workflow.stages()) {
    std::printf("%-12s <-", stage.name.c_str());
    for (const std::string& need : stage.needs) std::printf(" %s", need.c_str());
    std::printf("\n");
  }
}

}  // namespace

int main() {
  print_softened();
  print_vicinities();
  print_stages();
}
