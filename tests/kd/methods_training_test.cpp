// Methods with heads, memories, other teachers and other deployed networks in a whole training: it
// resumes to the bit, and what is saved is what was evaluated.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "tests/data/temporary.h"
#include "tests/kd/method_settings.h"
#include "tests/kd/teach.h"
#include "tests/nn/stopping.h"

namespace limbeck::kd {
namespace {

/// Class c is bright in channel c.
data::Dataset coloured(int64_t n) {
  data::Dataset d = labelled(n, 3);
  Stream s(5);
  uint8_t* x = d.images.data<uint8_t>();
  for (int64_t i = 0; i < d.images.numel(); ++i)
    x[i] = static_cast<uint8_t>(s.below(120) + (i % 3 == i / 192 % 3 ? 100 : 0));
  return d;
}

const nn::ModelOptions tiny{.outputs = 3, .channels = 3, .size = 8};
const train::ClassificationCriterion by_class;

/// One student of one method, from preparations to the saved file.
class Course {
 public:
  explicit Course(std::string method)
      : method_(std::move(method)), student_name_(student_of(method_)) {
    SetField<int64_t>(settings_.at("crd"), "negatives", 20);
    SetField<int64_t>(settings_.at("sskd"), "head_epochs", 1);
    SetField<int64_t>(settings_.at("sskd"), "head_batch", 16);
    SetField<int64_t>(settings_.at("vam"), "block", 8);
    SetField<std::string>(settings_.at("hkd"), "auxiliary", "resnet14");
    SetField<double>(settings_.at("hkd"), "auxiliary_share", 0.5);
    SetField<std::vector<std::string>>(settings_.at("takd"), "assistants", {"resnet14", "resnet8"});
    teacher_ = model("resnet14", 11);
    student_ = model(student_name_, 12);
    student_->set_requires_grad(true);
    for (const Preparation& p : create_method(method_, settings_)->preparations()) {
      const std::string place = folder_.file(p.name);
      std::filesystem::create_directories(place);
      nn::Monitor monitor;
      PreparationContext c{*student_, *teacher_, split_,        standard_,     by_class,
                           Stream(4), monitor,   place,         student_name_, "resnet14",
                           tiny,      training_, directory_of()};
      p.run(c);
    }
  }
  /// Of a run that may be stopped; the state of network and modules.
  TensorFile train(nn::Monitor& monitor) {
    const auto student = model(student_name_, 12);
    Distillation distillation(method_, create_method(method_, settings_), model("resnet14", 11),
                              nn::Task::classification, directory_of());
    result = teach(*student, distillation, split_.train, split_.train, monitor, training_);
    save_network(file(), distillation.deployed(*student), student_name_, tiny, standard_);
    TensorFile state = student->state_dict();
    if (distillation.auxiliary())
      state.add_part("auxiliary.", distillation.auxiliary()->state_dict());
    return state;
  }
  double accuracy_of_file() const {
    return train::evaluate(*load_network(file()).network, split_.train, standard_, by_class);
  }
  train::SupervisedResult result;

 private:
  static std::unique_ptr<nn::Network> model(const std::string& name, uint64_t seed) {
    auto network = nn::create_model(name, tiny);
    network->initialise(Stream(seed));
    return network;
  }
  Distillation::DirectoryOf directory_of() const {
    return [this](const std::string& preparation) { return folder_.file(preparation); };
  }
  std::string file() const { return folder_.file("model.safetensors"); }

