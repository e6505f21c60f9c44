#include "kd/workflow.h"

#include <algorithm>

#include "kd/checks.h"
#include "kd/stages.h"
#include "tensor/ranges.h"

namespace limbeck::kd {
namespace {

/// Builds the graph. Every stage gets the canonical text of the settings that it reads itself.
class Builder {
 public:
  Builder(std::shared_ptr<Experiment> experiment, Plan plan)
      : experiment_(std::move(experiment)),
        s_(experiment_->settings),
        regression_(s_.task == "regression"),
        plan_(std::move(plan)) {}

  std::vector<Stage> build() {
    if (plan_.stored_logits) add_saved_logits();
    for (const std::string& model : plan_.teachers()) add_teacher(model);
    // Students on real images come first: people see them soon.
    for (const Student& student : plan_.students)
      if (student.fakes == FakesUsed::none) add_student(student);
    if (plan_.uses_fakes()) add_generation();
    for (const Student& student : plan_.students)
      if (student.fakes != FakesUsed::none) add_student(student);
    return std::move(stages_);
  }

  /// The first pair's teacher and its logits.
  std::vector<Stage> build_logits() {
    const std::string model = plan_.pairs[0].teacher;
    add_teacher(model);
    const StageHandle teacher = teachers_.at(model);
    add(
        {"logits",
         cat("logits of ", model, " for ", s_.logits.views, " views of every training image"),
         {{"role", "logits"}, {"model", model}},
         {teacher}},
        [&](auto& v) {
          v("logits", s_.logits, ""), v("student.batch", s_.student.batch, "");
          v("student.crop_padding", s_.student.crop_padding, "");
          v("student.flip", s_.student.flip, "");
        },
        [=](Experiment& e, StageContext& c) { make_logits(e, c, teacher); });
    return std::move(stages_);
  }

 private:
  using Run = std::function<void(Experiment&, StageContext&)>;
  struct Description {
    std::string name, title;
    Labels labels;
    std::vector<StageHandle> needs;
    std::function<DiskUse(Experiment&)> check = {};
    std::string length = {};                        // as in Stage
    std::map<std::string, std::string> files = {};  // as in Stage
  };

  /// `sections` calls the visitor with the sections that matter for this stage.
  template <class Sections>
  StageHandle add(Description d, Sections sections, Run run) {
    SettingsText text;
    d.labels["task"] = s_.task;
    int64_t seed = d.labels.contains("seed") ? std::stoll(d.labels.at("seed")) : s_.seed;
    d.labels["seed"] = std::to_string(seed);
    text("seed", seed, "");
    sections(text);
    Stage stage{
        d.name,
        d.title,
        {},
        s_.data.text() + text.text(),
        [experiment = experiment_, run](StageContext& context) { run(*experiment, context); },
        d.labels};
    if (d.check)
      stage.check = [experiment = experiment_, check = d.check] { return check(*experiment); };
    stage.files = d.files, stage.length = d.length;
    for (const StageHandle& need : d.needs) stage.needs.push_back(need.name());
    stages_.push_back(std::move(stage));
    return StageHandle(d.name);
  }

  void add_teacher(const std::string& model) {
    if (!s_.plan.teachers.empty()) return add_saved_teacher(model);
    NetworkSettings settings = s_.teacher;
    settings.model = model;
    teachers_[model] = add(
        {plan_.tabular ? "teacher." + model : "teacher",
         "teacher: " + model + " on real images",
         {{"role", "teacher"}, {"model", model}},
         {},
         [model](Experiment& e) {
           return check_training(e, *nn::create_model(model, e.options()), e.settings.teacher,
                                 "teacher");
         },
         "teacher.epochs"},
        [&](auto& v) { v("teacher", settings, ""); },
        [model](Experiment& e, StageContext& c) { train_teacher(e, c, model); });
  }

