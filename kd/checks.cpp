#include "kd/checks.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "gan/response_ratio.h"
#include "gan/update.h"
#include "kd/data_free/registry.h"
#include "kd/distillation.h"
#include "kd/stages.h"
#include "ops/random.h"
#include "tensor/ranges.h"
#include "tensor/rows.h"

namespace limbeck::kd {
namespace {

bool of_responses(const ExperimentSettings& s) { return s.task == "regression"; }

void check_task(const std::string& task) {
  LIMBECK_CHECK(task == "classification" || task == "regression",
                "task: expected classification or regression, found '", task, "'",
                did_you_mean(task, {"classification", "regression"}));
}

void check_evaluation_values(const EvaluationSettings& s) {
  LIMBECK_CHECK(s.network == "teacher" || s.network == "features",
                "evaluation.network: expected teacher or features, found '", s.network, "'");
  LIMBECK_CHECK(s.reference == "train" || s.reference == "test",
                "evaluation.reference: expected train or test, found '", s.reference, "'");
}

void check_response_evaluation(const ResponseEvaluationSettings& s) {
  expect_count("response_evaluation.centres", 0, s.centres);
  expect_not_negative("response_evaluation.radius", s.radius);
  expect_count("response_evaluation.official_batch", 0, s.official_batch);
}

void check_fake_responses(const FakeResponseSettings& s) {
  LIMBECK_CHECK(s.count == 0 || s.count > 1,
                "fake_responses.count: expected 0 or at least 2, found ", s.count);
  expect_count("fake_responses.count", 0, s.count);
}

void check_theorem1_needs(const ExperimentSettings& s) {
  LIMBECK_CHECK(s.theorem1.measure || !s.theorem1.rademacher.measure,
                "theorem1.rademacher.measure: needs theorem1.measure = true");
  if (!s.theorem1.ratio) return;
  LIMBECK_CHECK(s.theorem1.measure, "theorem1.ratio: needs theorem1.measure = true");
  LIMBECK_CHECK(s.plan.fake_data.empty() && s.plan.generator.empty(),
                "theorem1.ratio: ", s.plan.fake_data.empty() ? "plan.generator" : "plan.fake_data",
                " leaves out the features of a density ratio, which it needs");
}

bool trains_gan(const ExperimentSettings& s, const Plan& plan) {
  return plan.uses_fakes() && s.plan.fake_data.empty() && s.plan.generator.empty();
}

/// What only the stages of responses read.
void check_response_values(const ExperimentSettings& s, Problems& problems) {
  problems.collect([&] { train::check(s.embedding, "embedding", false); });
  problems.collect([&] { gan::check(s.label_embedding); });
  problems.collect([&] { gan::check(s.autoencoder); });
  problems.collect([&] { gan::response_ratio_widths(s.ratio.net, s.ratio.width); });
  problems.collect([&] { check_fake_responses(s.fake_responses); });
  problems.collect([&] { check_response_evaluation(s.response_evaluation); });
}

/// What only the stages of classes read.
void check_class_values(const ExperimentSettings& s, Problems& problems) {
  problems.collect([&] { train::check(s.features, "features"); });
  problems.collect([&] { gan::check(s.features.net); });
  problems.collect([&] { gan::ratio_widths(s.ratio.net, s.ratio.width); });
}

constexpr int64_t f32_bytes = 4;

/// A checkpoint holds the state `parts` times over; while one is written, the one before it is
/// there too.
DiskUse disk_of(int64_t parameters, int64_t parts) {
  return {parameters * f32_bytes, 2 * parts * parameters * f32_bytes};
}

int64_t bytes_of_image(const data::Dataset& d) { return d.height() * d.width() * d.channels(); }

/// Stands for the trained one where only sizes matter.
LabelNet untrained_label_net(const Experiment& e) {
  return of_responses(e.settings) ? std::make_shared<nn::LabelToEmbedding>() : nullptr;
}

int64_t feature_size(Experiment& e) {
  const int64_t chosen =
      of_responses(e.settings) ? e.settings.autoencoder.feature : e.settings.features.net.feature;
  return chosen > 0 ? chosen : bytes_of_image(e.train());
}

int64_t batch_of(Experiment& e, const Student& student, bool drop_last) {
  if (student.fakes == FakesUsed::none)
    return data::largest_batch(e.train().size(), e.settings.student.batch, drop_last);
  const int64_t images = e.images_of_transfer(student.point.rho, student.point.count);
  return data::largest_batch(images, e.settings.transfer.batch, drop_last);
}

/// A method whose only term is that of logits has nothing to say about a response; it tells so when
/// asked for its loss.
void probe_loss(Distillation& distillation, nn::Network& student, const nn::Features& features,
                const data::Dataset& d) {
  if (distillation.input_gradients()) return;  // its term needs a step's tape
  const Variable images(Tensor::zeros({2, d.height(), d.width(), d.channels()}));
  const data::Batch batch{.images = images.data(), .targets = take_rows(d.targets, {0, 0})};
  distillation.loss({student, features, batch, Tensor::of<int64_t>({0, 1}), places_of({Stream()}),
                     Tensor::of<float>({0, 0})});
}

}  // namespace

void check_values(const ExperimentSettings& s) {
  Problems problems;
  problems.collect([&] { data::find_source(s.data.kind); });
  problems.collect([&] { check_task(s.task); });
  if (of_responses(s))
    check_response_values(s, problems);
  else
    check_class_values(s, problems);
  problems.collect([&] { train::check(s.teacher, "teacher", !of_responses(s)); });
  problems.collect([&] { train::check(s.student, "student", !of_responses(s)); });
  problems.collect([&] { train::check(s.transfer, "transfer", !of_responses(s)); });
  problems.collect([&] { expect_count("transfer.fakes", 0, s.transfer.fakes); });
  problems.collect([&] { gan::check(s.gan); });
  problems.collect([&] { gan::check(s.ratio); });
  problems.collect([&] { check(s.fakes); });
  problems.collect([&] { check_evaluation_values(s.evaluation); });
  problems.collect([&] {
    LIMBECK_CHECK(s.theorem1.delta > 0 && s.theorem1.delta < 1,
                  "theorem1.delta: expected a number between 0 and 1, found ", s.theorem1.delta);
  });
  problems.collect([&] { check(s.theorem1.rademacher); });
  problems.collect([&] { check_theorem1_needs(s); });
  problems.collect([&] { expect_count("logits.views", 1, s.logits.views, 1 << 20); });
  problems.collect(
      [&] { expect_count("logits.seed", 0, s.logits.seed, std::numeric_limits<int64_t>::max()); });
  for (const MethodEntry& entry : all_methods())
    problems.collect([&] { create_method(entry.name, s.methods); });
  for (const data_free::Entry& entry : data_free::all_entries())
    problems.collect([&] { data_free::settings_of(entry.name, s.methods); });
  problems.collect([&] {
    if (trains_gan(s, plan_of(s))) gan::check_condition_kind(s.gan.arch, !of_responses(s));
  });
  problems.throw_if_any();
}

std::vector<std::string> remarks_on(const ExperimentSettings& s) {
  std::vector<std::string> remarks;
  const auto look = [&](const auto& training, const char* section) {
    if constexpr (requires { training.schedule; })
      if (training.schedule != "milestones") return;
    const std::string remark =
        train::unreached_milestone(training.milestones, training.epochs, section);
    if (!remark.empty()) remarks.push_back(remark);
  };
  look(s.teacher, "teacher"), look(s.student, "student");
  const Plan plan = plan_of(s);
  const auto second_phase = [](const Student& student) { return student.fakes != FakesUsed::none; };
  if (std::any_of(plan.students.begin(), plan.students.end(), second_phase))
    look(s.transfer, "transfer");
  if (!trains_gan(s, plan)) return remarks;
  look(s.ratio, "ratio");
  if (!of_responses(s)) return look(s.features, "features"), remarks;
  look(s.embedding, "embedding"), look(s.label_embedding, "label_embedding");
  look(s.autoencoder, "autoencoder");
  return remarks;
}

std::string unsupported_pairs(Experiment& e, const Plan& plan, const data::ReplayedViews& stored) {
  const NoGrad no_grad;
  std::map<std::string, std::unique_ptr<nn::Network>> networks;
  const auto network = [&](const std::string& model) -> nn::Network& {
    auto& made = networks[model];
    if (!made) made = nn::create_model(model, e.options());
    made->eval();
    return *made;
  };
  const data::Dataset& d = e.train();
  const Variable images(Tensor::zeros({2, d.height(), d.width(), d.channels()}));
  std::map<std::string, std::string> seen;
  for (const Student& student : plan.students) {
    nn::Network& pupil = network(student.pair.student);
    if (student.method == "none" || is_data_free(student.method)) continue;
    if (!seen.emplace(student.method + student.pair.text(), "").second) continue;
    try {
      std::unique_ptr<Method> method = create_method(student.method, e.settings.methods);
      method->check_names(student.pair.teacher, student.pair.student);
      Distillation distillation =
          stored.outputs.defined()
              ? Distillation(student.method, std::move(method), stored)
              : Distillation(student.method, std::move(method),
                             nn::create_model(student.pair.teacher, e.options()), e.task().kind());
      const nn::Features features = pupil.forward_features(images, distillation.preact());
      distillation.prepare(
          {pupil, features, images, d, Stream(), batch_of(e, student, distillation.drop_last())});
      if (e.task().kind() == nn::Task::regression) probe_loss(distillation, pupil, features, d);
    } catch (const Error& error) {
      seen[student.method + student.pair.text()] = cat(student.pair.text(), ": ", error.what());
    }
  }
  std::string all;
  for (const auto& [key, why] : seen)
    if (!why.empty()) all += (all.empty() ? "" : "; ") + why;
  return all;
}

DiskUse check_training(Experiment& e, const nn::Network& network, const train::Settings& settings,
                       const std::string& section, int64_t images, bool drop_last) {
  const int64_t side = e.train().height(), n = images > 0 ? images : e.train().size();
  LIMBECK_CHECK(settings.crop_padding < side, section,
                ".crop_padding: a crop may show nothing of an image; expected less than its side, ",
                side, ", found ", settings.crop_padding);
  LIMBECK_CHECK(n > 1, "data: batch norm needs at least two training images, found ", n);
  LIMBECK_CHECK(!drop_last || settings.batch <= n, section, ".batch: expected at most ", n,
                " (the number of images: incomplete batches are left out), found ", settings.batch);
  return disk_of(network.parameter_count(), 2);  // weights and momentum
}

DiskUse check_student(Experiment& e, const Student& student) {
  const bool second_phase = student.fakes != FakesUsed::none;
  const auto network = nn::create_model(student.pair.student, e.options());
  const bool drop_last =
      student.method != "none" && create_method(student.method, e.settings.methods)->drop_last();
  if (!second_phase)
    return check_training(e, *network, e.settings.student, "student", 0, drop_last);
  return check_training(e, *network, e.settings.transfer, "transfer",
                        e.images_of_transfer(student.point.rho, student.point.count), drop_last);
}

DiskUse check_embedding(Experiment& e) {
  const EmbeddingSettings& s = e.settings.embedding;
  return check_training(e, *nn::create_embedding_network(s.net, e.options()), s, "embedding");
}

DiskUse check_autoencoder(Experiment& e) {
  const gan::SparseAutoencoder net(gan::size_of(e.settings.autoencoder, e.train()));
  const DiskUse whole = disk_of(net.parameter_count(), 2);
  return {whole.kept / 2, whole.passing};  // the decoder is not kept
}

DiskUse check_features(Experiment& e) {
  const FeatureSettings& s = e.settings.features;
  return check_training(e, gan::FeatureNet(e.options(), s.net), s, "features");
}

DiskUse check_gan(Experiment& e) {
  const Task& task = e.task();
  const gan::GanSettings& s = e.settings.gan;
  const auto conditioning =
      task.conditioning(task.for_generation(e.train()), s, untrained_label_net(e), cpu);
  const gan::GanSizes sizes = gan::check_networks(s, *conditioning);
  conditioning->begin(e.stream("gan").fork("data"), 0);
  conditioning->next_real();  // a vicinity that no image lies in is found by drawing
  // Generator, its average and Adam's two moments of it; discriminator and its moments.
  return {sizes.generator * f32_bytes,
          2 * f32_bytes * (4 * sizes.generator + 3 * sizes.discriminator)};
}

DiskUse check_ratio(Experiment& e) {
  const auto net =
      e.task().ratio_net(e.train(), e.settings.ratio, feature_size(e), untrained_label_net(e));
  return disk_of(net->parameter_count(), 3);
}

DiskUse check_fakes(Experiment& e, const FakeSettings& settings) {
  const int64_t images = e.task().fakes_used(e.train(), settings, 0);
  LIMBECK_CHECK(images > 0, "fakes.rho: ", settings.rho,
                " keeps none of fakes.per_class = ", settings.per_class, " images");
  const int64_t bytes = images * bytes_of_image(e.train());
  return {bytes, bytes};  // the parts lie there until the set is complete
}

DiskUse check_evaluation(Experiment& e) {
  LIMBECK_CHECK(e.settings.evaluation.reference != "test" || e.data().test.size() > 1,
                "evaluation.reference: test, but the data have ", e.data().test.size(),
                " test images; expected at least 2");
  return {};
}

}  // namespace limbeck::kd
