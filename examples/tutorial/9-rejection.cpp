// Station 9: from samples of one distribution to samples of another by their density ratio.
//   fake N(0, 1), real N(1, 1/2);  r(x) = p_real(x) / p_fake(x) = 2 exp(x^2 / 2 - 2 (x - 1)^2)
#include <cmath>
#include <cstdio>
#include <vector>

#include "gan/rejection.h"
#include "nn/optim.h"

using namespace limbeck;

namespace {

double exact_ratio(double x) { return 2 * std::exp(x * x / 2 - 2 * (x - 1) * (x - 1)); }

Tensor normal(int64_t n, double mean, double deviation, Stream stream) {
  const Tensor t = Tensor::empty({n, 1});
  stream.fill_normal(t, mean, deviation);
  return t;
}

/// Learns r from samples of both alone, as gan/ratio_trainer.h does on features of images.
void train(gan::RatioMlp& net) {
  net.initialise(Stream(9).fork("init"));
  net.start_alive();
  nn::Adam adam(net.parameters(), {.lr = 2e-3});
  for (uint64_t step = 0; step < 1500; ++step) {
    const Variable fake(normal(256, 0, 1, Stream(9).fork("fake", step))),
        real(normal(256, 1, 0.5, Stream(9).fork("real", step))), none(Tensor::zeros({256, 1}));
    const Variable loss = gan::ratio_loss(net(none, real), net(none, fake), 0.01);
    adam.zero_grad();
    loss.backward();
    adam.step();
  }
  net.eval();
}

double learnt_ratio(gan::RatioMlp& net, double x) {
  const NoGrad no_grad;
  return net(Variable(Tensor::zeros({1, 1})), Variable(Tensor::full({1, 1}, x))).item();
}

}  // namespace

int main() {
  gan::RatioMlp net(1, 1, {64, 64}, 0);
  train(net);
  const auto source = [](const Tensor& y, const Stream& s) { return normal(y.numel(), 0, 1, s); };
  const auto ratio = [](const Tensor& samples, const Tensor&) {
    const Tensor r = Tensor::empty({samples.size(0)});
    for (int64_t i = 0; i < r.numel(); ++i)
      r.data<float>()[i] = static_cast<float>(exact_ratio(samples.at(i)));
    return r;
  };
  const auto accepted =
      gan::rejection_sample(source, ratio, Tensor::of<int64_t>({0}), 4000, {}, Stream(9));
  std::printf(
      "M %.2f, accepted %.0f %%\n", accepted.bound,
      100.0 * static_cast<double>(accepted.accepted) / static_cast<double>(accepted.proposed));
  std::vector<int> counts(17);
  double mean = 0, square = 0;
  for (const float x : accepted.samples.span<float>()) {
    mean += x / 4000;
    square += x * x / 4000;
    const double bin = std::round((x + 2) * 4);
    if (bin >= 0 && bin < 17) ++counts[static_cast<size_t>(bin)];
  }
  std::printf("mean %.2f, deviation %.2f\n", mean, std::sqrt(square - mean * mean));
  std::printf("    x  r exact  r learnt     r/M  accepted near x\n");
  for (size_t i = 0; i < counts.size(); ++i) {
    const double x = -2 + 0.25 * static_cast<double>(i);
    std::printf("%5.2f%9.2f%10.2f%8.3f%17d\n", x, exact_ratio(x), learnt_ratio(net, x),
                exact_ratio(x) / accepted.bound, counts[i]);
  }
}
