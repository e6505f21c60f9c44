// Trains a ResNet-8 on procedural images and saves it with PyTorch's names and layouts.
#include <cstdio>
#include <utility>

#include "data/shapes.h"
#include "nn/models/registry.h"
#include "nn/optim.h"

using namespace limbeck;

int main() {
  const data::Split set = data::load_shapes({.train = 200});
  const auto net = nn::create_model("resnet8", {.outputs = set.train.classes});
  net->initialise(Stream(1).fork("init"));
  nn::SGD sgd(net->parameters(), {.lr = 0.05, .momentum = 0.9, .weight_decay = 5e-4});
  data::Loader loader(set.train,
                      {.batch = 16, .standardisation = data::standardisation_of(set.train)},
                      Stream(1).fork("batches"));
  double mean = 0;
  for (int step = 1; step <= 300; ++step) {
    const data::Batch batch = loader.next();
    const Variable loss = cross_entropy((*net)(Variable(batch.images)), batch.labels);
    sgd.zero_grad();
    loss.backward();
    sgd.step();
    mean += loss.item() / 60;
    if (step % 60 == 0) std::printf("step %3d  loss %.3f\n", step, std::exchange(mean, 0));
  }
  write_safetensors("resnet8.safetensors", net->state_dict());
}
