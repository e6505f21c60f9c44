#include "gan/density_ratio.h"

#include <algorithm>
#include <cmath>

#include "nn/optim.h"

namespace limbeck::gan {
namespace {
/// Eight, as in the original, whose smallest group has `least` channels. Narrower layers get fewer
/// groups instead of smaller ones: a group of one channel would be normalised to zero.
int64_t groups_of(int64_t width, int64_t least) { return std::clamp<int64_t>(width / least, 1, 8); }
}  // namespace

std::vector<int64_t> ratio_widths(const std::string& name, double scale) {
  static const std::vector<std::pair<std::string, std::vector<int64_t>>> known = {
      {"MLP3", {512, 256, 128}},
      {"MLP5", {2048, 1024, 512, 256, 128}},
      {"MLP7", {2048, 2048, 1024, 1024, 512, 256, 128}},
      {"MLP9", {2048, 2048, 1024, 1024, 512, 512, 256, 256, 128}},
  };
  LIMBECK_CHECK(scale > 0, "ratio.width: expected a positive number, found ", scale);
  std::vector<std::string> names;
  for (const auto& [n, widths] : known) {
    names.push_back(n);
    if (n != name) continue;
    std::vector<int64_t> scaled;
    for (int64_t w : widths)
      scaled.push_back(
          std::max<int64_t>(16, std::llround(static_cast<double>(w) * scale / 16) * 16));
    return scaled;
  }
  fail("ratio.net: no network '", name, "'", did_you_mean(name, names));
}

RatioMlp::RatioMlp(int64_t condition, int64_t feature, const std::vector<int64_t>& widths,
                   double dropout, int64_t group_channels) {
  int64_t in = condition + feature, index = 0;
  for (int64_t out : widths) {
    Layer layer;
    layer.linear = &own(std::to_string(index), std::make_unique<nn::Linear>(in, out));
    layer.norm = &own(std::to_string(index + 1),
                      std::make_unique<nn::GroupNorm>(groups_of(out, group_channels), out));
    layer.dropout = &own(std::to_string(index + 3), std::make_unique<nn::Dropout>(dropout));
    layers_.push_back(layer);
    index += 4;
    in = out;
  }
  last_ = &own(std::to_string(index), std::make_unique<nn::Linear>(in, 1));
}

Variable RatioMlp::operator()(const Variable& condition, const Variable& feature) {
  Variable h = concat({condition, feature}, 1);
  for (const Layer& l : layers_) h = (*l.dropout)(relu((*l.norm)((*l.linear)(h))));
  return relu((*last_)(h));
}

ClassRatioNet::ClassRatioNet(int64_t classes, int64_t embedding, int64_t feature,
                             const std::vector<int64_t>& widths, double dropout)
    : label_emb_(classes, embedding > 0 ? embedding : classes),
      main_(embedding > 0 ? embedding : classes, feature, widths, dropout) {
  add("label_emb", label_emb_);
  add("main", main_);
}

Variable ClassRatioNet::ratio(const Variable& features, const Tensor& y) {
  LIMBECK_CHECK(y.dtype() == DType::i64 && y.rank() == 1 && y.size(0) == features.size(0),
                "ratio net: expected one class (i64) for each of ", features.size(0),
                " features, found ", describe(y));
  return main_(label_emb_(y), features);
}

Variable ratio_loss(const Variable& real, const Variable& fake, double lambda) {
  const Variable on_fake = mean(sigmoid(fake) * fake - softplus(fake));
  return on_fake - mean(sigmoid(real)) + square(mean(fake) - 1.0) * lambda;
}

Tensor ratios_of(RatioNet& net, const FeatureExtractor& features, const Tensor& images,
                 const Tensor& y) {
  const NoGrad no_grad;
  features.eval();
  net.eval();
  const Device device = net.device();
  return net.ratio(features(Variable(images.to(device))), y.to(device)).data().reshape({-1});
}

}  // namespace limbeck::gan
