// Station 7: a network of two convolutions, its layers, and the loop that trains it.
#include <cstdio>
#include <utility>

#include "data/shapes.h"
#include "nn/layers.h"
#include "nn/optim.h"
#include "nn/trace.h"

using namespace limbeck;

namespace {

struct Small : nn::Module {
  nn::Conv2d conv1{3, 16, {.kernel = 3, .stride = 2, .padding = 1}};
  nn::BatchNorm2d bn1{16};
  nn::Conv2d conv2{16, 32, {.kernel = 3, .stride = 2, .padding = 1}};
  nn::BatchNorm2d bn2{32};
  nn::Linear fc{32, data::shape_classes};
  Small() {
    add("conv1", conv1);
    add("bn1", bn1);
    add("conv2", conv2);
    add("bn2", bn2);
    add("fc", fc);
  }
  Variable forward(const Variable& x) override {
    const Variable first = relu(bn1(conv1(x)));
    return fc(global_avg_pool(relu(bn2(conv2(first)))));
  }
};

double accuracy(nn::Module& net, const data::Dataset& d, const data::Standardisation& s) {
  const NoGrad no_grad;
  net.eval();
  std::vector<int64_t> all(static_cast<size_t>(d.size()));
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int64_t>(i);
  const Tensor guess = argmax(net(data::make_batch(d.images, all, {}, s, Stream())).data());
  double right = 0;
  for (int64_t i = 0; i < d.size(); ++i) right += guess.at(i) == d.labels.at(i);
  return right / static_cast<double>(d.size());
}

}  // namespace

int main() {
  const data::Split set = data::load_shapes({.train = 600, .test = 300, .difficulty = 0}, 16);
  const data::Standardisation standardisation = data::standardisation_of(set.train);
  Small net;
  net.initialise(Stream(1).fork("init"));
  {
    const nn::LayerTrace trace;
    const NoGrad no_grad;
    net(Variable(Tensor::zeros({1, 16, 16, 3})));
    for (const nn::LayerRecord& r : trace.records())
      std::printf("%-17s -> %-17s %8lld multiply-adds\n", to_string(r.in).c_str(),
                  to_string(r.out).c_str(), static_cast<long long>(r.macs));
  }
  std::printf("%lld parameters\n", static_cast<long long>(net.parameter_count()));

  nn::SGD sgd(net.parameters(), {.lr = 0.05, .momentum = 0.9, .weight_decay = 5e-4});
  data::Loader loader(set.train, {.batch = 32, .standardisation = standardisation},
                      Stream(1).fork("batches"));
  double mean = 0;
  for (int step = 1; step <= 240; ++step) {
    const data::Batch batch = loader.next();
    const Variable loss = cross_entropy(net(batch.images), batch.labels);
    sgd.zero_grad();
    loss.backward();
    sgd.step();
    mean += loss.item() / 40;
    if (step % 40 == 0) std::printf("step %3d  loss %.2f\n", step, std::exchange(mean, 0));
  }
  std::printf("test accuracy %.0f %%\n", 100 * accuracy(net, set.test, standardisation));
}
