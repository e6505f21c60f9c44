#include "gan/sparse_autoencoder.h"

#include <string>
#include <utility>

#include "autograd/autocast.h"

namespace limbeck::gan {
namespace {

using nn::Conv2d, nn::Conv2dConfig, nn::ConvTranspose2d, nn::Linear;

constexpr Conv2dConfig same{.kernel = 3, .padding = 1, .bias = true},
    halve{.kernel = 4, .stride = 2, .padding = 1, .bias = true};

int64_t side_of(const SparseAutoencoderSize& s) {
  LIMBECK_CHECK(s.ch > 0 && s.bottleneck > 0 && s.channels > 0,
                "sparse autoencoder: expected positive sizes, found ch = ", s.ch,
                ", bottleneck = ", s.bottleneck, ", channels = ", s.channels);
  LIMBECK_CHECK(s.size > 0 && s.size % 16 == 0,
                "sparse autoencoder: the image is halved four times; expected a multiple of 16 "
                "(data.image_size), found ",
                s.size);
  return s.size / 16;
}

}  // namespace

void NormChain::append(std::unique_ptr<nn::Module> layer, int64_t channels) {
  const size_t index = 3 * layers_.size();
  layers_.push_back(&own(std::to_string(index), std::move(layer)));
  norms_.push_back(&own(std::to_string(index + 1), std::make_unique<nn::BatchNorm>(channels)));
}

void NormChain::finish(std::unique_ptr<nn::Module> layer) {
  layers_.push_back(&own(std::to_string(3 * layers_.size()), std::move(layer)));
}

Variable NormChain::forward(const Variable& x) {
  Variable h = x;
  for (size_t i = 0; i < layers_.size(); ++i) {
    h = layers_[i]->forward(h);
    if (i < norms_.size()) h = norms_[i]->relu(h);
  }
  return h;
}

SparseEncoder::SparseEncoder(const SparseAutoencoderSize& s)
    : feature_size_(s.bottleneck), fc_(4 * s.ch * side_of(s) * side_of(s), s.bottleneck) {
  // Width on entering a stage, and what its 3x3 convolution makes of it.
  const std::pair<int64_t, int64_t> stages[] = {
      {s.ch, s.ch}, {s.ch, 2 * s.ch}, {2 * s.ch, 4 * s.ch}, {4 * s.ch, 4 * s.ch}};
  int64_t in = s.channels;
  for (const auto& [width, out] : stages) {
    conv_.append(std::make_unique<Conv2d>(in, width, halve), width);
    conv_.append(std::make_unique<Conv2d>(width, out, same), out);
    in = out;
  }
  add("conv", conv_);
  add("fc.0", fc_);
}

Variable SparseEncoder::forward(const Variable& images) {
  return relu(fc_(flatten_chw(conv_(images))));
}

SparseDecoder::SparseDecoder(const SparseAutoencoderSize& s)
    : channels_(4 * s.ch), side_(side_of(s)) {
  const int64_t flat = channels_ * side_ * side_;
  fc_.append(std::make_unique<Linear>(s.bottleneck, flat), flat);
  const std::pair<int64_t, int64_t> stages[] = {
      {4 * s.ch, 2 * s.ch}, {2 * s.ch, s.ch}, {s.ch, s.ch}, {s.ch, s.ch}};
  for (const auto& [width, out] : stages) {
    deconv_.append(std::make_unique<ConvTranspose2d>(width, width, halve), width);
    deconv_.append(std::make_unique<Conv2d>(width, out, same), out);
  }
  deconv_.finish(
      std::make_unique<Conv2d>(s.ch, s.channels, Conv2dConfig{.kernel = 1, .bias = true}));
  add("fc", fc_);
  add("deconv", deconv_);
}

Variable SparseDecoder::forward(const Variable& features) {
  return tanh(from_activation(deconv_(unflatten_chw(fc_(features), channels_, side_, side_))));
}

SparsePredictor::SparsePredictor(int64_t bottleneck) {
  int64_t in = bottleneck;
  for (const int64_t out : {1024, 512, 256}) {
    predict_.append(std::make_unique<Linear>(in, out), out);
    in = out;
  }
  predict_.finish(std::make_unique<Linear>(in, 1));
  add("predict", predict_);
}

Variable SparsePredictor::forward(const Variable& features) { return relu(predict_(features)); }

SparseAutoencoder::SparseAutoencoder(const SparseAutoencoderSize& size)
    : encoder(size), decoder(size), predict(size.bottleneck) {
  add("encoder", encoder);
  add("decoder", decoder);
  add("predict", predict);
}

SparseAutoencoder::Result SparseAutoencoder::run(const Variable& images) {
  Result r;
  r.feature = encoder(images);
  r.reconstruction = decoder(r.feature);
  r.prediction = predict(r.feature);
  return r;
}

Variable sparse_autoencoder_loss(const SparseAutoencoder::Result& r, const Variable& images,
                                 const Variable& responses, double sparsity, double weight) {
  return mse_loss(r.reconstruction, images) + mean(r.feature) * sparsity +
         mse_loss(r.prediction, responses) * weight;
}

}  // namespace limbeck::gan