  /// What is there already is a file of the stage, which copies it once.
  void add_saved_teacher(const std::string& model) {
    const std::string path = teacher_file(s_.plan.teachers, model);
    teachers_[model] = add(
        {plan_.tabular ? "teacher." + model : "teacher",
         "teacher: " + model + " as saved",
         {{"role", "teacher"}, {"model", model}},
         {},
         [model](Experiment& e) { return check_saved_teacher(e, model); },
         "",
         {{"plan.teachers", path}}},
        [](auto&) {}, [model](Experiment& e, StageContext& c) { import_teacher(e, c, model); });
  }
  void add_saved_logits() {
    const std::string model = plan_.pairs[0].teacher;
    logits_ = add(
        {"logits",
         "logits of " + model + " as saved",
         {{"role", "logits"}, {"model", model}},
         {},
         {},
         "",
         {{"plan.logits", s_.plan.logits}}},
        [](auto&) {}, [model](Experiment& e, StageContext& c) { import_logits(e, c, model); });
  }
  void add_saved_fakes() {
    fakes_[FakesUsed::m2] = add(
        {"fakes",
         "fake images as saved",
         {{"role", "fakes"}, {"fakes", name_of(FakesUsed::m2)}},
         {},
         check_saved_fakes,
         "",
         {{"plan.fake_data", s_.plan.fake_data}}},
        [](auto&) {}, import_fakes);
  }

  void add_generation() {
    if (!s_.plan.fake_data.empty()) return add_saved_fakes();
    if (!s_.plan.generator.empty()) return add_data_free_generation();
    const StageHandle label_embedding = regression_ ? add_label_embedding() : StageHandle();
    label_embedding_ = label_embedding;
    // Where responses enter the GAN as they are, the ratio still wants them embedded.
    const bool naive = gan::condition_kind(s_.gan.arch) == gan::ConditionKind::response;
    const StageHandle of_gan = naive ? StageHandle() : label_embedding,
                      of_ratio = naive ? label_embedding : StageHandle();
    const auto gan = add(
        {"gan",
         "the conditional GAN",
         {{"role", "gan"}},
         present({of_gan}),
         check_gan,
         "gan.steps"},
        [&](auto& v) { v("gan", s_.gan, ""); },
        [=](Experiment& e, StageContext& c) { train_gan(e, c, of_gan); });
    const StageHandle features = regression_ ? add_autoencoder() : add_features();
    features_ = features;
    const auto ratio = add(
        {"ratio",
         "density-ratio network",
         {{"role", "ratio"}},
         present({gan, features, of_ratio}),
         check_ratio,
         "ratio.epochs"},
        [&](auto& v) { ratio_section(v); },
        [=](Experiment& e, StageContext& c) {
          train_density_ratio(e, c, gan, features, of_ratio);
        });
    const StageHandle judge = teachers_.at(plan_.judge);
    // How many, for the raw set; also how they are sampled, for the subsampled one; everything for
    // the filtered one.
    add_raw_fakes(gan);
    add_fakes(FakesUsed::m1, "fakes_m1", "fake images after subsampling (M1)",
              {.gan = gan, .features = features, .ratio = ratio, .label_embedding = of_ratio},
              [&](auto& v) {
                FakeSettings fakes = in_effect(s_.fakes, regression_);
                v("fakes.per_class", fakes.per_class, ""),
                    v("fakes.subsample", fakes.subsample, ""),
                    v("fakes.sampling", fakes.sampling, ""), conditions(v);
              });
    add_fakes(FakesUsed::m2, "fakes", "fake images after subsampling and filtering (M1 + M2)",
              {gan, features, ratio, judge, of_ratio}, [&](auto& v) {
                FakeSettings fakes = in_effect(s_.fakes, regression_);
                v("fakes", fakes, ""), conditions(v);
              });
    for (const SweepPoint& p : plan_.points)
      if (p.has_set()) add_swept_fakes(p, {gan, features, ratio, judge, of_ratio});
    add_evaluation(judge, features);
  }

  template <class Visitor>
  void ratio_section(Visitor& v) {
    gan::RatioSettings ratio = s_.ratio;
    if (regression_) ratio.embedding = 0;  // responses have one of their own
    v("ratio", ratio, "");
  }

  void add_raw_fakes(const StageHandle& gan) {
    add_fakes(FakesUsed::raw, "fakes_raw", "fake images as the generator makes them", {.gan = gan},
              [&](auto& v) {
                v("fakes.per_class", s_.fakes.per_class, ""),
                    v("fakes.sampling.batch", s_.fakes.sampling.batch, ""), conditions(v);
              });
  }

