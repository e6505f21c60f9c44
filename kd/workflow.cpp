#include "kd/workflow.h"

#include <memory>

#include "kd/workflow_steps.h"

namespace limbeck::kd {
namespace {

void check(const WorkflowSettings& s) {
  data::check(s.data);
  for (const auto& [section, model] : {std::pair<const char*, const std::string&>{"teacher", s.teacher.model}, {"student", s.student.model}}) {
    std::vector<std::string> names;
    bool known = false;
    for (const nn::ModelEntry& e : nn::all_models()) {
      names.push_back(e.name);
      known = known || e.name == model;
    }
    const std::string near = nearest_name(model, names);
    LIMBECK_CHECK(known, section, ".model: unknown network '", model, "'", near.empty() ? "; `limbeck models` lists them" : "; did you mean '" + near + "'?");
  }
  create_method(s.distillation);
  gan::ratio_widths(s.ratio.net, s.ratio.width);
  LIMBECK_CHECK(s.fakes.form == "official" || s.fakes.form == "paper", "fakes.form: expected official or paper, found '", s.fakes.form, "'");
  LIMBECK_CHECK(s.evaluation.network == "teacher" || s.evaluation.network == "features", "evaluation.network: expected teacher or features, found '",
                s.evaluation.network, "'");
  LIMBECK_CHECK(s.evaluation.reference == "train" || s.evaluation.reference == "test", "evaluation.reference: expected train or test, found '",
                s.evaluation.reference, "'");
}

/// Collects the stages; each gets the canonical text of the sections that it reads itself.
class Graph {
 public:
  Graph(const WorkflowSettings& settings, Device device) : settings_(settings), world_(std::make_shared<World>(settings, device)) {}

  /// `sections` calls the visitor with the sections that matter for this stage.
  template <class Sections, class Run>
  void add(std::string name, std::string title, std::vector<std::string> needs, Sections sections, Run run) {
    SettingsText text;
    text("seed", settings_.seed, "");
    sections(text);
    stages_.push_back({std::move(name), std::move(title), std::move(needs), settings_.data.text() + text.text(),
                       [world = world_, run](StageContext& context) { run(*world, context); }});
  }
  std::vector<Stage> take() { return std::move(stages_); }

