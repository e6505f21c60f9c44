// Methods that compare the samples of a batch by their pooled vectors: PKT, RKD, CC.
#include "tests/kd/method_fixtures.h"

namespace limbeck::kd {
namespace {

nn::Features vector_features(const Variables& v) { return features_with_vector(v[0]); }

std::unique_ptr<Method> rkd(double distance, double angle) {
  NamedSettings settings = default_method_settings();
  SetField<double>(settings.at("rkd"), "soft_weight", 0.0);
  SetField<double>(settings.at("rkd"), "distance_weight", distance);
  SetField<double>(settings.at("rkd"), "angle_weight", angle);
  return create_method("rkd", settings);
}

TEST(Pkt, GoldenValue) {
  expect_golden("PKT", {student_input({4, 6})}, {teacher_input({4, 10})},
                {0.02389375, {0.0534414}, 0.00933327});
}

TEST(Rkd, GoldenValuesOfBothParts) {
  const Variable s(student_input({4, 6}), true), t(teacher_input({4, 10}));
  const auto loss = [&](double d, double a) {
    return distill(*rkd(d, a), features_with_vector(s), features_with_vector(t));
  };
  EXPECT_GOLDEN(loss(25, 0).item(), 0.6994439);
  EXPECT_GOLDEN(loss(0, 50).item(), 0.9673387);
  const Variable both = loss(25, 50);
  EXPECT_GOLDEN(both.item(), 1.666783);
  both.backward();
  EXPECT_GOLDEN(norm(s.grad()), 2.36114);
  EXPECT_GOLDEN(s.grad().at(0), 0.462111);
}

/// Equal rows count as a positive distance of 1e-6 and have no gradient there.
TEST(Rkd, EqualRowsAreFinite) {
  Tensor twice = Tensor::of<double>({1, 2, 1, 2, 0.5, -1}, {3, 2});
  const Variable s(twice, true), t(teacher_input({3, 2}));
  const Variable loss = distill(*rkd(1, 1), features_with_vector(s), features_with_vector(t));
  EXPECT_TRUE(std::isfinite(loss.item()));
  loss.backward();
  for (const double g : s.grad().to_vector<double>()) EXPECT_TRUE(std::isfinite(g)) << g;
}

TEST(Cc, GoldenValueWithoutEmbeddings) {
  NamedSettings settings = default_method_settings();
  SetField<double>(settings.at("cc"), "weight", 1.0);
  SetField<int64_t>(settings.at("cc"), "dim", int64_t{6});
  const auto method = create_method("cc", settings);
  const Variable s(student_input({4, 6}), true), t(teacher_input({4, 6}));
  prepare(*method, features_with_vector(s), features_with_vector(t));
  method->auxiliary()->to(DType::f64);
  TensorFile identity = method->auxiliary()->state_dict();
  for (auto& [name, value] : identity.tensors)
    for (int64_t i = 0; i < value.numel(); ++i)
      value.data<double>()[i] = value.rank() == 2 && i / 6 == i % 6 ? 1 : 0;
  method->auxiliary()->load_state_dict(identity);
  const Variable loss = distill(*method, features_with_vector(s), features_with_vector(t));
  EXPECT_GOLDEN(loss.item(), 0.7742236);
  loss.backward();
  EXPECT_GOLDEN(norm(s.grad()), 1.29264);
}

TEST(RelationMethods, Gradients) {
  const Tensors s{random_input({5, 4}, 1)}, t{random_input({5, 6}, 2)};
  for (const char* name : {"pkt", "rkd", "cc"})
    expect_method_gradients(*bare(name), vector_features, s, t);
}

/// The last batch of an epoch may hold any number of images.
TEST(RelationMethods, TakeAnyNumberOfSamples) {
  for (const char* name : {"pkt", "rkd", "cc"}) {
    const auto method = bare(name);
    for (const int64_t n : {1, 2, 3}) {
      const Variable s(student_input({n, 4}).to(DType::f32), true),
          t(teacher_input({n, 6}).to(DType::f32));
      prepare(*method, features_with_vector(s), features_with_vector(t));
      const Variable loss = distill(*method, features_with_vector(s), features_with_vector(t));
      EXPECT_TRUE(std::isfinite(loss.item())) << name << " " << n;
      loss.backward();
      for (const float g : s.grad().to_vector<float>()) EXPECT_TRUE(std::isfinite(g)) << name;
      if (n == 1) {
        EXPECT_NEAR(loss.item(), 0, 1e-6) << name;
      }
    }
  }
}

TEST(RelationMethods, NeedThePooledVector) {
  const nn::Features none = features_with_logits(Variable(Tensor::zeros({2, 10}))),
                     vector = features_with_vector(Variable(Tensor::zeros({2, 4})));
  for (const char* name : {"pkt", "rkd", "cc"}) {
    EXPECT_REFUSAL(std::string(name) + ": the teacher has no pooled vector", name, vector, none);
    EXPECT_REFUSAL(std::string(name) + ": the student has no pooled vector", name, none, vector);
  }
}

}  // namespace
}  // namespace limbeck::kd