  /// The images of a generator that has seen none: there is no density ratio for them, so M2 alone.
  void add_data_free_generation() {
    const Student student{plan_.pairs[0], s_.plan.generator, FakesUsed::none, plan_.seeds[0]};
    const std::string name = stage_name(student, plan_.tabular);
    if (!students_.contains(name)) add_data_free_student(student);
    const StageHandle generator = students_.at(name), judge = teachers_.at(plan_.judge);
    add_raw_fakes(generator);
    const auto sections = [&](auto& v) {
      FakeSettings fakes = s_.fakes;
      fakes.subsample = false;
      fakes = in_effect(fakes, regression_);
      v("fakes", fakes, "");
    };
    add_fakes(FakesUsed::m2, "fakes", "fake images after filtering (M2)",
              {.gan = generator, .judge = judge}, sections);
    for (SweepPoint p : plan_.points)
      if (p.has_set()) add_swept_fakes(p, {.gan = generator, .judge = judge});
    add_evaluation(judge, {});
  }

  StageHandle add_features() {
    return add(
        {"features",
         "feature network of the density ratio",
         {{"role", "features"}},
         {},
         check_features,
         "features.epochs"},
        [&](auto& v) { v("features", s_.features, ""); }, train_features);
  }

  StageHandle add_autoencoder() {
    return add(
        {"autoencoder",
         "sparse autoencoder: features of the density ratio",
         {{"role", "features"}},
         {},
         check_autoencoder,
         "autoencoder.epochs"},
        [&](auto& v) { v("autoencoder", s_.autoencoder, ""); }, train_autoencoder);
  }

  /// Images to embeddings to responses, then responses to embeddings.
  StageHandle add_label_embedding() {
    const StageHandle embedding = add(
        {"embedding",
         "embedding of images that tells the response",
         {{"role", "embedding"}},
         {},
         check_embedding,
         "embedding.epochs"},
        [&](auto& v) { v("embedding", s_.embedding, ""); }, train_embedding);
    return add(
        {"label_embedding",
         "embedding of responses",
         {{"role", "embedding"}},
         {embedding},
         {},
         "label_embedding.epochs"},
        [&](auto& v) { v("label_embedding", s_.label_embedding, ""); },
        [=](Experiment& e, StageContext& c) { train_label_embedding(e, c, embedding); });
  }

  static std::vector<StageHandle> present(const std::vector<StageHandle>& handles) {
    std::vector<StageHandle> needs;
    for (const StageHandle& h : handles)
      if (h) needs.push_back(h);
    return needs;
  }

  /// Which responses get fakes; classes all do.
  template <class Visitor>
  void conditions(Visitor& v) {
    if (regression_) v("fake_responses", s_.fake_responses, "");
  }

  template <class Sections>
  void add_fakes(FakesUsed kind, const std::string& name, const std::string& title,
                 const FakeInputs& inputs, Sections sections) {
    fakes_[kind] = add(
        {name,
         title,
         {{"role", "fakes"}, {"fakes", name_of(kind)}},
         present({inputs.gan, inputs.features, inputs.ratio, inputs.judge, inputs.label_embedding}),
         [inputs](Experiment& e) { return check_fakes(e, fakes_of(e, inputs)); }},
        sections,
        [name, inputs](Experiment& e, StageContext& c) { make_fakes(e, c, name, inputs); });
  }

  /// M2's set again at a point of a sweep, from the same draws.
  void add_swept_fakes(const SweepPoint& point, FakeInputs inputs) {
    FakeSettings fakes = s_.fakes;
    if (point.rho > 0) fakes.rho = inputs.rho = point.rho;
    if (point.assigned) fakes.adjust = false, inputs.assigned = true;
    if (!point.judge.empty()) inputs.judge = teachers_.at(point.judge);
    swept_[point.text()] = add(
        {"fakes_" + point.text(),
         "fake images after subsampling and filtering, " + point.text(),
         {{"role", "fakes"}, {"fakes", fakes_label(FakesUsed::m2, point)}},
         present({inputs.gan, inputs.features, inputs.ratio, inputs.judge, inputs.label_embedding}),
         [inputs](Experiment& e) { return check_fakes(e, fakes_of(e, inputs)); }},
        [&](auto& v) {
          fakes = in_effect(fakes, regression_);
          v("fakes", fakes, ""), conditions(v);
        },
        [inputs](Experiment& e, StageContext& c) { make_fakes(e, c, "fakes", inputs); });
  }

