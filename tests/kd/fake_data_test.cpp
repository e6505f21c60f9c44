#include "kd/fake_data.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <set>

#include "tests/data/temporary.h"
#include "tests/nn/stopping.h"

namespace limbeck::kd {
namespace {

TEST(Filter, QuantileInterpolatesAsNumPy) {
  EXPECT_DOUBLE_EQ(quantile({4, 1, 3, 2}, 0.5), 2.5);
  EXPECT_DOUBLE_EQ(quantile({4, 1, 3, 2}, 0.9), 3.7);
  EXPECT_DOUBLE_EQ(quantile({5}, 0.9), 5);
  EXPECT_DOUBLE_EQ(quantile({1, 2}, 1), 2);
  EXPECT_THROW(quantile({}, 0.5), Error);
}

TEST(Filter, OfficialKeepsUpToTheCutOffPaperKeepsAShare) {
  const std::vector<double> loss = {0.1, 0.9, 0.5, 0.5, 0.2};
  EXPECT_EQ(keep_up_to(loss, 0.5), (std::vector<int64_t>{0, 2, 3, 4}));
  EXPECT_EQ(keep_up_to(loss, std::nextafter(0.5, 0)), (std::vector<int64_t>{0, 4}));
  EXPECT_EQ(keep_best(loss, 0.6), (std::vector<int64_t>{0, 2, 4}));
  EXPECT_EQ(keep_best(loss, 1), (std::vector<int64_t>{0, 1, 2, 3, 4}));
}

/// An image is one pixel; the generator draws it uniformly, the "teacher's" loss is its brightness,
/// and it calls dark ones class y.
Tensor pixels(const Tensor& y, const Stream& stream) {
  Tensor x = Tensor::empty({y.size(0), 1, 1, 1});
  Stream s = stream;
  s.fill_uniform(x, -1, 1);
  return x;
}

Judgement brightness(const Tensor& images, const Tensor& y, const Stream&) {
  Judgement j;
  for (int64_t i = 0; i < images.size(0); ++i) {
    j.loss.push_back(images.data<uint8_t>()[i] / 255.0);
    j.predicted.push_back(images.data<uint8_t>()[i] < 128 ? y.data<int64_t>()[i] : 9);
  }
  return j;
}

Tensor ones(const Tensor& x, const Tensor&) { return Tensor::full({x.size(0)}, 1); }

class FakeData : public ::testing::Test {
 protected:
  FakeTask task(nn::Monitor& monitor, const std::string& file = "fake_data.safetensors") {
    FakeTask t{.source = pixels,
               .ratio = ones,
               .judge = brightness,
               .directory = folder_.path(),
               .file = folder_.file(file),
               .stream = Stream(1),
               .monitor = monitor};
    for (int64_t c = 0; c < 3; ++c) t.conditions.push_back(Tensor::of<int64_t>({c}));
    return t;
  }
  static FakeSettings settings() {
    FakeSettings s;
    s.per_class = 40;
    s.rho = 0.5;
    s.filter_burn_in = 200;
    s.sampling = {.burn_in = 10, .batch = 16};
    return s;
  }
  const test::TemporaryFolder folder_;
};

TEST_F(FakeData, OfficialFormKeepsExactlyEnoughBelowTheCutOff) {
  nn::Monitor monitor;
  const auto statistics = make_fake_data(task(monitor), settings());
  const data::Dataset d = load_fake_data(folder_.file("fake_data.safetensors"), 3);
  EXPECT_EQ(d.histogram(), (std::vector<int64_t>{40, 40, 40}));
  EXPECT_EQ(d.labels.data<int64_t>()[40], 1) << "class-major order";
  for (int64_t i = 0; i < d.size(); ++i)
    EXPECT_LE(d.images.data<uint8_t>()[i] / 255.0, statistics[static_cast<size_t>(i / 40)].cutoff);
  for (const FakeStatistics& s : statistics) {
    EXPECT_NEAR(s.cutoff, 0.5, 0.15);  // median of 200 uniform losses
    EXPECT_NEAR(s.candidates_consistent / s.candidates, 0.5, 0.2);
    EXPECT_GT(s.kept_consistent / s.kept, 0.7);
    EXPECT_EQ(s.kept, 40);
  }
  EXPECT_FALSE(std::filesystem::exists(folder_.file("part_00000.safetensors")));
}

TEST_F(FakeData, EqualLossesAreAllKept) {
  nn::Monitor monitor;
  FakeTask undecided = task(monitor);
  undecided.judge = [](const Tensor& images, const Tensor&,
                       const Stream&) {  // a teacher that has learned nothing
    const auto n = static_cast<size_t>(images.size(0));
    return Judgement{std::vector<double>(n, std::log(10.0)), std::vector<int64_t>(n, 0)};
  };
  const auto statistics = make_fake_data(undecided, settings());
  EXPECT_EQ(load_fake_data(folder_.file("fake_data.safetensors"), 3).histogram(),
            (std::vector<int64_t>{40, 40, 40}));
  EXPECT_EQ(statistics[0].cutoff, std::log(10.0));
}

TEST_F(FakeData, PaperFormDropsAShareOfTheGenerated) {
  nn::Monitor monitor;
  FakeSettings s = settings();
  s.form = "paper";
  s.rho = 0.9;
  const auto statistics = make_fake_data(task(monitor), s);
  EXPECT_EQ(load_fake_data(folder_.file("fake_data.safetensors"), 3).histogram(),
            (std::vector<int64_t>{36, 36, 36}));
  EXPECT_EQ(statistics[0].candidates, 40);
}

TEST_F(FakeData, WithoutFilterAndSubsamplingNothingIsDropped) {
  nn::Monitor monitor;
  FakeSettings s = settings();
  s.filter = s.subsample = false;
  const auto statistics = make_fake_data(task(monitor), s);
  EXPECT_EQ(load_fake_data(folder_.file("fake_data.safetensors"), 3).size(), 120);
  EXPECT_EQ(statistics[2].candidates, 0);
}

TEST_F(FakeData, AdjustStoresTheTeachersLabel) {
  nn::Monitor monitor;
  FakeSettings s = settings();
  s.adjust = true;
  s.form = "paper";
  s.rho = 1;
  make_fake_data(task(monitor), s);
  const data::Dataset d = load_fake_data(folder_.file("fake_data.safetensors"), 10);
  for (int64_t i = 0; i < d.size(); ++i)
    EXPECT_EQ(d.labels.data<int64_t>()[i], d.images.data<uint8_t>()[i] < 128 ? i / 40 : 9);
}

TEST_F(FakeData, ResumesAfterAClassWithTheSameBytes) {
  nn::Monitor monitor;
  make_fake_data(task(monitor, "whole.safetensors"), settings());
  test::Stopping stop(2);
  EXPECT_THROW(make_fake_data(task(stop), settings()), nn::Interrupted);
  EXPECT_FALSE(std::filesystem::exists(folder_.file("fake_data.safetensors")));
  make_fake_data(task(stop), settings());
  EXPECT_EQ(read_file(folder_.file("whole.safetensors")),
            read_file(folder_.file("fake_data.safetensors")));
}

TEST_F(FakeData, ResumesWhereTheDeletionOfPartsWasCutOff) {
  test::Stopping stop(3);  // saves after the last class, then stops
  EXPECT_THROW(make_fake_data(task(stop), settings()), nn::Interrupted);
  make_fake_data(task(stop), settings());  // deletes the parts; the saved state still counts them
  const std::string whole = read_file(folder_.file("fake_data.safetensors"));
  make_fake_data(task(stop), settings());
  EXPECT_EQ(read_file(folder_.file("fake_data.safetensors")), whole);
}

TEST_F(FakeData, RefusesBadSettingsAndFiles) {
  nn::Monitor monitor;
  FakeSettings s = settings();
  s.form = "oficial";
  EXPECT_THROW(make_fake_data(task(monitor), s), Error);
  s = settings();
  s.adjust = true, s.filter = false;
  EXPECT_THROW(make_fake_data(task(monitor), s), Error);
  FakeTask without = task(monitor);
  without.ratio = nullptr;
  EXPECT_THROW(make_fake_data(without, settings()), Error);
  make_fake_data(task(monitor), settings());
  EXPECT_THROW(load_fake_data(folder_.file("fake_data.safetensors"), 2), Error)
      << "label 2 of 2 classes";
  // A teacher for which nothing is below its own cut-off must not loop forever.
  FakeTask harsher = task(monitor);
  double loss = 0;
  harsher.judge = [&loss](const Tensor& x, const Tensor&, const Stream&) {
    return Judgement{std::vector<double>(static_cast<size_t>(x.size(0)), ++loss), {}};
  };
  EXPECT_THROW(make_fake_data(harsher, settings()), Error);
}

TEST(DrawFakes, EqualSharesAndTheRemainderToTheLastClass) {
  data::Dataset d;
  d.classes = 3;
  d.images = Tensor::empty({30, 1, 1, 1}, DType::u8);
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < 30; ++i)
    labels.push_back(i / 10), d.images.data<uint8_t>()[i] = static_cast<uint8_t>(i);
  d.labels = Tensor::of(labels);
  const data::Dataset some = draw_fakes(d, 14, Stream(1));
  EXPECT_EQ(some.histogram(), (std::vector<int64_t>{4, 4, 6}));
  const auto x = some.images.to_vector<uint8_t>();
  EXPECT_EQ(std::set<uint8_t>(x.begin(), x.end()).size(), 14u) << "an image was drawn twice";
  EXPECT_EQ(draw_fakes(d, 0, Stream(1)).size(), 30);
  EXPECT_EQ(draw_fakes(d, 99, Stream(1)).size(), 30);
}

}  // namespace
}  // namespace limbeck::kd
