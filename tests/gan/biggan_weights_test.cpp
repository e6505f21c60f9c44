// The sizes of a BigGAN read from its weights alone, for every form that the networks have.
#include "gan/biggan_weights.h"

#include <gtest/gtest.h>

#include "gan/sampler.h"
#include "tests/nn/stopping.h"

namespace limbeck::gan {
namespace {

void expect_same(const NetworkConfig& found, const NetworkConfig& c, bool generator) {
  EXPECT_EQ(found.arch, c.arch);
  EXPECT_EQ(found.ch, c.ch);
  EXPECT_EQ(found.classes, c.classes);
  EXPECT_EQ(found.resolution, c.resolution);
  EXPECT_EQ(found.channels, c.channels);
  EXPECT_EQ(found.attention, c.attention);
  EXPECT_EQ(found.depth, c.depth);
  if (!generator) return;
  EXPECT_EQ(found.dim_z, c.dim_z);
  EXPECT_EQ(found.shared_dim, c.shared_dim);
  EXPECT_EQ(found.hierarchical, c.hierarchical);
}

/// Initialises a network and reads its sizes back from its weights.
template <class Network>
TensorFile checked_weights(Network& network, uint64_t seed, bool generator) {
  network.initialise(Stream(seed));
  const TensorFile weights = network.state_dict();
  EXPECT_EQ(is_discriminator(weights), !generator);
  expect_same(biggan_config_of(weights, network.config().arch, generator ? "G" : "D"),
              network.config(), generator);
  return weights;
}

/// Both networks: sizes from the weights, and a checkpoint that has the weights' bits.
void check(const NetworkConfig& config) {
  SCOPED_TRACE(cat(config.arch, " ", config.resolution, " shared ", config.shared_dim));
  checked_weights(*create_generator(config), 1, true);
  const auto d = create_discriminator(config);
  const TensorFile weights = checked_weights(*d, 2, false);
  const TensorFile checkpoint = discriminator_checkpoint(*d);
  EXPECT_EQ(checkpoint_kind(checkpoint), CheckpointKind::discriminator);
  test::expect_equal_bits(load_discriminator(checkpoint, "D")->state_dict(), weights);
  EXPECT_THROW(load_generator(checkpoint, "D"), Error);
}

TEST(BigGanWeights, EveryFormIsRecognised) {
  check({.ch = 2, .dim_z = 6, .classes = 3, .channels = 1});
  check({.ch = 8, .dim_z = 8, .classes = 5, .resolution = 64, .attention = {32}});
  check({.ch = 8,
         .dim_z = 12,
         .classes = 4,
         .resolution = 128,
         .attention = {64},
         .shared_dim = 5,
         .hierarchical = true});
  check({.ch = 2, .dim_z = 7, .classes = 4, .shared_dim = 5});
  check({.ch = 2,
         .dim_z = 9,
         .classes = 4,
         .attention = {16},
         .shared_dim = 5,
         .hierarchical = true});
  check({.arch = "biggan-deep",
         .ch = 8,
         .dim_z = 6,
         .classes = 3,
         .resolution = 64,
         .attention = {32},
         .shared_dim = 5,
         .hierarchical = true});
  check({.arch = "biggan-deep",
         .ch = 8,
         .dim_z = 6,
         .classes = 3,
         .resolution = 128,
         .attention = {64},
         .shared_dim = 5,
         .hierarchical = true,
         .depth = 3});
}

std::string error_of(const TensorFile& weights, const std::string& arch) {
  try {
    biggan_config_of(weights, arch, "G.safetensors");
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(BigGanWeights, OtherWeightsAreRefusedByName) {
  TensorFile weights;
  weights.add("conv1.weight", Tensor::zeros({4, 3, 3, 3}));
  EXPECT_NE(error_of(weights, "biggan").find("G.safetensors: expected a tensor 'output_layer.2.w"),
            std::string::npos);
  EXPECT_NE(error_of(weights, "sagan").find("not of sagan"), std::string::npos);
  const auto g = create_generator({.ch = 2, .dim_z = 6, .classes = 3});
  TensorFile cut;
  for (const auto& [key, tensor] : g->state_dict().tensors)
    if (!key.starts_with("blocks.2.")) cut.add(key, tensor);
  EXPECT_NE(error_of(cut, "biggan").find("in 2 blocks are no generator"), std::string::npos);
}

}  // namespace
}  // namespace limbeck::gan