  void add_evaluation(const StageHandle& judge, const StageHandle& features) {
    FakeSets sets;
    std::vector<StageHandle> needs = present({judge, features});
    for (const auto& [kind, stage] : fakes_) sets[name_of(kind)] = stage, needs.push_back(stage);
    add(
        {"evaluate",
         regression_ ? "label errors, Frechet distances and diversity of the fakes"
                     : "label consistency, Frechet distances and diversity of the fakes",
         {{"role", "evaluation"}},
         needs,
         check_evaluation,
         "",
         types_file()},
        [&](auto& v) {
          v("evaluation", s_.evaluation, "");
          if (regression_) return v("response_evaluation", s_.response_evaluation, "");
          v("fakes.rho", s_.fakes.rho, "");  // of Table 6
        },
        [=](Experiment& e, StageContext& c) { evaluate_fakes(e, c, judge, features, sets); });
  }

  std::map<std::string, std::string> types_file() const {
    const std::string& path = s_.evaluation.types;
    return path.empty() ? std::map<std::string, std::string>{}
                        : std::map<std::string, std::string>{{"evaluation.types", path}};
  }

  /// The teacher and the method's own settings; the data only measure.
  void add_data_free_student(const Student& student) {
    const StageHandle teacher = teachers_.at(student.pair.teacher);
    const std::string name = stage_name(student, plan_.tabular);
    students_[name] = add(
        {name,
         title_of(student) + (plan_.seeds.size() > 1 ? cat(", seed ", student.seed) : ""),
         labels_of(student),
         {teacher},
         [student](Experiment& e) { return check_data_free(e, student); }},
        [&](auto& v) { v("methods." + student.method, s_.methods.at(student.method), ""); },
        [=](Experiment& e, StageContext& c) { train_data_free(e, c, student, teacher); });
  }

  void add_student(const Student& student) {
    if (is_data_free(student.method)) return add_data_free_student(student);
    const std::string name = stage_name(student, plan_.tabular);
    Description d{name,
                  title_of(student) + (plan_.seeds.size() > 1 ? cat(", seed ", student.seed) : ""),
                  labels_of(student),
                  {},
                  [student](Experiment& e) { return check_student(e, student); },
                  student.fakes == FakesUsed::none ? "student.epochs" : "transfer.epochs"};
    if (student.fakes == FakesUsed::equal && !s_.plan.fake_data.empty())  // their number
      d.files["plan.fake_data"] = s_.plan.fake_data;
    const auto sections = [&](auto& v) {
      student_sections(v, student);
      if (student.method != "none")
        v("methods." + student.method, s_.methods.at(student.method), "");
    };
    if (student.fakes == FakesUsed::none) {
      const Guidance guidance = guide(student, {}, {}, d.needs);
      students_[name] = add(d, sections, [=](Experiment& e, StageContext& c) {
        train_from_scratch(e, c, student, guidance);
      });
      return;
    }
    const Student first{student.pair, begins_with(s_, student.method), FakesUsed::none,
                        student.seed};
    const StageHandle before = students_.at(stage_name(first, plan_.tabular));
    const StageHandle fakes = student.fakes == FakesUsed::equal ? StageHandle()
                              : student.point.has_set()         ? swept_.at(student.point.text())
                                                                : fakes_.at(student.fakes);
    d.needs.push_back(before);
    const Guidance guidance = guide(student, before, fakes, d.needs);
    if (fakes) d.needs.push_back(fakes);
    const StageHandle trained = add(d, sections, [=](Experiment& e, StageContext& c) {
      train_second_phase(e, c, student, before, fakes, guidance);
    });
    if (fakes && s_.theorem1.measure) add_theorem1(student, trained, before, fakes);
  }

  void add_theorem1(const Student& student, const StageHandle& trained, const StageHandle& before,
                    const StageHandle& fakes) {
    Theorem1Inputs inputs{trained, before, fakes};
    if (s_.plan.fake_data.empty())
      inputs.judge = teachers_.at(student.point.judge.empty() ? plan_.judge : student.point.judge);
    if (s_.theorem1.rademacher.measure) inputs.rademacher = rademacher_of(student, fakes);
    if (s_.theorem1.ratio) inputs.ratio = ratio_of(student, fakes);
    Labels labels = labels_of(student);
    labels["role"] = "theorem1";
    add(
        {"theorem1_" + trained.name(), "terms of Theorem 1: " + title_of(student), labels,
         present({trained, before, fakes, inputs.judge, inputs.rademacher, inputs.ratio}),
         check_theorem1},
        [&](auto& v) {
          v("theorem1.delta", s_.theorem1.delta, "");
          int64_t first = s_.student.epochs, second = s_.transfer.epochs;
          v("student.epochs", first, ""), v("transfer.epochs", second, "");
        },
        [=](Experiment& e, StageContext& c) { measure_theorem1(e, c, student, inputs); });
  }

