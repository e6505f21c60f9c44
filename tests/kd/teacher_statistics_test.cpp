// What a teacher's batch norms go by: outputs and running statistics in each of the four ways, a
// resume, refusals.
#include <gtest/gtest.h>

#include <cmath>

#include "nn/layers.h"
#include "tests/data/temporary.h"
#include "tests/kd/method_fixtures.h"
#include "tests/kd/teach.h"
#include "tests/nn/stopping.h"

namespace limbeck::kd {
namespace {

/// One batch norm and a dropout that is seen when it is on.
class OneNorm : public nn::Network {
 public:
  OneNorm() : norm(3), drop_(0.5) {
    add("bn", norm), add("drop", drop_);
    initialise(Stream(1));
    to(DType::f64);
    TensorFile file = state_dict();
    for (auto& [name, t] : file.tensors) {
      if (name == "bn.running_mean") t = Tensor::of<double>({0.1, -0.2, 0.3});
      if (name == "bn.running_var") t = Tensor::of<double>({1, 0.5, 2});
    }
    load_state_dict(file);
  }
  nn::Features forward_features(const Variable& x, bool) override {
    seen = norm(x).data();
    return {{}, flatten(drop_(Variable(seen)))};
  }
  std::vector<double> state(const char* name) const {
    return state_dict().get(cat("bn.running_", name)).to_vector<double>();
  }
  nn::BatchNorm2d norm;
  Tensor seen;

