// KDIGA and VAM-R, which look into the student's layers: golden values, gradients, whole trainings.
#include <gtest/gtest.h>

#include <cmath>

#include "kd/methods/kdiga.h"
#include "kd/methods/vam.h"
#include "nn/layers.h"
#include "tests/data/temporary.h"
#include "tests/kd/method_fixtures.h"
#include "tests/kd/teach.h"
#include "train/attack.h"

namespace limbeck::kd {
namespace {

// --- KDIGA ---------------------------------------------------------------------------------------

/// conv 3x3, batch norm or none, ReLU, mean, linear.
class Golden : public nn::Network {
 public:
  Golden(int64_t channels, bool norm)
      : conv(3, channels, {.kernel = 3, .padding = 1}), bn_(channels), fc(channels, 4, false) {
    add("conv", conv), add("fc", fc);
    if (norm) add("bn", bn_);
    norm_ = norm;
    initialise(Stream(1));
    to(DType::f64);
  }
  nn::Features forward_features(const Variable& x, bool = false) override {
    const Variable map = norm_ ? bn_.relu(conv(x)) : relu(conv(x)), pooled = global_avg_pool(map);
    return {{map, pooled}, fc(pooled), pooled};
  }
  nn::Conv2d conv;

 private:
  nn::BatchNorm2d bn_;

 public:
  nn::Linear fc;

 private:
  bool norm_;
};

template <class F, class G>
void fill(Golden& net, F conv, G linear) {
  const Shape w = net.conv.weight.shape();
  net.conv.weight.set_data(filled({w[0], w[3], 3, 3}, conv));
  net.conv.weight.set_requires_grad(true);
  net.fc.weight.set_data(filled({4, w[0]}, linear));
}

struct KdigaBench {
  Golden student, teacher{6, false};
  Tensor images = student_input({2, 3, 4, 4});
  std::unique_ptr<Method> method;
  std::vector<double> deviation;
  KdigaBench(bool norm, const std::string& form)
      : KdigaBench(norm, create_method("kdiga", "form", form)) {}
  KdigaBench(bool norm, std::unique_ptr<Method> m, std::vector<double> deviations = {})
      : student(5, norm), method(std::move(m)), deviation(std::move(deviations)) {
    fill(
        student, [](double i) { return 0.5 * std::sin(1.7 * i + 0.3); },
        [](double i) { return 0.8 * std::sin(1.1 * i + 0.2); });
    fill(
        teacher, [](double i) { return 0.5 * std::cos(1.3 * i + 0.2); },
        [](double i) { return 0.8 * std::cos(0.9 * i + 0.1); });
    teacher.set_requires_grad(false);
    teacher.eval();
    one_hot(images);
  }
  Variable loss() {
    const Variable x(images, true), seen(images, true);
    OperatorTrace trace;
    const nn::Features s = student.forward_features(x);
    const std::vector<OperatorCall> calls = trace.calls();
    const nn::Features t = teacher.forward_features(seen);
    data::Batch batch;
    batch.images = images, batch.labels = Tensor::of<int64_t>({1, 3});
    return method->loss({s, t, {student, s, batch, {}, {}, {}, x, &calls}, teacher, seen});
  }