  /// Method and seed have no say in what a network can fit: all of its students share the stage,
  /// and the images are those of the first.
  StageHandle rademacher_of(Student student, const StageHandle& fakes) {
    student.method = "none";
    const std::string &model = student.pair.student,
                      label = fakes_label(student.fakes, student.point),
                      name = cat("theorem1_rademacher_", label, plan_.tabular ? "." + model : "");
    StageHandle& stage = theorem1_[name];
    if (stage) return stage;
    return stage = add(
               {name,
                cat("Rademacher complexity of ", model, " on real images and ", label),
                {{"role", "rademacher"},
                 {"model", model},
                 {"fakes", label},
                 {"seed", std::to_string(student.seed)}},
                {fakes},
                [student](Experiment& e) { return check_rademacher(e, student); }},
               [&](auto& v) {
                 NetworkSettings training = student_settings(s_, model);
                 static_cast<train::Settings&>(training) = sign_settings(training);
                 int64_t count = student.point.count > 0 ? student.point.count : s_.transfer.fakes;
                 v("theorem1.rademacher", s_.theorem1.rademacher, "");
                 v("student", training, ""), v("transfer.fakes", count, "");
               },
               [=](Experiment& e, StageContext& c) { measure_rademacher(e, c, student, fakes); });
  }

  /// One for each set of fakes.
  StageHandle ratio_of(const Student& student, const StageHandle& fakes) {
    SweepPoint point = student.point;
    point.count = 0;
    const std::string label = fakes_label(student.fakes, point), name = "theorem1_ratio_" + label;
    StageHandle& stage = theorem1_[name];
    if (stage) return stage;
    const RatioInputs inputs{features_, fakes, label_embedding_};
    return stage = add(
               {name,
                "distance of real images and " + label + " by a density ratio",
                {{"role", "theorem1_ratio"}, {"fakes", label}},
                present({features_, fakes, label_embedding_}),
                check_ratio},
               [&](auto& v) { ratio_section(v); },
               [=](Experiment& e, StageContext& c) { measure_ratio(e, c, inputs); });
  }

  template <class Visitor>
  void student_sections(Visitor& v, const Student& student) {
    if (student.fakes == FakesUsed::none) {
      NetworkSettings settings = student_settings(s_, student.pair.student);
      v("student", settings, "");
      return;
    }
    if (student.fakes == FakesUsed::equal) {  // of the fakes only their number matters
      const bool shrinks = s_.fakes.filter && (regression_ || s_.fakes.form == "paper");
      double share = shrinks ? s_.fakes.rho : 1.0;
      v("fakes.per_class", s_.fakes.per_class, "");
      v("fakes.rho", share, "");
      if (regression_ && shrinks) v("fakes.form", s_.fakes.form, "");
      conditions(v);
    }
    TransferSettings transfer = s_.transfer;
    if (student.point.count > 0) transfer.fakes = student.point.count;
    if (regression_ || student.fakes == FakesUsed::equal) transfer.recompute_standardisation = true;
    v("transfer", transfer, "");
  }

  /// The teacher and what the method must have done before; both come to the student's needs.
  Guidance guide(const Student& student, const StageHandle& first_phase, const StageHandle& fakes,
                 std::vector<StageHandle>& needs) {
    if (student.method == "none") return {};
    if (logits_) {
      needs.push_back(logits_);
      return {{}, {}, logits_};
    }
    Guidance guidance{teachers_.at(student.pair.teacher), {}};
    needs.push_back(guidance.teacher);
    for (const Preparation& p : create_method(student.method, s_.methods)->preparations()) {
      // A second phase shares those of the first but where they train the student.
      Student prepared = student;
      if (!p.of_student) prepared.fakes = FakesUsed::none, prepared.point = {};
      const bool second = prepared.fakes != FakesUsed::none;
      guidance.preparations[p.name] =
          prepare(prepared, p, guidance, second ? first_phase : StageHandle(),
                  second ? fakes : StageHandle());
      needs.push_back(guidance.preparations[p.name]);
    }
    return guidance;
  }