 private:
  nn::Dropout drop_;
};

/// The golden input S(4x3x5x5) and a teacher that sees it once.
struct Once {
  OneNorm* teacher;
  std::unique_ptr<Distillation> distillation;
  explicit Once(const std::string& statistics) {
    auto net = std::make_unique<OneNorm>();
    teacher = net.get();
    distillation =
        std::make_unique<Distillation>("blkd", create_method("blkd", "teacher_bn", statistics),
                                       std::move(net), nn::Task::classification);
    const Tensor images = student_input({4, 3, 5, 5});
    NoNetwork student;
    const nn::Features f{{}, flatten(Variable(images)), {}};
    const data::Dataset none;
    distillation->prepare({student, f, Variable(images), none, Stream(1), 4});
    data::Batch batch;
    batch.images = images;
    distillation->loss({student, f, batch, {}, {}, {}});
  }
};

void expect_values(const std::vector<double>& found, const std::vector<double>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-6);
}

TEST(TeacherStatistics, GoldenValues) {
  const std::vector<double> mean{0.1, -0.2, 0.3}, var{1, 0.5, 2};
  const Once saved("eval"), batch("batch"), adapted("adapt");
  EXPECT_NEAR(saved.teacher->seen.at(0), 0.3794236, 1e-6);
  EXPECT_NEAR(batch.teacher->seen.at(0), 0.6408202, 1e-6);
  EXPECT_NEAR(adapted.teacher->seen.at(0), 0.6408202, 1e-6);
  expect_values(saved.teacher->state("mean"), mean);
  expect_values(batch.teacher->state("mean"), mean);
  expect_values(batch.teacher->state("var"), var);
  expect_values(adapted.teacher->state("mean"), {0.0925771, -0.1832543, 0.2738324});
  expect_values(adapted.teacher->state("var"), {0.9506215, 0.5004414, 1.850255});
  EXPECT_EQ(saved.distillation->moving(), nullptr);
  EXPECT_EQ(batch.distillation->moving(), nullptr);
  EXPECT_EQ(adapted.distillation->moving(), adapted.teacher);
  EXPECT_FALSE(adapted.teacher->training()) << "dropout stays off";
}

data::Dataset noise(int64_t n) {
  data::Dataset d = labelled(n, 3);
  Stream s(5);
  for (uint8_t& x : d.images.span<uint8_t>()) x = static_cast<uint8_t>(s.below(256));
  return d;
}

/// Batches of one size: their means average to those of all images.
TEST(TeacherStatistics, RefitFindsTheStatisticsOfTheImages) {
  const data::Dataset d = noise(24);
  const data::Standardisation standard{{0.5, 0.4, 0.3}, {0.2, 0.3, 0.4}};
  auto net = std::make_unique<OneNorm>();
  OneNorm& teacher = *net;
  teacher.to(DType::f32);
  Distillation distillation("blkd", create_method("blkd", "teacher_bn", std::string("refit")),
                            std::move(net), nn::Task::classification);
  NoNetwork student;
  const Variable images(Tensor::zeros({2, 8, 8, 3}));
  const nn::Features f{{}, flatten(images), {}};
  distillation.prepare({student, f, images, d, Stream(1), 8, 1, standard});
  double mean[3] = {0, 0, 0};
  for (int64_t i = 0; i < d.images.numel(); ++i)
    mean[i % 3] += d.images.data<uint8_t>()[i] / 255.0 / (24 * 64);
  for (size_t c = 0; c < 3; ++c)
    EXPECT_NEAR(teacher.state_dict().get("bn.running_mean").at(static_cast<int64_t>(c)),
                (mean[c] - standard.mean[c]) / standard.deviation[c], 1e-4);
  EXPECT_FALSE(teacher.norm.training());
  EXPECT_DOUBLE_EQ(teacher.norm.momentum(), 0.1);
  EXPECT_NEAR(distillation.teacher_before().get("bn.running_mean").at(0), 0.1, 1e-6);
}

const nn::ModelOptions tiny{.outputs = 3, .channels = 3, .size = 8};
std::unique_ptr<nn::Network> model(uint64_t seed) {
  auto network = nn::create_model("resnet8", tiny);
  network->initialise(Stream(seed));
  return network;
}

TEST(TeacherStatistics, AMovingTeacherResumesToTheBit) {
  const data::Dataset d = noise(40);
  const auto state_after = [&](nn::Monitor& monitor) {
    const auto student = model(1);
    Distillation distillation("blkd", create_method("blkd", "teacher_bn", std::string("adapt")),
                              model(2), nn::Task::classification);
    teach(*student, distillation, d, d, monitor, {.epochs = 2, .batch = 16, .lr = 0.01});
    TensorFile state = distillation.teacher().state_dict();
    state.add_part("student.", student->state_dict());
    return state;
  };
  nn::Monitor undisturbed;
  const TensorFile whole = state_after(undisturbed);
  test::Stopping stopped(3);
  EXPECT_THROW(state_after(stopped), nn::Interrupted);
  test::Stopping again(0, stopped.saved);
  test::expect_equal_bits(state_after(again), whole);
  EXPECT_NE(whole.get("bn1.running_mean").to_vector<float>(),
            model(2)->state_dict().get("bn1.running_mean").to_vector<float>());
}

TEST(TeacherStatistics, AreRefusedWhereTheyMeanNothing) {
  test::expect_error([] { create_method("blkd", "teacher_bn", std::string("train")); },
                     {"methods.blkd.teacher_bn: expected eval, batch, adapt or refit", "'train'"});
  const Variable x(Tensor::zeros({2, 3}));
  const nn::Features f{{}, x, {}};
  NoNetwork student;
  const data::Dataset none;
  Distillation bare("blkd", create_method("blkd", "teacher_bn", std::string("batch")),
                    std::make_unique<NoNetwork>(), nn::Task::classification);
  test::expect_error(
      [&] {
        bare.check({student, f, x, none, Stream(1), 2});
      },
      {"methods.blkd.teacher_bn", "no batch norm"});
  Distillation review("reviewkd", create_method("reviewkd", "teacher_bn", std::string("adapt")),
                      model(1), nn::Task::classification);
  const Variable images(Tensor::zeros({2, 8, 8, 3}));
  const auto net = model(2);
  net->eval();
  const nn::Features seen = net->forward_features(images);
  test::expect_error(
      [&] {
        review.check({*net, seen, images, none, Stream(1), 2});
      },
      {"reviewkd", "train mode anyway"});
}

}  // namespace
}  // namespace limbeck::kd
