// M2 for responses on numbers made by hand.
#include "kd/response_fakes.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/data/temporary.h"
#include "tests/nn/stopping.h"

namespace limbeck::kd {
namespace {

TEST(ResponseFilter, KeepsWhatLiesBelowTheQuantileOfAllErrors) {
  // numpy.quantile(e, 0.5) = 2.5 and (e, 0.4) = 2.2; (e, 1/3) = 2 exactly.
  const std::vector<double> e{4, 1, 3, 2};
  EXPECT_EQ(keep_lowest(e, 0.5, "official"), (std::vector<int64_t>{1, 3}));
  EXPECT_EQ(keep_lowest(e, 0.5, "paper"), (std::vector<int64_t>{1, 3}));
  // Where the quantile is one of the errors the forms differ.
  const std::vector<double> five{50, 10, 40, 20, 30};
  EXPECT_DOUBLE_EQ(quantile(five, 0.5), 30);
  EXPECT_EQ(keep_lowest(five, 0.5, "official"), (std::vector<int64_t>{1, 3}));
  EXPECT_EQ(keep_lowest(five, 0.5, "paper"), (std::vector<int64_t>{1, 3, 4}));
  EXPECT_EQ(keep_lowest(five, 1, "official").size(), 5u);
}

TEST(ResponseFilter, KeepsAsManyAsACountOfThoseBelowTheQuantile) {
  for (const int64_t n : {1, 2, 7, 10, 100, 1000})
    for (const double rho : {0.01, 0.3, 0.5, 0.7, 0.9, 0.95}) {
      std::vector<double> e;
      Stream draw(static_cast<uint64_t>(n));
      for (int64_t i = 0; i < n; ++i) e.push_back(draw.uniform());
      const double alpha = quantile(e, rho);
      int64_t below = 0, up_to = 0;
      for (const double v : e) below += v < alpha, up_to += v <= alpha;
      EXPECT_EQ(kept_of(n, rho, "official"), std::max<int64_t>(1, below)) << n << ' ' << rho;
      EXPECT_EQ(kept_of(n, rho, "paper"), up_to) << n << ' ' << rho;
    }
}

TEST(ResponseFilter, TiesGoToTheSmallerIndices) {
  EXPECT_EQ(keep_lowest({2, 1, 2, 2, 2}, 0.5, "official"), (std::vector<int64_t>{0, 1}));
  EXPECT_EQ(keep_lowest({5, 5, 5, 5, 5}, 0.5, "official"), (std::vector<int64_t>{0, 1}));
}

/// A "network" of one parameter: the response is the image's brightness times it.
class Brightness : public nn::Network {
 public:
  explicit Brightness(float factor) : factor_(factor) {}
  nn::Features forward_features(const Variable& x, bool) override {
    const Tensor y = Tensor::empty({x.size(0), 1});
    for (int64_t i = 0; i < x.size(0); ++i)
      y.data<float>()[i] = factor_ * static_cast<float>((x.data().rows(i, i + 1).at(0) + 1) / 2);
    return {{}, Variable(y), Variable(y)};
  }

