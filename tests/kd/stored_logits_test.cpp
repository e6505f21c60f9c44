// Stored logits in the place of a teacher: the same bits as the teacher itself on the same views,
// interrupted or not; the file and what it refuses.
#include "kd/stored_logits.h"

#include <gtest/gtest.h>

#include "tests/data/temporary.h"
#include "tests/kd/method_settings.h"
#include "tests/kd/teach.h"
#include "tests/nn/stopping.h"

namespace limbeck::kd {
namespace {

const nn::ModelOptions tiny{.outputs = 3, .channels = 3, .size = 8};
const data::Augmentation cropped{.crop_padding = 1, .flip = true};

data::Dataset noise(int64_t n) {
  data::Dataset d = labelled(n, 3);
  Stream s(5);
  for (uint8_t& x : d.images.span<uint8_t>()) x = static_cast<uint8_t>(s.below(256));
  return d;
}

std::unique_ptr<nn::Network> model(const std::string& name, uint64_t seed) {
  auto network = nn::create_model(name, tiny);
  network->initialise(Stream(seed));
  return network;
}

class StoredLogitsTest : public testing::Test {
 protected:
  data::ReplayedViews stored(int64_t batch = 16) const {
    data::ReplayedViews views = views_;
    nn::Monitor monitor;
    views.outputs =
        logits_of_views(*model("resnet14", 11), data_, standard_, cropped, views_, batch, monitor);
    return views;
  }
  /// The student's weights after three epochs.
  TensorFile taught(Distillation& distillation, nn::Monitor& monitor) const {
    const auto student = model("resnet8", 12);
    teach(*student, distillation, data_, data_, monitor,
          {.epochs = 3, .batch = 16, .lr = 0.02, .milestones = {1}, .crop_padding = 1});
    return student->state_dict();
  }
  static std::unique_ptr<Method> method(const std::string& name) {
    return create_method(name, default_method_settings());
  }
  const data::Dataset data_ = noise(48);
  const data::Standardisation standard_ = data::standardisation_of(data_);
  const data::ReplayedViews views_{.count = 2, .seed = 9};
};

TEST_F(StoredLogitsTest, TeachAsTheTeacherDoesOnTheSameViews) {
  const data::ReplayedViews with_outputs = stored();
  for (const std::string name : {"blkd", "cckd", "ckd", "cmkd", "dkd", "dist"}) {
    nn::Monitor monitor;
    Distillation live(name, method(name), model("resnet14", 11), nn::Task::classification);
    live.replay(views_);
    Distillation from_file(name, method(name), with_outputs);
    const TensorFile a = taught(live, monitor), b = taught(from_file, monitor);
    test::expect_equal_bits(a, b);
    Distillation fresh_views(name, method(name), model("resnet14", 11), nn::Task::classification);
    EXPECT_FALSE(
        test::same_bits(taught(fresh_views, monitor).tensors[0].second, a.tensors[0].second));
  }
}

TEST_F(StoredLogitsTest, ResumeToTheBit) {
  const data::ReplayedViews whole = stored();
  test::Stopping stopped(4);
  EXPECT_THROW(
      logits_of_views(*model("resnet14", 11), data_, standard_, cropped, views_, 16, stopped),
      nn::Interrupted);
  test::Stopping again(0, stopped.saved);
  EXPECT_TRUE(test::same_bits(
      logits_of_views(*model("resnet14", 11), data_, standard_, cropped, views_, 16, again),
      whole.outputs));

  nn::Monitor undisturbed;
  Distillation one("blkd", method("blkd"), whole), two("blkd", method("blkd"), whole),
      three("blkd", method("blkd"), whole);
  const TensorFile expected = taught(one, undisturbed);
  test::Stopping student_stopped(5);
  EXPECT_THROW(taught(two, student_stopped), nn::Interrupted);
  test::Stopping student_again(0, student_stopped.saved);
  test::expect_equal_bits(taught(three, student_again), expected);
}

TEST_F(StoredLogitsTest, AViewIsTheSameInAnyBatch) {
  const auto image = [&](const std::vector<int64_t>& rows, size_t place, int64_t view) {
    const Tensor batch = data::make_batch(data_.images, rows, cropped, standard_,
                                          views_.stream(view), data::DrawnBy::row);
    return batch.rows(static_cast<int64_t>(place), static_cast<int64_t>(place) + 1);
  };
  EXPECT_TRUE(test::same_bits(image({7, 3, 40}, 1, 0), image({3}, 0, 0)));
  EXPECT_FALSE(test::same_bits(image({3}, 0, 0), image({3}, 0, 1)));
  data::Loader loader(
      data_,
      {.batch = 5, .augmentation = cropped, .standardisation = standard_, .replayed = stored()},
      Stream(1));
  const int64_t steps = loader.steps_per_epoch();
  for (int64_t step = 0; step < 3 * steps; ++step) {
    const data::Batch b = loader.next();
    const int64_t view = step / steps % 2;
    EXPECT_TRUE(test::same_bits(b.images.rows(0, 1), image({b.index[0]}, 0, view)));
    const Tensor said = stored().outputs.rows(view, view + 1).reshape({48, 3});
    EXPECT_TRUE(test::same_bits(b.outputs.rows(0, 1), said.rows(b.index[0], b.index[0] + 1)));
  }
}

TEST_F(StoredLogitsTest, AFileKeepsThemAndRefusesOtherImages) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("logits.safetensors");
  const StoredLogits l{"resnet14", tiny,     "data.kind = x", standard_,
                       cropped,    stored(), data_.images,    data_.labels};
  save_logits(path, l, {data_, {}});
  const StoredLogits read = load_logits(path);
  EXPECT_EQ(read.network, "resnet14");
  EXPECT_EQ(read.views.seed, 9);
  EXPECT_TRUE(test::same_bits(read.views.outputs, l.views.outputs));
  EXPECT_NO_THROW(check_fits(read, path, data_, standard_, cropped));
  const auto refuses = [&](const data::Dataset& d, const data::Standardisation& s,
                           const data::Augmentation& a, const std::string& why) {
    try {
      check_fits(read, path, d, s, a);
      ADD_FAILURE() << "expected: " << why;
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find(why), std::string::npos) << e.what();
    }
  };
  data::Dataset other = noise(48);
  other.images.data<uint8_t>()[5 * 192] ^= 1;
  refuses(other, standard_, cropped, "image 5 is not");
  refuses(noise(47), standard_, cropped, "[48, 8, 8, 3]");
  refuses(data_, data::halves(data_), cropped, "standardised by mean");
  refuses(data_, standard_, {2, true}, "crop_padding 1 and flip true");
}

TEST_F(StoredLogitsTest, ServeMethodsThatSeeNothingElse) {
  EXPECT_EQ(methods_on_stored_logits(default_method_settings()),
            "blkd, cckd, ckd, cmkd, dist, dkd, kdexplainer, vam");
  // What the families say is true: the others look for taps that are not there.
  for (const MethodEntry& e : all_methods()) {
    if (e.family == Family::logits || e.summary.ends_with("(example)")) continue;
    nn::Monitor monitor;
    Distillation distillation(e.name, method(e.name), stored());
    test::expect_error([&] { taught(distillation, monitor); }, {e.name + ": the teacher has no "});
  }
}

}  // namespace
}  // namespace limbeck::kd
