// Station 8: the pieces of a conditional GAN's update, and a few updates of a small one.
#include <cstdio>

#include "data/shapes.h"
#include "gan/class_conditioning.h"
#include "gan/diffaugment.h"
#include "gan/losses.h"
#include "gan/spectral_layers.h"
#include "gan/trainer.h"

using namespace limbeck;
using namespace limbeck::gan;

namespace {

Variable score(double s) { return Variable(Tensor::full({1, 1}, s)); }

void print_hinge() {
  std::printf("score  D on real  D on fake      G\n");
  for (double s = -2; s <= 2; s += 0.5)
    std::printf("%5.1f%11.1f%11.1f%7.1f\n", s, real_loss(AdversarialLoss::hinge, score(s)).item(),
                fake_loss(AdversarialLoss::hinge, score(s)).item(),
                generator_loss(AdversarialLoss::hinge, score(s)).item());
}

/// W = diag(3, 2, 1): its largest singular value is 3.
void print_power_iteration() {
  SNLinear layer(3, 3, 1e-8, false);
  layer.initialise(Stream(8));
  layer.weight.data().fill(0);
  for (int i = 0; i < 3; ++i) layer.weight.data().data<float>()[4 * i] = static_cast<float>(3 - i);
  std::printf("sigma by one power iteration a forward:");
  for (int i = 0; i < 6; ++i) {
    layer(Variable(Tensor::zeros({1, 3})));
    std::printf(" %.3f", layer.singular_value());
  }
  std::printf("\n");
}

void print_augmented() {
  const Tensor image = Tensor::zeros({1, 4, 4, 1});
  for (int64_t i = 0; i < 16; ++i) image.data<float>()[i] = static_cast<float>(i) / 16;
  const DiffAugment augment("translation");
  const Tensor moved = augment(Variable(image), Stream(4)).data();
  std::printf("an image and the same, translated by DiffAugment\n");
  for (int64_t r = 0; r < 4; ++r) {
    for (const Tensor& t : {image, moved}) {
      for (int64_t c = 0; c < 4; ++c) std::printf(" %4.2f", t.at(4 * r + c));
      std::printf("    ");
    }
    std::printf("\n");
  }
}

struct Printer : nn::Monitor {
  void metrics(int64_t step, const nn::Values& values) override {
    std::printf("step %2lld", static_cast<long long>(step));
    for (size_t i = 0; i < 4; ++i)
      std::printf("  %s %.1f", values[i].first.c_str(), values[i].second);
    std::printf("\n");
  }
};

}  // namespace

int main() {
  print_hinge();
  print_power_iteration();
  print_augmented();
  const data::Dataset shapes = data::shapes(200, 32, 0, 0, 0);
  GanSettings settings;
  settings.steps = 15;
  settings.batch = 16;
  settings.d_steps = 2;
  settings.g_ch = settings.d_ch = 4;
  settings.health_every = 5;
  settings.sample_every = 0;
  Printer printer;
  GanTrainer(condition_on_classes(shapes, settings), settings, Stream(1), printer).run();
}