 private:
  WorkflowSettings settings_;
  std::shared_ptr<World> world_;
  std::vector<Stage> stages_;
};

/// What the controls with equal steps read: of the fakes only their number matters.
void equal_steps(SettingsText& v, WorkflowSettings& s) {
  int64_t per_class = s.fakes.per_class;
  double share = s.fakes.filter && s.fakes.form == "paper" ? s.fakes.rho : 1.0;
  v("fakes.per_class", per_class, "");
  v("fakes.rho", share, "");
  v("transfer", s.transfer, "");
}

void add_baselines(Graph& g, WorkflowSettings& s) {
  g.add("teacher", "teacher: " + s.teacher.model + " on real images", {}, [&](auto& v) { v("teacher", s.teacher, ""); },
        [](World& w, StageContext& c) { train_from_scratch(w, c, "teacher", w.settings.teacher, "teacher"); });
  g.add("nokd", "NOKD: " + s.student.model + " on real images", {}, [&](auto& v) { v("student", s.student, ""); },
        [](World& w, StageContext& c) { train_from_scratch(w, c, "nokd", w.settings.student, "student"); });
  g.add("nokd_equal", "NOKD with as many steps as cGAN-KD", {"nokd"}, [&](auto& v) { equal_steps(v, s); },
        [](World& w, StageContext& c) { train_second_phase(w, c, "nokd_equal", ""); });
  g.add("blkd", "BLKD: the student with the teacher's soft targets", {"teacher"},
        [&](auto& v) { v("student", s.student, ""), v("distillation", s.distillation, ""); },
        [](World& w, StageContext& c) { train_from_scratch(w, c, "blkd", w.settings.student, "student", "teacher"); });
}

void add_generation(Graph& g, WorkflowSettings& s) {
  g.add("gan", "the conditional GAN", {}, [&](auto& v) { v("gan", s.gan, ""); }, train_gan);
  g.add("features", "feature network of the density ratio", {}, [&](auto& v) { v("features", s.features, ""); }, train_features);
  g.add("ratio", "density-ratio network", {"gan", "features"}, [&](auto& v) { v("ratio", s.ratio, ""); }, train_density_ratio);
  // How many, for the raw set; also how they are sampled, for the subsampled one; everything for the filtered one.
  g.add("fakes_raw", "fake images as the generator makes them", {"gan"},
        [&](auto& v) { v("fakes.per_class", s.fakes.per_class, ""), v("fakes.sampling", s.fakes.sampling, ""); },
        [](World& w, StageContext& c) { make_fakes(w, c, "fakes_raw", false, false); });
  g.add("fakes_m1", "fake images after subsampling (M1)", {"gan", "features", "ratio"},
        [&](auto& v) {
          v("fakes.per_class", s.fakes.per_class, ""), v("fakes.subsample", s.fakes.subsample, ""), v("fakes.sampling", s.fakes.sampling, "");
        },
        [](World& w, StageContext& c) { make_fakes(w, c, "fakes_m1", true, false); });
  g.add("fakes", "fake images after subsampling and filtering (M1 + M2)", {"gan", "features", "ratio", "teacher"},
        [&](auto& v) { v("fakes", s.fakes, ""); }, [](World& w, StageContext& c) { make_fakes(w, c, "fakes", true, true); });
}

/// Returns the classifiers that were added.
std::vector<std::string> add_transfer(Graph& g, WorkflowSettings& s) {
  const auto transfer = [&](auto& v) { v("transfer", s.transfer, ""); };
  g.add("cgankd", "cGAN-KD: the student on real + fake images (M3)", {"nokd", "fakes"}, transfer,
        [](World& w, StageContext& c) { train_second_phase(w, c, "cgankd", "fakes"); });
  g.add("cgankd_blkd", "cGAN-KD + BLKD", {"nokd", "teacher", "fakes"}, [&](auto& v) { transfer(v), v("distillation", s.distillation, ""); },
        [](World& w, StageContext& c) { train_second_phase(w, c, "cgankd_blkd", "fakes", "teacher"); });
  std::vector<std::string> names = {"cgankd", "cgankd_blkd"};
  if (!s.ablation) return names;
  g.add("cgankd_raw", "ablation: raw fakes", {"nokd", "fakes_raw"}, transfer,
        [](World& w, StageContext& c) { train_second_phase(w, c, "cgankd_raw", "fakes_raw"); });
  g.add("cgankd_m1", "ablation: subsampled fakes", {"nokd", "fakes_m1"}, transfer,
        [](World& w, StageContext& c) { train_second_phase(w, c, "cgankd_m1", "fakes_m1"); });
  g.add("blkd_equal", "control: BLKD with as many steps as cGAN-KD + BLKD", {"nokd", "teacher"},
        [&](auto& v) { equal_steps(v, s), v("distillation", s.distillation, ""); },
        [](World& w, StageContext& c) { train_second_phase(w, c, "blkd_equal", "", "teacher"); });
  names.insert(names.end(), {"cgankd_raw", "cgankd_m1", "blkd_equal"});
  return names;
}

}  // namespace

std::vector<Stage> workflow_stages(const WorkflowSettings& settings, Device device) {
  check(settings);
  WorkflowSettings s = settings;  // fields() is not const
  Graph g(settings, device);
  add_baselines(g, s);
  add_generation(g, s);
  std::vector<std::string> classifiers = {"teacher", "nokd", "nokd_equal", "blkd"};
  for (const std::string& name : add_transfer(g, s)) classifiers.push_back(name);
  std::vector<std::string> needs = classifiers;
  needs.insert(needs.end(), {"features", "fakes_raw", "fakes_m1", "fakes"});
  g.add("evaluate", "label consistency, Frechet distances and the table", needs,
        [&](auto& v) {
          v("evaluation", s.evaluation, "");
          v("fakes.rho", s.fakes.rho, "");
        },
        [classifiers](World& w, StageContext& c) { evaluate_fakes(w, c, classifiers); });
  return g.take();
}

}  // namespace limbeck::kd