 private:
  void one_hot(const Tensor& x) {
    const NoGrad no_grad;
    const nn::Features s = student.forward_features(Variable(x)),
                       t = teacher.forward_features(Variable(x));
    const data::Dataset none;
    Pair pair{student, teacher, s, t, none, Stream(1), 2, {}};
    pair.standardisation.deviation = deviation;
    method->prepare(pair);
  }
};

void expect_kdiga(bool norm, const char* form, double value, double conv, double conv_first,
                  double linear, double linear_first) {
  KdigaBench b(norm, form);
  const Variable loss = b.loss();
  EXPECT_NEAR(loss.item(), value, 1e-6) << form;
  loss.backward();
  const Tensor of_conv = b.student.conv.weight.grad(), of_linear = b.student.fc.weight.grad();
  EXPECT_NEAR(kd::norm(of_conv), conv, 1e-5 * conv) << form;
  EXPECT_NEAR(kd::norm(of_linear), linear, 1e-5 * linear) << form;
  if (conv_first == 0) return;
  EXPECT_NEAR(of_conv.at(0), conv_first, 1e-7) << form;
  EXPECT_NEAR(of_linear.at(0), linear_first, 1e-7) << form;
}

TEST(Kdiga, GoldenValues) {
  expect_kdiga(false, "norm", 0.1765061, 0.1063865, -0.0008108053, 0.1046954, 0.003771121);
  expect_kdiga(true, "norm", 0.4978334, 1.385759, 0.07381008, 0.5507804, -0.005548947);
  expect_kdiga(false, "squared", 0.03648504, 0.04421808, 0, 0.0387792, 0);
  expect_kdiga(true, "squared", 0.2492477, 1.376902, 0, 0.5472347, 0);
}

/// Those that backward() left in the student, beside central differences of the loss.
void expect_gradients(KdigaBench& b, double absolute, const char* form) {
  for (const Variable& w : {b.student.conv.weight, b.student.fc.weight})
    for (int64_t e = 0; e < w.data().numel(); e += 7) {
      double& element = w.data().data<double>()[e];
      const double at = element, h = 1e-6;
      element = at + h;
      const double above = b.loss().item();
      element = at - h;
      const double below = b.loss().item();
      element = at;
      const double numeric = (above - below) / (2 * h);
      EXPECT_NEAR(w.grad().at(e), numeric, absolute + 1e-4 * std::abs(numeric)) << form << e;
    }
}

/// The value is that of the gradients' distance: its central differences are the gradient.
TEST(Kdiga, GradientsAreThoseOfTheDistance) {
  for (const bool norm : {false, true})
    for (const char* form : {"norm", "squared"}) {
      KdigaBench b(norm, form);
      b.loss().backward();
      expect_gradients(b, 1e-6, form);
    }
}

TEST(Kdiga, GoldenValueOfDifferences) {
  const Variable above(student_input({4, 10}, 3), true);
  const Variable loss = kdiga::difference_loss(above, Variable(student_input({4, 10}, 2)),
                                               Variable(teacher_input({4, 10}, 4)),
                                               Variable(teacher_input({4, 10}, 3)));
  EXPECT_NEAR(loss.item(), 0.3434862, 1e-6);
  loss.backward();
  EXPECT_NEAR(kd::norm(above.grad()), 0.1232, 1e-6);
  EXPECT_NEAR(above.grad().at(0), -0.0192726, 1e-7);
}

/// The step on both sides as its definition has it, and its gradient beside central differences.
TEST(Kdiga, ComparesTheLogitsOnBothSides) {
  for (const bool norm : {false, true}) {
    KdigaBench b(norm, "igdm");
    const Variable loss = b.loss();
    const double eps = 8.0 / 255;
    const Variable x(b.images, true);
    cross_entropy(b.student(x), Tensor::of<int64_t>({1, 3}), Reduction::sum).backward();
    const Variable delta = train::sign(x.grad()) * eps;
    const auto sides = [&](nn::Network& net) {
      const Variable both =
          net(concat({Variable(b.images) + delta, Variable(b.images) - delta}, 0));
      return slice(both, 0, 0, 2) - slice(both, 0, 2, 4);
    };
    const double expected =
        20 * distillation_loss(sides(b.student), sides(b.teacher).data(), 1).item();
    EXPECT_GT(expected, 1e-5);
    b.student.zero_grad();
    EXPECT_NEAR(loss.item(), expected, 1e-9 * expected);
    loss.backward();
    expect_gradients(b, 1e-7, norm ? "igdm, norm" : "igdm");
  }
}

/// In units of pixels: a channel of twice the deviation is moved half as far, and b and c say how
/// far.
TEST(Kdiga, StepsInUnitsOfPixels) {
  const auto value = [](double eps, double both_sides, double deviation) {
    NamedSettings settings = default_method_settings();
    AnySettings& own = settings.at("kdiga");
    SetField<std::string>(own, "form", "igdm"), SetField<double>(own, "eps", eps);
    SetField<double>(own, "b", both_sides), SetField<double>(own, "c", both_sides);
    KdigaBench b(false, create_method("kdiga", settings), {deviation, deviation, deviation});
    return b.loss().item();
  };
  EXPECT_DOUBLE_EQ(value(0.02, 1, 1), value(0.01, 1, 0.5));
  EXPECT_NEAR(value(0.02, 1, 1), value(0.01, 2, 1), 1e-12);
  EXPECT_GT(value(0.02, 1, 1), 1.5 * value(0.01, 1, 1));
}

TEST(Kdiga, EqualNetworksHaveNeitherLossNorGradient) {
  KdigaBench b(false, "norm");
  fill(
      b.teacher, [](double) { return 0.0; }, [](double) { return 0.0; });
  fill(
      b.student, [](double) { return 0.0; }, [](double) { return 0.0; });
  const Variable loss = b.loss();
  EXPECT_EQ(loss.item(), 0);
  loss.backward();
  for (const double g : b.student.conv.weight.grad().to_vector<double>()) EXPECT_EQ(g, 0);
}

data::Dataset noise(int64_t n) {
  data::Dataset d = labelled(n, 3);
  Stream s(5);
  for (uint8_t& x : d.images.span<uint8_t>()) x = static_cast<uint8_t>(s.below(256));
  return d;
}
const nn::ModelOptions tiny{.outputs = 3, .channels = 3, .size = 8};
std::unique_ptr<nn::Network> model(uint64_t seed, const std::string& name = "resnet8") {
  auto network = nn::create_model(name, tiny);
  network->initialise(Stream(seed));
  return network;
}

/// The running statistics move once a step, by the ordinary forward pass alone.
TEST(Kdiga, RunsTheStudentsBatchNormsOnceAStep) {
  const data::Dataset d = noise(32);
  for (const char* form : {"norm", "igdm"}) {
    const auto student = model(1);
    Distillation distillation("kdiga", create_method("kdiga", "form", std::string(form)), model(2),
                              nn::Task::classification);
    nn::Monitor monitor;
    const auto result =
        teach(*student, distillation, d, d, monitor, {.epochs = 1, .batch = 8, .lr = 0.01});
    EXPECT_TRUE(std::isfinite(result.loss));
    EXPECT_EQ(student->state_dict().get("bn1.num_batches_tracked").item(), 4) << form;
  }
}

/// Weights that stay: then running statistics are the same whatever the form, unless a pass of its
/// own moves them.
TEST(Kdiga, TheOtherPassesMoveNoStatistics) {
  const data::Dataset d = noise(32);
  const auto after = [&](const char* form, const char* teacher_bn) {
    NamedSettings settings = default_method_settings();
    AnySettings& own = settings.at("kdiga");
    SetField<std::string>(own, "form", form), SetField<std::string>(own, "teacher_bn", teacher_bn);
    auto student = model(1);
    auto teacher = model(2);
    nn::Network& seen = *teacher;
    Distillation distillation("kdiga", create_method("kdiga", settings), std::move(teacher),
                              nn::Task::classification);
    nn::Monitor monitor;
    teach(*student, distillation, d, d, monitor, {.epochs = 1, .batch = 8, .lr = 1e-30});
    std::vector<float> all;
    for (nn::Network* net : {student.get(), &seen})
      for (const float x : net->state_dict().get("bn1.running_mean").to_vector<float>())
        all.push_back(x);
    return all;
  };
  for (const char* teacher_bn : {"eval", "adapt"})
    EXPECT_EQ(after("igdm", teacher_bn), after("norm", teacher_bn)) << teacher_bn;
  EXPECT_NE(after("norm", "adapt"), after("norm", "eval"));
}

// --- VAM-R ---------------------------------------------------------------------------------------

TEST(Vam, GoldenValues) {
  const Variable w(filled({4, 6, 1, 1}, [](double i) { return 0.5 * std::sin(1.7 * i + 0.3); })),
      e(Tensor::of<double>({0, std::sin(1), std::sin(2), std::sin(3), std::sin(4), std::sin(5)},
                           {2, 3}),
        true),
      x(filled({1, 6, 1, 1}, [](double i) { return std::sin(0.37 * i + 0.5); }));
  const Variable a = vam::attention(e, 1);
  const double attention[] = {0.1723438, 0.3997992, 0.427857, 0.574623, 0.2341101, 0.1912669};
  for (int64_t i = 0; i < 6; ++i) EXPECT_NEAR(a.data().at(i), attention[i], 1e-6);
  const Variable h = vam::entropies(a) * std::log(3.0);
  EXPECT_NEAR(h.data().at(0), 1.032795, 1e-6);
  EXPECT_NEAR(h.data().at(1), 0.974656, 1e-6);
  const Variable changed = vam::reweighed(w, a);
  const double row[] = {0.0763966, 0.2350677, -0.3177421, -0.463426, 0.4678417, 0.3753913};
  for (int64_t i = 0; i < 6; ++i) EXPECT_NEAR(changed.data().at(i), row[i], 1e-6);
  const Variable y = conv2d(x, changed);
  const double out[] = {0.1490069, -0.0841624, 0.0881686, 0.345491};
  double expected = 0;
  Tensor weights = Tensor::empty({4}, DType::f64);
  for (int64_t o = 0; o < 4; ++o) {
    EXPECT_NEAR(y.data().at(o), out[o], 1e-6);
    weights.data<double>()[o] = std::cos(0.23 * static_cast<double>(o) + 0.1);
    expected += weights.at(o) * out[o];
  }
  const Variable total = sum(y * Variable(weights));
  EXPECT_NEAR(total.item(), 0.3865148, 1e-6);
  EXPECT_NEAR(total.item(), expected, 1e-6);
  total.backward();
  const double gradient[] = {0.0332757, -0.2045659, 0.1712902, 0.217912, -0.3174853, 0.0995733};
  for (int64_t i = 0; i < 6; ++i) EXPECT_NEAR(e.grad().at(i), gradient[i], 1e-6);
}

TEST(Vam, ChoosesBlocksThatDivide) {
  EXPECT_EQ(vam::block_of(32, 64, 16), 16);
  EXPECT_EQ(vam::block_of(16, 32, 16), 0) << "one block";
  EXPECT_EQ(vam::block_of(24, 36, 16), 12);
  EXPECT_EQ(vam::block_of(3, 16, 16), 1);
}

/// The network begins as it was, and is saved with its attention as part of the weights.
TEST(Vam, IsPartOfTheSavedWeights) {
  const data::Dataset d = noise(32);
  const auto student = model(1), plain = model(1);
  const data::Standardisation standard = data::standardisation_of(d);
  const NoGrad no_grad;
  Tensor pixels = Tensor::empty({2, 8, 8, 3});
  Stream(3).fill_normal(pixels, 0, 1);
  const Variable images(pixels);
  student->eval(), plain->eval();
  const auto output = [&](nn::Network& n) { return n(images).data().to_vector<float>(); };
  const auto expect_near = [](const std::vector<float>& a, const std::vector<float>& b) {
    for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-4 * (1 + std::abs(b[i])));
  };
  Distillation distillation("vam", create_method("vam", "block", int64_t{8}), model(2),
                            nn::Task::classification);
  const nn::Features seen = student->forward_features(images);
  distillation.prepare({*student, seen, images, d, Stream(1), 8, 2, standard});
  expect_near(output(*student), output(*plain));
  nn::Module& attentions = *distillation.auxiliary();
  EXPECT_GT(attentions.parameter_count(), 0);
  Stream draws(4);
  for (const nn::Parameter& p : attentions.parameters()) {
    EXPECT_FALSE(p.decays) << p.name;
    draws.fill_normal(p.value.data(), 0, 1);
  }
  const std::vector<float> changed = output(*student);
  EXPECT_NE(changed, output(*plain));
  distillation.finish(*student);
  expect_near(output(*student), changed);
  plain->load_state_dict(student->state_dict());
  EXPECT_EQ(output(*plain), output(*student));
}

TEST(Vam, TrainsItsAttentionOrLeavesItEven) {
  const data::Dataset d = noise(32);
  for (const bool trains : {true, false}) {
    NamedSettings settings = default_method_settings();
    SetField<bool>(settings.at("vam"), "train_attention", trains);
    SetField<int64_t>(settings.at("vam"), "block", int64_t{8});
    Distillation distillation("vam", create_method("vam", settings), model(2),
                              nn::Task::classification);
    const auto student = model(1);
    nn::Monitor monitor;
    teach(*student, distillation, d, d, monitor, {.epochs = 1, .batch = 8, .lr = 0.1});
    double square = 0;
    for (const nn::Parameter& p : distillation.auxiliary()->parameters())
      for (const float x : p.value.data().to_vector<float>()) square += x * x;
    EXPECT_EQ(square > 0, trains);
  }
}

TEST(Vam, EntropyHasItsGradient) {
  const auto report =
      gradcheck([](const Variables& v) { return mean(vam::entropies(vam::attention(v[0], 0.7))); },
                {Variable(random_input({3, 4}, 1), true)});
  EXPECT_TRUE(report.ok) << report.message;
  EXPECT_NEAR(mean(vam::entropies(vam::attention(Variable(Tensor::zeros({2, 5})), 1))).item(), 1,
              1e-6);
}

TEST(Surgery, RefusesWhatItCannotServe) {
  const auto message = [](const char* name, const char* key, const auto& value,
                          std::initializer_list<std::string> parts) {
    test::expect_error([&] { create_method(name, key, value); }, parts);
  };
  message("kdiga", "form", std::string("l1"), {"methods.kdiga.form"});
  message("kdiga", "weight", -1.0, {"methods.kdiga.weight"});
  message("kdiga", "alpha", -1.0, {"methods.kdiga.alpha"});
  message("kdiga", "eps", 8.0, {"methods.kdiga.eps", "(0, 1]", "found 8"});
  message("kdiga", "eps", 0.0, {"methods.kdiga.eps"});
  message("kdiga", "b", -1.0, {"methods.kdiga.b"});
  message("vam", "block", int64_t{0}, {"methods.vam.block"});
  message("vam", "attention_temperature", 0.0, {"methods.vam.attention_temperature"});
  message("vam", "entropy_weight", -1.0, {"methods.vam.entropy_weight"});
  // 64 channels at most: one block each.
  const auto student = model(1);
  const Variable images(Tensor::zeros({2, 8, 8, 3}));
  student->eval();
  const nn::Features seen = student->forward_features(images);
  const data::Dataset none;
  Distillation distillation("vam", create_method("vam", "block", int64_t{64}), model(2),
                            nn::Task::classification);
  test::expect_error(
      [&] {
        distillation.check({*student, seen, images, none, Stream(1), 2});
      },
      {"vam", "no 3x3 convolution", "methods.vam.block"});
}

}  // namespace
}  // namespace limbeck::kd