  /// Adds the stage once for all students that share it.
  StageHandle prepare(const Student& student, const Preparation& p, const Guidance& guidance,
                      const StageHandle& first_phase, const StageHandle& fakes) {
    const std::string suffix = plan_.tabular ? cat(".", student.pair.teacher, "-",
                                                   student.pair.student, ".s", student.seed)
                                             : "";
    const std::string name = swept_name(student) + "_" + p.name + suffix;
    StageHandle& stage = preparations_[name];
    if (stage) return stage;
    Labels labels = labels_of(student);
    labels["role"] = "preparation", labels.erase("fakes");
    std::vector<StageHandle> needs{guidance.teacher};
    for (const auto& [earlier, handle] : guidance.preparations) needs.push_back(handle);
    for (const StageHandle& h : {first_phase, fakes})
      if (h) needs.push_back(h);
    const auto sections = [&](auto& v) {
      if (first_phase) {
        int64_t count = student.point.count > 0 ? student.point.count : s_.transfer.fakes;
        v("transfer.fakes", count, "");
        v("transfer.recompute_standardisation", s_.transfer.recompute_standardisation, "");
      } else {
        student_sections(v, student);
      }
      v("methods." + student.method, s_.methods.at(student.method), "");
    };
    return stage = add({name, p.title, labels, needs}, sections,
                       [=, preparation = p.name](Experiment& e, StageContext& c) {
                         run_preparation(e, c, student, preparation, guidance, first_phase, fakes);
                       });
  }

  std::shared_ptr<Experiment> experiment_;
  ExperimentSettings s_;  // fields() is not const
  const bool regression_;
  Plan plan_;
  std::vector<Stage> stages_;
  std::map<std::string, StageHandle> teachers_, students_, preparations_;
  std::map<FakesUsed, StageHandle> fakes_;
  std::map<std::string, StageHandle> swept_;     // by the text of the point
  std::map<std::string, StageHandle> theorem1_;  // what several students share, by name
  StageHandle logits_, features_, label_embedding_;
};

}  // namespace

Workflow::Workflow(const ExperimentSettings& settings, Device device)
    : experiment_(std::make_shared<Experiment>(settings, device)) {
  check_values(settings);
  stages_ = Builder(experiment_, plan_of(settings)).build();
}

Workflow Workflow::of_logits(const ExperimentSettings& settings, Device device) {
  Workflow workflow(settings, device);
  LIMBECK_CHECK(settings.task == "classification", "logits: a response has no logits");
  workflow.stages_ = Builder(workflow.experiment_, plan_of(settings)).build_logits();
  return workflow;
}

std::vector<std::string> Workflow::remarks() const { return remarks_on(experiment_->settings); }

DiskUse Workflow::check_data() const {
  std::vector<std::string> all;
  for (const Stage& stage : stages_) all.push_back(stage.name);
  return check_data(all);
}

DiskUse Workflow::check_data(const std::vector<std::string>& chosen) const {
  Experiment& e = *experiment_;
  e.task().check(e.data());
  const Plan plan = plan_of(e.settings);
  Problems problems;
  for (const std::string& model : plan.teachers())
    problems.collect([&] { nn::create_model(model, e.options()); });
  if (const std::string& types = e.settings.evaluation.types; !types.empty())
    problems.collect([&] { load_type_classifier(types, e.options(), cpu); });
  problems.throw_if_any();
  data::ReplayedViews stored;
  if (plan.stored_logits)
    stored = stored_logits_of(e, e.settings.plan.logits, plan.pairs[0].teacher).views;
  const std::string why = unsupported_pairs(e, plan, stored);
  problems.collect(
      [&] { LIMBECK_CHECK(why.empty(), plan.tabular ? "plan: " : "distillation.method: ", why); });
  DiskUse sum;
  for (const Stage& stage : stages_)
    if (stage.check && std::count(chosen.begin(), chosen.end(), stage.name))
      problems.collect([&] {
        const DiskUse use = stage.check();
        sum.kept += use.kept, sum.passing = std::max(sum.passing, use.passing);
      });
  problems.throw_if_any();
  return sum;
}

}  // namespace limbeck::kd
