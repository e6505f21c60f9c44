// Generators of data-free distillation: sizes as published, ranges, what the class changes.
#include "gan/data_free_generator.h"

#include <gtest/gtest.h>

#include <cmath>

#include "gan/sampler.h"
#include "tests/data/temporary.h"

namespace limbeck::gan {
using test::expect_error;
namespace {

int64_t parameters(const NetworkConfig& c) {
  return create_data_free_generator(c)->parameter_count();
}

TEST(DataFreeGenerator, AsManyParametersAsThePublishedOnes) {
  EXPECT_EQ(parameters({.arch = "dafl", .ch = 128, .dim_z = 1000}), 8'423'939);
  EXPECT_EQ(parameters({.arch = "dafl", .ch = 128, .dim_z = 100, .channels = 1}), 1'049'985);
  EXPECT_EQ(parameters({.arch = "dfad", .ch = 128, .dim_z = 256}), 2'329'091);
  EXPECT_EQ(parameters({.arch = "zskt", .ch = 128, .dim_z = 100}), 1'051'145);
  EXPECT_EQ(parameters({.arch = "cmi", .ch = 128, .dim_z = 256}), 2'328'899);
  EXPECT_EQ(parameters({.arch = "dfq", .ch = 128, .dim_z = 256}), 4'581'955);
  EXPECT_EQ(parameters({.arch = "dfq", .ch = 128, .dim_z = 512}), 8'776'259);
  EXPECT_EQ(parameters({.arch = "gdfq", .ch = 128, .dim_z = 100, .classes = 100}), 1'061'139);
  EXPECT_EQ(parameters({.arch = "cgdd", .ch = 128, .dim_z = 256, .classes = 100, .shared_dim = 50}),
            2'743'499);
  EXPECT_EQ(parameters({.arch = "dcgan_dfad", .ch = 128, .dim_z = 256, .resolution = 128}),
            11'243'203);
  EXPECT_EQ(parameters({.arch = "dcgan_cmi", .ch = 128, .dim_z = 256, .resolution = 64}),
            4'927'171);
  EXPECT_EQ(parameters({.arch = "dcgan_cgdd",
                        .ch = 128,
                        .dim_z = 256,
                        .classes = 101,
                        .resolution = 128,
                        .shared_dim = 50}),
            12'886'653);
  EXPECT_EQ(parameters({.arch = "fast_map", .ch = 128, .dim_z = 256 * 14 * 14, .resolution = 224}),
            592'451);
}

NetworkConfig small(const std::string& arch) {
  return {.arch = arch, .ch = 4, .dim_z = 8, .classes = 3, .resolution = 32, .shared_dim = 5};
}

/// Any family: pixels in [-1, 1]; what the teacher sees is the same image, standardised.
TEST(DataFreeGenerator, MakesImagesAsTheTeacherSeesThem) {
  const data::Standardisation teacher{{0.4, 0.5, 0.6}, {0.2, 0.25, 0.3}};
  for (const std::string& arch : data_free_generator_names()) {
    SCOPED_TRACE(arch);
    const auto g = create_data_free_generator(small(arch));
    g->initialise(Stream(1));
    g->set_standardisation(teacher);
    EXPECT_NEAR(g->standardisation().mean[2], 0.6, 1e-6);
    const NoGrad no_grad;
    const Variable z(draw_noise(4, 8, Stream(2)));
    const Condition condition{Tensor::of<int64_t>({0, 1, 2, 0}), {}};
    const Tensor seen = g->standardised(z, condition).data();
    ASSERT_EQ(seen.shape(), (Shape{4, 32, 32, 3}));
    g->eval();
    const Tensor pixels = g->forward(z, condition).data(),
                 eval_seen = g->standardised(z, condition).data();
    for (int64_t i = 0; i < pixels.numel(); ++i) {
      const auto c = static_cast<size_t>(i % 3);
      const double pixel = 2 * (eval_seen.at(i) * teacher.deviation[c] + teacher.mean[c]) - 1;
      ASSERT_NEAR(pixels.at(i), std::min(1.0, std::max(-1.0, pixel)), 1e-4);
    }
  }
}

TEST(DataFreeGenerator, OnlyTheConditionalOnesFollowTheClass) {
  for (const std::string& arch : data_free_generator_names()) {
    SCOPED_TRACE(arch);
    const auto g = create_data_free_generator(small(arch));
    g->initialise(Stream(1));
    for (const nn::Parameter& p : g->parameters())  // class-wise gains begin equal
      if (arch == "cgdd_cbn" && p.name == "bn1.weight") Stream(5).fill_normal(p.value.data(), 1, 1);
    const NoGrad no_grad;
    const Variable z(draw_noise(2, 8, Stream(2)));
    const auto of = [&](int64_t k) {
      return g->forward(z, Condition{Tensor::of<int64_t>({k, k}), {}}).data();
    };
    const Tensor a = of(0), b = of(1);
    double difference = 0;
    for (int64_t i = 0; i < a.numel(); ++i) difference += std::abs(a.at(i) - b.at(i));
    EXPECT_EQ(difference > 0, g->conditional());
    EXPECT_EQ(g->conditional(), arch.find("cgdd") != std::string::npos || arch == "gdfq");
  }
}

/// A share of 1 is the class itself, and a mixture lies between; gradients reach the shares.
TEST(DataFreeGenerator, FollowsSharesOfClasses) {
  for (const char* arch : {"gdfq", "cgdd", "cgdd_product", "cgdd_cbn", "dcgan_cgdd"}) {
    SCOPED_TRACE(arch);
    const auto g = create_data_free_generator(small(arch));
    g->initialise(Stream(1));
    for (const nn::Parameter& p : g->parameters())
      if (std::string(arch) == "cgdd_cbn" && p.name == "bn1.weight")
        Stream(5).fill_normal(p.value.data(), 1, 1);
    g->eval();
    const Variable z(draw_noise(2, 8, Stream(2)));
    const Tensor classes = Tensor::of<int64_t>({2, 0});
    const auto image = [&](const Variable& shares) { return g->forward(z, {classes, shares}); };
    const Variable sure(Tensor::of<float>({0, 0, 1, 1, 0, 0}).reshape({2, 3}));
    const Tensor of_class = g->forward(z, {classes, {}}).data(), of_shares = image(sure).data();
    for (int64_t i = 0; i < of_class.numel(); ++i)
      ASSERT_NEAR(of_class.at(i), of_shares.at(i), 1e-5);
    const Variable mixed(Tensor::of<float>({0.5, 0, 0.5, 0.9, 0.1, 0}).reshape({2, 3}), true);
    const Variable between = image(mixed);
    double difference = 0;
    for (int64_t i = 0; i < of_class.numel(); ++i)
      difference += std::abs(between.data().at(i) - of_class.at(i));
    EXPECT_GT(difference, 1e-6);
    sum(square(between)).backward();
    EXPECT_TRUE(mixed.grad().defined());
    expect_error([&] { image(Variable(Tensor::zeros({2, 4}))); }, {arch, "[2, 3]", "[2, 4]"});
  }
}

/// A response is the mixture of its two nodes; at a node it is that node alone. Its file says so.
TEST(DataFreeGenerator, FollowsResponses) {
  const std::vector<std::string> of_responses = data_free_generator_names(/*of_responses=*/true);
  EXPECT_EQ(of_responses.size(), 5);
  for (const std::string& arch : of_responses) {
    SCOPED_TRACE(arch);
    const std::string base = arch.substr(0, arch.find("_response"));
    EXPECT_EQ(response_form(base, "arch"), arch);
    EXPECT_EQ(condition_kind(arch), ConditionKind::response);
    const auto g = create_data_free_generator(small(arch)),
               same = create_data_free_generator(small(base));
    EXPECT_TRUE(g->conditional());
    same->initialise(Stream(1));
    for (const nn::Parameter& p : same->parameters())  // class-wise gains begin equal
      if (base == "cgdd_cbn" && p.name == "bn1.weight") Stream(5).fill_normal(p.value.data(), 1, 1);
    TensorFile weights = same->state_dict();
    weights.add("nodes", Tensor::of<float>({0, 1, 2}));
    g->load_state_dict(weights, "the same weights");
    const NoGrad no_grad;
    g->eval(), same->eval();
    const Variable z(draw_noise(4, 8, Stream(2)));
    const Variable y(Tensor::of<float>({0, 0.5, 1, 0.125}).reshape({4, 1})),
        shares(Tensor::of<float>({1, 0, 0, 0, 1, 0, 0, 0, 1, 0.75, 0.25, 0}).reshape({4, 3}));
    const Tensor found = g->standardised(z, {{}, y}).data(),
                 expected =
                     same->standardised(z, {Tensor::of<int64_t>({0, 1, 2, 0}), shares}).data();
    for (int64_t i = 0; i < found.numel(); ++i) ASSERT_EQ(found.at(i), expected.at(i));
    const TensorFile file =
        trained_generator_checkpoint(*g, nullptr, {.low = 10, .high = 30, .unit = "degrees"});
    EXPECT_EQ(file.metadata.at("response_unit"), "degrees");
    const auto loaded = load_generator(file, "memory");
    const Tensor again = loaded->forward(z, Condition{{}, y}).data(),
                 before = g->forward(z, Condition{{}, y}).data();
    for (int64_t i = 0; i < again.numel(); ++i) ASSERT_EQ(again.at(i), before.at(i));
    expect_error(
        [&] {
          g->forward(z, Condition{Tensor::of<int64_t>({0, 1, 2, 0}), {}});
        },
        {arch, "responses", "none"});
  }
  expect_error([] { response_form("cmi", "methods.x.arch"); }, {"methods.x.arch", "cmi", "cgdd"});
  NetworkConfig one = small("cgdd_response");
  one.classes = 1;
  expect_error([&] { create_data_free_generator(one); }, {"2 nodes", "found 1"});
}

TEST(DataFreeGenerator, ComesBackFromItsFile) {
  for (const std::string& arch : data_free_generator_names()) {
    SCOPED_TRACE(arch);
    const auto g = create_data_free_generator(small(arch));
    g->initialise(Stream(1));
    g->set_standardisation({{0.1, 0.2, 0.3}, {0.4, 0.5, 0.6}});
    const auto loaded = load_generator(generator_checkpoint(*g), "memory");
    const Tensor labels = Tensor::of<int64_t>({0, 2}), a = sample(*g, labels, Stream(4)),
                 b = sample(*loaded, labels, Stream(4));
    for (int64_t i = 0; i < a.numel(); ++i) ASSERT_EQ(a.at(i), b.at(i));
  }
}

TEST(DataFreeGenerator, RefusesSizesAndNames) {
  expect_error([] { create_data_free_generator({.arch = "cgd"}); }, {"'cgd'", "cgdd"});
  expect_error([] { create_data_free_generator({.arch = "biggan"}); }, {"biggan"});
  expect_error([] { create_data_free_generator({.arch = "cmi", .resolution = 30}); },
               {"cmi", "multiple of 4", "30"});
  expect_error([] { create_data_free_generator({.arch = "dcgan_cmi", .resolution = 40}); },
               {"dcgan_cmi", "multiple of 16", "40"});
  expect_error([] { create_data_free_generator({.arch = "fast_map", .resolution = 40}); },
               {"fast_map", "multiple of 16", "40"});
  expect_error([] { create_data_free_generator({.arch = "fast_map", .dim_z = 6}); },
               {"fast_map", "2x2", "multiple of 4", "found 6"});
  expect_error([] { create_discriminator({.arch = "cmi"}); }, {"cmi", "discriminator"});
  const auto g = create_data_free_generator(small("cgdd"));
  expect_error([&] { g->set_standardisation({{0.5}, {0.5}}); }, {"3 channels", "found 1"});
  expect_error([&] { g->forward(Variable(Tensor::zeros({2, 8})), Condition{}); }, {"labels"});
}

}  // namespace
}  // namespace limbeck::gan
