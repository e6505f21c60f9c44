// KDExplainer's tree beside a composition of its own blocks, and the entropy of its mixtures.
#include "nn/models/explainer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "tests/data/temporary.h"

namespace limbeck::nn {
namespace {

std::unique_ptr<Network> new_tree(int64_t classes, int64_t size = 16) {
  auto network = create_model("explainer_tree", {.outputs = classes, .size = size});
  network->initialise(Stream(3));
  network->to(DType::f64);
  return network;
}

Tensor normal(const Shape& shape, uint64_t seed) {
  const Tensor t = Tensor::empty(shape, DType::f64);
  Stream(seed).fill_normal(t);
  return t;
}

/// Sum over parents of d_ij times their maps, one by one.
Variable mixed(const Variables& parents, const Tensor& d, int64_t child) {
  Variable sum;
  for (size_t j = 0; j < parents.size(); ++j) {
    const auto parent_count = static_cast<int64_t>(parents.size());
    const Variable part = parents[j] * d.at(child * parent_count + static_cast<int64_t>(j));
    sum = j ? sum + part : part;
  }
  return sum;
}

TEST(ExplainerTree, IsItsBlocksAndMixtures) {
  const NoGrad no_grad;
  const auto network = new_tree(3, 32);
  network->eval();
  auto& tree = dynamic_cast<ExplainerTree&>(*network);
  tree.inverse_temperature().fill(0.7);
  std::map<std::string, Module*> parts;
  network->visit([&](const std::string& name, Module& m) { parts[name] = &m; });
  std::map<std::string, Tensor> mixes;
  for (const Parameter& p : network->parameters())
    if (p.name.starts_with("mix")) mixes[p.name] = p.value.data();
  const Variables d = tree.decisions();
  // softmax(log softmax(b / 0.5) / t), as the paper's code has it.
  const auto decision = [&](const std::string& name, const Tensor& found) {
    const Tensor& b = mixes.at(name);
    const int64_t parents = b.size(1);
    for (int64_t i = 0; i < b.size(0); ++i) {
      double inner = 0, outer = 0;
      for (int64_t j = 0; j < parents; ++j) inner += std::exp(b.at(i * parents + j) / 0.5);
      const auto log_soft = [&](int64_t j) {
        return b.at(i * parents + j) / 0.5 - std::log(inner);
      };
      for (int64_t j = 0; j < parents; ++j) outer += std::exp(0.7 * log_soft(j));
      for (int64_t j = 0; j < parents; ++j)
        EXPECT_NEAR(found.at(i * parents + j), std::exp(0.7 * log_soft(j)) / outer, 1e-12) << name;
    }
  };
  decision("mix2", d[0].data());
  decision("mix3", d[1].data());
  decision("mix_heads", d[2].data());

  const Variable x(normal({2, 32, 32, 3}, 5));
  const auto block = [&](int level, int i, const Variable& in) {
    return parts.at("level" + std::to_string(level) + "." + std::to_string(i))->forward(in);
  };
  Variables one = {block(1, 0, x), block(1, 1, x)}, two, three, logits;
  for (int i = 0; i < 4; ++i) two.push_back(block(2, i, mixed(one, d[0].data(), i)));
  for (int i = 0; i < 8; ++i) three.push_back(block(3, i, mixed(two, d[1].data(), i)));
  for (int k = 0; k < 3; ++k)
    logits.push_back(
        parts.at("heads." + std::to_string(k))
            ->forward(flatten_chw(adaptive_avg_pool2d(mixed(three, d[2].data(), k), 7, 7))));
  const Tensor expected = concat(logits, 1).data(), found = network->forward(x).data();
  ASSERT_EQ(found.shape(), (Shape{2, 3}));
  for (int64_t i = 0; i < 6; ++i) EXPECT_NEAR(found.at(i), expected.at(i), 1e-12);
}

TEST(ExplainerTree, GradientsOfTheMixtures) {
  const auto network = new_tree(3);
  const Variable x(normal({2, 16, 16, 3}, 5)), w(normal({2, 3}, 6));
  const auto loss = [&] {
    network->set_streams(Stream(1));
    return sum(network->forward(x) * w);
  };
  loss().backward();
  int checked = 0;
  for (const Parameter& p : network->parameters()) {
    if (!p.name.starts_with("mix")) continue;
    const Tensor b = p.value.data(), direction = normal(b.shape(), 7);
    double analytic = 0;
    for (int64_t i = 0; i < b.numel(); ++i) analytic += direction.at(i) * p.value.grad().at(i);
    const NoGrad no_grad;
    const auto moved = [&](double by) {
      for (int64_t i = 0; i < b.numel(); ++i) b.data<double>()[i] += by * direction.at(i);
      return loss().item();
    };
    constexpr double step = 1e-5;
    const double after = moved(step), before = moved(-2 * step);
    moved(step);
    EXPECT_NEAR(analytic, (after - before) / (2 * step), 1e-6 * std::abs(analytic) + 1e-10)
        << p.name;
    EXPECT_NE(analytic, 0) << p.name;
    ++checked;
  }
  EXPECT_EQ(checked, 3);
}

TEST(ExplainerTree, EntropyOfItsMixtures) {
  const Variable even(Tensor::full({4, 2}, 0.5)), one(Tensor::of<float>({1, 0, 0, 1}, {2, 2}));
  EXPECT_NEAR(mean_entropy({even}), 1, 1e-12);
  EXPECT_EQ(mean_entropy({one}), 0);
  EXPECT_NEAR(mean_entropy({even, one}), 4.0 / 6, 1e-12) << "every row counts once";
  test::expect_error(
      [] {
        mean_entropy({Variable(Tensor::full({3, 1}, 1))});
      },
      {"at least two parents", "[3, 1]"});
  const auto network = new_tree(10);
  auto& tree = dynamic_cast<ExplainerTree&>(*network);
  EXPECT_GT(mean_entropy(tree.decisions()), 0.99) << "t = 10";
  tree.inverse_temperature().fill(1e6);
  EXPECT_EQ(mean_entropy(tree.decisions()), 0) << "one parent each";
}

}  // namespace
}  // namespace limbeck::nn