  const std::string method_, student_name_;
  const test::TemporaryFolder folder_;
  NamedSettings settings_ = default_method_settings();
  data::Split split_{coloured(41), {}};
  const data::Standardisation standard_ = data::standardisation_of(split_.train);
  const train::Settings training_{
      .epochs = 2, .batch = 16, .lr = 0.02, .milestones = {1}, .crop_padding = 1};
  std::unique_ptr<nn::Network> teacher_, student_;
};

class InALoop : public testing::TestWithParam<const char*> {};

TEST_P(InALoop, ResumesToTheBitAndSavesWhatItEvaluates) {
  Course course(GetParam());
  nn::Monitor undisturbed;
  const TensorFile whole = course.train(undisturbed);
  const double test = course.result.test_metric;
  EXPECT_TRUE(std::isfinite(course.result.loss));
  EXPECT_DOUBLE_EQ(course.accuracy_of_file(), test);
  test::Stopping stopped(3);
  EXPECT_THROW(course.train(stopped), nn::Interrupted);
  test::Stopping again(0, stopped.saved);
  test::expect_equal_bits(course.train(again), whole);
}

INSTANTIATE_TEST_SUITE_P(Methods, InALoop,
                         testing::Values("dkd", "dist", "crd", "reviewkd", "semckd", "simkd",
                                         "sskd", "takd", "hkd", "cckd", "ckd", "cmkd", "kdiga",
                                         "vam", "kdexplainer"),
                         [](const auto& i) { return std::string(i.param); });

TEST(Methods, AdjustTheTrainingAsTheirOfficialScripts) {
  const auto adjusted = [](const char* name, bool second_phase) {
    train::Settings s;
    create_method(name)->adjust(s, second_phase);
    return s;
  };
  EXPECT_TRUE(adjusted("reviewkd", false).nesterov);
  EXPECT_FALSE(adjusted("crd", false).nesterov);
  for (const char* early : {"sskd", "takd", "semckd", "simkd", "dkd"})
    EXPECT_FALSE(adjusted(early, false).late_drop) << early;
  EXPECT_TRUE(adjusted("crd", false).late_drop && adjusted("reviewkd", false).late_drop);
  EXPECT_DOUBLE_EQ(adjusted("sskd", true).weight_decay, 1e-4);
  EXPECT_DOUBLE_EQ(adjusted("sskd", false).weight_decay, 5e-4);
}

TEST(SimKd, ReusesTheHeadOfAVggForLargeImages) {
  const nn::ModelOptions large{.outputs = 3, .channels = 3, .size = 128};
  const auto made = [&](const char* name, uint64_t seed) {
    auto network = nn::create_model(name, large);
    network->initialise(Stream(seed));
    return network;
  };
  Tensor pixels = Tensor::empty({2, 128, 128, 3});
  Stream(3).fill_normal(pixels, 0, 1);
  const Variable images(pixels);
  data::Dataset d = labelled(6, 3);
  const auto student = made("resnet8", 1);
  student->eval();
  Distillation distillation("simkd", create_method("simkd"), made("vgg8", 2),
                            nn::Task::classification);
  const NoGrad no_grad;
  // prepare() refuses a teacher whose output is not what the copied layers say of its last map.
  distillation.prepare({*student, student->forward_features(images), images, d, Stream(4), 2});
  nn::Network& deployed = distillation.deployed(*student);
  deployed.eval();
  const test::TemporaryFolder folder;
  const std::string file = folder.file("vgg.safetensors");
  save_network(file, deployed, "resnet8", large, {{0, 0, 0}, {1, 1, 1}});
  const SavedNetwork saved = load_network(file);
  saved.network->eval();
  EXPECT_EQ((*saved.network)(images).data().to_vector<float>(),
            deployed(images).data().to_vector<float>());
}

TEST(Sskd, BeginsASecondPhaseWithTheHeadOfTheFirst) {
  const NoGrad no_grad;
  const auto student = nn::create_model("resnet8", tiny);
  student->eval();
  const data::Dataset d = labelled(8, 3);
  const Variable images(Tensor::zeros({2, 8, 8, 3}));
  const nn::Features features = student->forward_features(images);
  const test::TemporaryFolder folder;
  const std::string file = folder.file("auxiliary.safetensors");
  const auto head = [&](uint64_t seed, const std::string& begin_with) {
    Distillation distillation("sskd", create_method("sskd"), nn::create_model("resnet8", tiny),
                              nn::Task::classification);
    distillation.begin_with(begin_with);
    distillation.prepare({*student, features, images, d, Stream(seed), 4});
    write_safetensors(file, distillation.auxiliary()->state_dict());
    return distillation.auxiliary()->state_dict().get("0.weight").to_vector<float>();
  };
  const auto first = head(1, "");
  EXPECT_EQ(head(2, file), first);
  EXPECT_NE(head(2, ""), first);
}

/// A VGG for large images has hidden layers in its head: SSKD's heads look at the last of them.
TEST(Sskd, SeesWhatTheLastLayerSees) {
  const auto vgg = nn::create_model("vgg8", {.outputs = 3, .size = 128});
  vgg->eval();
  const NoGrad no_grad;
  const nn::Features f = vgg->forward_features(Variable(Tensor::zeros({2, 128, 128, 3})));
  EXPECT_EQ(f.taps.back().size(1), 8192);
  EXPECT_EQ(f.last_input().size(1), 1024);
}

TEST(Takd, RefusesPairsWithoutAnAssistantAndNamesThatAreNone) {
  const auto method = create_method("takd");
  EXPECT_NO_THROW(method->check_names("wrn_40_2", "wrn_40_1"));
  EXPECT_THROW(method->check_names("wrn_40_1", "wrn_40_2"), Error);
  EXPECT_THROW(create_method("takd", "assistants", std::vector<std::string>{"resnet21"}), Error);
  EXPECT_DOUBLE_EQ(method->weights().hard_weight, 0.5);
  EXPECT_DOUBLE_EQ(method->weights().temperature, 10);
}

}  // namespace
}  // namespace limbeck::kd
