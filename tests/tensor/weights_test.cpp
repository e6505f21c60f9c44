// Weights of other programs: keys behind wrappers and beside counters, advice, numbers that are
// none.
#include "tensor/weights.h"

#include <gtest/gtest.h>

#include <limits>

namespace limbeck {
namespace {

TensorFile with_keys(const std::vector<std::string>& keys) {
  TensorFile file;
  for (const std::string& key : keys) file.add(key, Tensor::zeros({2}));
  return file;
}

std::vector<std::string> keys_of(const RenamedWeights& weights) {
  std::vector<std::string> keys;
  for (const auto& [key, tensor] : weights.file.tensors) keys.push_back(key);
  return keys;
}

using Keys = std::vector<std::string>;

std::string error_of(const TensorFile& file, const KeyRules& rules) {
  try {
    rename_weights(file, rules, "x.safetensors");
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(Weights, KnownWrappersAndCountersAreDropped) {
  const RenamedWeights weights =
      rename_weights(with_keys({"n_averaged", "module._orig_mod.fc.weight",
                                "module._orig_mod.fc.total_ops", "module._orig_mod.fc.bias"}),
                     {}, "x");
  EXPECT_EQ(keys_of(weights), (Keys{"fc.weight", "fc.bias"}));
  EXPECT_EQ(weights.front, "module._orig_mod.");
  EXPECT_EQ(weights.counters, (Keys{"n_averaged", "total_ops"}));
}

TEST(Weights, AWrapperOfSomeKeysIsKept) {
  const Keys keys = {"module.fc.weight", "fc.bias"};
  EXPECT_EQ(keys_of(rename_weights(with_keys(keys), {}, "x")), keys);
}

TEST(Weights, PrefixStripAndIgnore) {
  const TensorFile file = with_keys(
      {"a.fc.weight", "a.net.conv.weight", "a.head.weight", "a.head.bias", "b.fc.weight"});
  EXPECT_EQ(keys_of(rename_weights(file, {"a.", {"net."}, {"head"}}, "x")),
            (Keys{"fc.weight", "conv.weight"}));
  EXPECT_EQ(error_of(file, {.prefix = "c."}),
            "x.safetensors: no key begins with 'c.'; its keys begin with 'a.', 'b.'");
  EXPECT_EQ(error_of(file, {.ignore = {"hea"}}), "x.safetensors: no key 'hea' to ignore");
  EXPECT_EQ(error_of(file, {.strip = {"z."}}),
            "x.safetensors: no key begins with 'z.', nothing to strip");
  EXPECT_EQ(error_of(file, {.strip = {"a.", "b."}}),
            "x.safetensors: two of its keys become 'fc.weight'");
}

TEST(Weights, AdviceNamesThePrefixAsItStandsInTheFile) {
  const Keys expected = {"fc.weight", "fc.bias"};
  const auto advice = [&](const Keys& keys) {
    return key_advice(rename_weights(with_keys(keys), {}, "x"), expected);
  };
  EXPECT_NE(
      advice({"module.s.fc.weight", "module.s.fc.bias", "module.t.fc.weight", "module.t.fc.bias"})
          .find("'module.s.', 'module.t.': --prefix takes one of them"),
      std::string::npos);
  EXPECT_NE(advice({"fc.weight", "fc.bias", "ema"}).find("--ignore"), std::string::npos);
  EXPECT_EQ(advice({"fc.weight", "fc.bias"}), "") << "the keys are right";
  EXPECT_EQ(advice({"fc.weight", "head.bias"}), "") << "nothing is known to help";
  EXPECT_EQ(advice({"s.fc.weight"}), "") << "one of two keys is not enough";
}

TEST(Weights, NonfiniteValuesAreNamed) {
  TensorFile file = with_keys({"a"});
  file.add("n", Tensor::full({}, 7, DType::i64));
  EXPECT_NO_THROW(check_finite(file, "x"));
  const double inf = std::numeric_limits<double>::infinity();
  file.add("b", Tensor::of<double>({1, inf, -inf, std::numeric_limits<double>::quiet_NaN()}));
  try {
    check_finite(file, "x.safetensors");
    FAIL();
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "x.safetensors: tensor 'b' holds NaN or infinite values (3 of 4)");
  }
}

}  // namespace
}  // namespace limbeck