 private:
  const float factor_;
};

const data::ResponseScale degrees{-88.13, 97.92, "degrees"};
const data::Standardisation half{{0.5}, {0.5}};

TEST(RegressorJudge, ErrorsAreOfTheClippedResponseInTheUnit) {
  Brightness network(2);
  const Judge judge = regressor_judge(network, half, degrees);
  Tensor images = Tensor::empty({3, 1, 1, 1}, DType::u8);
  images.data<uint8_t>()[0] = 0, images.data<uint8_t>()[1] = 51, images.data<uint8_t>()[2] = 255;
  const Judgement j = judge(images, Tensor::of<float>({-80, 0, 97}), Stream());
  EXPECT_NEAR(j.responses[0], -88.13, 1e-4);
  EXPECT_NEAR(j.responses[1], -88.13 + 186.05 * 0.4, 1e-4);
  EXPECT_NEAR(j.responses[2], 97.92, 1e-4) << "2 is clipped to 1";
  EXPECT_NEAR(j.loss[0], 8.13, 1e-4);
  EXPECT_NEAR(j.loss[1], 13.71, 1e-4);
  EXPECT_NEAR(j.loss[2], 0.92, 1e-4);
}

// The original denormalises to whole years: labels, predictions and errors (UTKFace).
TEST(RegressorJudge, YearsAreCutTowardZero) {
  Brightness network(1);
  const Judge judge = regressor_judge(network, half, {0, 60, "years", false, true});
  Tensor images = Tensor::empty({2, 1, 1, 1}, DType::u8);
  images.data<uint8_t>()[0] = 100, images.data<uint8_t>()[1] = 255;  // 23.53 and 60 years
  const Judgement j = judge(images, Tensor::of<float>({25, 57}), Stream());
  EXPECT_EQ(j.responses, (std::vector<double>{23, 60}));
  EXPECT_EQ(j.loss, (std::vector<double>{2, 3}));
}

/// An image is one pixel, uniform; the judge takes its brightness for the response.
class ResponseFakes : public testing::Test {
 protected:
  FakeTask task(nn::Monitor& monitor) {
    FakeTask t{.source =
                   [](const Tensor& y, const Stream& stream) {
                     Tensor x = Tensor::empty({y.size(0), 1, 1, 1});
                     Stream s = stream;
                     s.fill_uniform(x, -1, 1);
                     return x;
                   },
               .ratio = [](const Tensor& x, const Tensor&) { return Tensor::full({x.size(0)}, 1); },
               .judge = regressor_judge(network_, half, scale_),
               .directory = folder_.path(),
               .file = folder_.file("fake_data.safetensors"),
               .stream = Stream(1),
               .monitor = monitor};
    for (const float y : {0.25f, 0.75f}) t.conditions.push_back(Tensor::of<float>({y}));
    return t;
  }
  FakeSettings settings() const {
    FakeSettings s;
    s.per_class = 50;
    s.rho = 0.3;
    s.adjust = true;
    s.sampling = {.burn_in = 10, .batch = 16};
    return s;
  }
  data::Dataset load() const {
    return load_response_fakes(folder_.file("fake_data.safetensors"), scale_);
  }
  test::TemporaryFolder folder_;
  const data::ResponseScale scale_{0, 60, "years"};
  Brightness network_{1};
};

TEST_F(ResponseFakes, OneCutOffForAllAndLabelsReplaced) {
  nn::Monitor monitor;
  const ResponseFakeStatistics s = make_response_fakes(task(monitor), settings(), scale_);
  const data::Dataset d = load();
  ASSERT_EQ(d.size(), 30);  // ceil(0.3 * 99)
  EXPECT_EQ(s.kept, 30);
  EXPECT_EQ(s.candidates, 100);
  EXPECT_LT(s.error_after, s.cutoff);
  EXPECT_LT(s.cutoff, s.error_before);
  for (int64_t i = 0; i < d.size(); ++i)
    EXPECT_NEAR(d.targets.at(i), 60 * d.images.data<uint8_t>()[i] / 255.0, 1e-4);
}

TEST_F(ResponseFakes, WithoutReplacementLabelsAreThoseAskedForInTheUnit) {
  nn::Monitor monitor;
  FakeSettings s = settings();
  s.adjust = false;
  make_response_fakes(task(monitor), s, scale_);
  for (const float y : load().targets.to_vector<float>()) EXPECT_TRUE(y == 15 || y == 45) << y;
  s.filter = false;
  make_response_fakes(task(monitor), s, scale_);
  EXPECT_EQ(load().size(), 100);
  EXPECT_EQ(load().targets.at(0), 15);
  EXPECT_EQ(load().targets.at(99), 45);
}

TEST_F(ResponseFakes, ResumesBitEqual) {
  nn::Monitor monitor;
  make_response_fakes(task(monitor), settings(), scale_);
  const std::string whole = read_file(folder_.file("fake_data.safetensors"));
  std::filesystem::remove(folder_.file("fake_data.safetensors"));
  test::Stopping stopping(1);
  EXPECT_THROW(make_response_fakes(task(stopping), settings(), scale_), nn::Interrupted);
  make_response_fakes(task(stopping), settings(), scale_);
  EXPECT_EQ(read_file(folder_.file("fake_data.safetensors")), whole);
}

TEST_F(ResponseFakes, BadFilesAreNamed) {
  TensorFile file;
  file.add("fake_images", Tensor::zeros({2, 1, 4, 4}, DType::u8));
  file.add("fake_labels", Tensor::of<float>({1, NAN}));
  write_safetensors(folder_.file("fake_data.safetensors"), file);
  test::expect_error([&] { load(); }, {"fake_data.safetensors", "fake_labels", "nan"});
  file.tensors[1].second = Tensor::of<double>({1});
  write_safetensors(folder_.file("fake_data.safetensors"), file);
  test::expect_error([&] { load(); }, {"fake_data.safetensors", "fake_labels", "[2]"});
}

TEST_F(ResponseFakes, DrawnFakesAreAnyOfThem) {
  nn::Monitor monitor;
  make_response_fakes(task(monitor), settings(), scale_);
  const data::Dataset drawn = draw_fakes(load(), 7, Stream(3));
  EXPECT_EQ(drawn.size(), 7);
  EXPECT_EQ(drawn.scale, scale_);
  EXPECT_EQ(draw_fakes(load(), 7, Stream(3)).targets.to_vector<float>(),
            drawn.targets.to_vector<float>());
}

}  // namespace
}  // namespace limbeck::kd
