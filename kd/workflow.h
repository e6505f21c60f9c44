// The cGAN-KD workflow for classification as a graph of stages (Ding et al., "Distilling and transferring knowledge via cGAN-generated
// samples for image classification and regression", 2023). docs/workflow.md explains it.
#pragma once
#include <string>
#include <vector>

#include "data/source.h"
#include "gan/density_ratio.h"
#include "gan/feature_net.h"
#include "gan/trainer.h"
#include "kd/fake_data.h"
#include "kd/stage.h"
#include "kd/trainer.h"

namespace limbeck::kd {

/// [teacher], [student]: a network of the registry and its training from scratch on real images.
struct ClassifierSettings : TrainSettings {
  std::string model = "resnet8";
  void fields(FieldVisitor& v) {
    v("model", model, "network of the registry (`limbeck models`)");
    TrainSettings::fields(v);
  }
};

/// [features]: the feature network of the density ratio; defaults of spec 3.1.
struct FeatureSettings : TrainSettings {
  gan::FeatureNetSize net;
  FeatureSettings() {
    epochs = 350, batch = 256, lr = 0.1, milestones = {150, 250}, late_drop = false, weight_decay = 1e-4;
  }
  void fields(FieldVisitor& v) {
    v("net", net, "size of the feature network");
    TrainSettings::fields(v);
  }
};

/// [transfer]: M3, the second phase of the student: from its NOKD checkpoint on real + fake images; defaults of spec 4.1.
struct TransferSettings : TrainSettings {
  int64_t fakes = 0;
  bool recompute_standardisation = true;
  TransferSettings() { batch = 128, lr = 0.01; }
  void fields(FieldVisitor& v) {
    v("fakes", fakes, "fake images to draw from the set, equally from every class; 0: all");
    v("recompute_standardisation", recompute_standardisation, "mean and deviation of real + fake instead of those of the real images");
    TrainSettings::fields(v);
  }
};

/// [evaluation]: what measures the fakes.
struct EvaluationSettings {
  std::string network = "teacher";
  std::string reference = "train";
  void fields(FieldVisitor& v) {
    v("network", network, "features of the Frechet distance: teacher | features");
    v("reference", reference, "real images of the Frechet distance: train | test");
  }
};

struct WorkflowSettings {
  int64_t seed = 0;
  bool ablation = false;
  data::DataSettings data;
  ClassifierSettings teacher, student;
  gan::GanSettings gan;
  FeatureSettings features;
  gan::RatioSettings ratio;
  FakeSettings fakes;
  TransferSettings transfer;
  MethodSettings distillation;
  EvaluationSettings evaluation;
  WorkflowSettings() { teacher.model = "resnet20"; }
  void fields(FieldVisitor& v) {
    v("seed", seed, "root of every random stream but those of [data]");
    v("ablation", ablation, "also train the student on raw and on subsampled fakes (Fig. 9), and BLKD with equal steps");
    v("data", data, "images");
    v("teacher", teacher, "the teacher and its training");
    v("student", student, "the student and its training on real images");
    v("gan", gan, "the conditional GAN");
    v("features", features, "feature network of the density ratio");
    v("ratio", ratio, "density-ratio network");
    v("fakes", fakes, "M1 and M2: the fake images");
    v("transfer", transfer, "M3: training on real + fake");
    v("distillation", distillation, "the distillation term of the blkd stages");
    v("evaluation", evaluation, "metrics of the fakes");
  }
};

/// The graph: teacher, nokd, nokd_equal, blkd, gan, features, ratio, fakes_raw, fakes_m1, fakes, cgankd, cgankd_blkd, (cgankd_raw, cgankd_m1,
/// blkd_equal with `ablation`), evaluate. Checks the names in the settings (models, method, ...) before anything runs; throws naming the key.
///
/// Results: teacher, nokd, nokd_equal, blkd, cgankd*: test_accuracy, train_accuracy, loss, steps, parameters. fakes*: images, acceptance,
/// consistency_before, consistency_after (the teacher's agreement among judged and kept images, where judged). evaluate:
/// accuracy_<stage> for every classifier, fid_raw|m1|m2, consistency_raw|m1|m2 and table6_before|after.
/// Files: model.safetensors (kd/checkpoint.h), generator.safetensors, features.safetensors, ratio.safetensors, fake_data.safetensors.
/// Networks train on `device`; a run may go on another device than it began on (results then differ by rounding).
std::vector<Stage> workflow_stages(const WorkflowSettings& settings, Device device = cpu);

}  // namespace limbeck::kd
