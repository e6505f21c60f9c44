// The settings of an experiment: the sections of a configuration.
#pragma once
#include <string>
#include <vector>

#include "data/source.h"
#include "gan/autoencoder_trainer.h"
#include "gan/density_ratio.h"
#include "gan/feature_net.h"
#include "gan/label_embedding_trainer.h"
#include "gan/settings.h"
#include "kd/fake_data.h"
#include "kd/method.h"
#include "kd/rademacher.h"
#include "train/supervised.h"

namespace limbeck::kd {

/// [teacher], [student]: a network of the registry and its training from scratch on real images.
struct NetworkSettings : train::Settings {
  std::string model = "resnet8";
  void fields(FieldVisitor& v) {
    v("model", model, "network of the registry (`limbeck models`)");
    train::Settings::fields(v);
  }
};

/// [features]: the feature network of the density ratio; the defaults are the original's.
struct FeatureSettings : train::Settings {
  gan::FeatureNetSize net;
  FeatureSettings() {
    epochs = 350, batch = 256, lr = 0.1, milestones = {150, 250}, late_drop = false,
    weight_decay = 1e-4;
  }
  void fields(FieldVisitor& v) {
    v("net", net, "size of the feature network");
    train::Settings::fields(v);
  }
};

/// [embedding]: responses only. The network x -> h -> y whose h the generator is conditioned on;
/// the defaults are the original's.
struct EmbeddingSettings : train::Settings {
  std::string net = "ResNet34_embed";
  EmbeddingSettings() {
    epochs = 200, batch = 256, lr = 0.01, milestones = {60, 120}, late_drop = false,
    weight_decay = 1e-4, crop_padding = 0, flip = false;
  }
  void fields(FieldVisitor& v) {
    v("net", net, "ResNet18_embed | ResNet34_embed");
    train::Settings::fields(v);
  }
};

/// [fake_responses]: responses only. What fakes are made for, fakes.per_class of each.
struct FakeResponseSettings {
  int64_t count = 0;
  void fields(FieldVisitor& v) {
    v("count", count,
      "responses evenly from the lowest to the highest of the scale; 0: those of the training "
      "images");
  }
};

/// [transfer]: M3, the second phase of the student: from its NOKD checkpoint on real + fake images;
/// the defaults are the original's.
struct TransferSettings : train::Settings {
  int64_t fakes = 0;
  bool recompute_standardisation = true;
  TransferSettings() { batch = 128, lr = 0.01; }
  void fields(FieldVisitor& v) {
    v("fakes", fakes, "fake images to draw from the set, equally from every class; 0: all");
    v("recompute_standardisation", recompute_standardisation,
      "mean and deviation of real + fake instead of those of the real images");
    train::Settings::fields(v);
  }
};

/// [distillation]: the method of a configuration without a plan. Its own settings stand in
/// [methods.NAME].
struct DistillationSettings {
  std::string method = "blkd";
  void fields(FieldVisitor& v) {
    v("method", method,
      "distillation method (`limbeck methods`) of a run without [plan]; none: only cGAN-KD");
  }
};

/// [evaluation]: what measures the fakes.
struct EvaluationSettings {
  std::string network = "teacher";
  std::string reference = "train";
  std::string types;
  void fields(FieldVisitor& v) {
    v("network", network, "features of the Frechet distance: teacher | features");
    v("reference", reference, "real images of the Frechet distance: train | test");
    v("types", types,
      "a saved classifier of second labels (races of faces, types of chairs): the entropy of its "
      "classes within each class or window of responses; empty: none",
      Influence::none);
  }
};

/// [response_evaluation]: responses only. Windows of responses, within which real images (training
/// and test) and fakes are compared.
struct ResponseEvaluationSettings {
  int64_t centres = 0;
  double radius = 0;
  int64_t official_batch = 0;
  void fields(FieldVisitor& v) {
    v("centres", centres,
      "windows evenly over the scale; 0: one at each response of the training images");
    v("radius", radius, "half the width of a window, in the unit of the responses");
    v("official_batch", official_batch,
      "0: features of all images; else the Frechet distances count zeros for the images behind the "
      "last whole batch of this size, as the original's script does");
  }
};

/// [theorem1]: the terms of the paper's Theorem 1 for every student that learns from fakes
/// (kd/theorem1.h).
struct Theorem1Settings {
  bool measure = false;
  double delta = 0.05;
  RademacherSettings rademacher;
  bool ratio = false;
  void fields(FieldVisitor& v) {
    v("measure", measure, "a stage for every student that learns from fakes");
    v("delta", delta, "the bound holds with probability 1 - delta");
    v("rademacher", rademacher, "the first term, by trainings on random signs");
    v("ratio", ratio,
      "also the distance of every set of fakes by a density ratio that is trained again on it");
  }
};

/// [plan]: students of pairs x methods x fakes x seeds over one teacher for each pair, one GAN, one
/// density ratio and one set of fakes. Without pairs there is no plan, and the run has one teacher,
/// one student and one method.
struct PlanSettings {
  std::vector<std::string> pairs, methods = {"none", "blkd"}, fakes = {"none", "m2", "equal"};
  std::vector<int64_t> seeds;
  std::string judge, teachers, fake_data, logits, generator;
  std::vector<double> rhos;
  std::vector<int64_t> counts;
  std::vector<std::string> judges, with_fakes, lrs, na;
  bool assigned_labels = false;
  void fields(FieldVisitor& v) {
    v("pairs", pairs, "\"TEACHER > STUDENT\" each; empty: no plan");
    v("methods", methods, "none, and distillation methods");
    v("fakes", fakes,
      "none: real images alone | raw, m1, m2: M3 with such fakes | equal: M3's steps on real "
      "images alone");
    v("seeds", seeds, "of the students; empty: `seed`. Teachers and generation keep `seed`");
    v("judge", judge,
      "network that filters the fakes (M2), trained like a teacher; empty: the first pair's "
      "teacher");
    v("na", na, "\"METHOD, ...: TEACHER > STUDENT\" each: cells that the table leaves out");
    v("with_fakes", with_fakes, "the methods that are combined with fakes; empty: all");
    v("lrs", lrs, "\"NETWORK: LR\" each: student.lr of single networks");
    v("rhos", rhos,
      "sweep: besides plan.fakes, students on m2's fakes for each of these fakes.rho (Fig. 11)");
    v("counts", counts, "sweep: likewise for each of these transfer.fakes (Fig. 10)");
    v("judges", judges,
      "sweep: likewise with the fakes filtered by each of these networks (Table 7)");
    v("assigned_labels", assigned_labels,
      "sweep: likewise with the labels that fakes were made for, where fakes.adjust replaces them "
      "(Fig. 9)");
    v("teachers", teachers,
      "saved teachers instead of training them: a file, or a folder of NETWORK.safetensors (of a "
      "run, or of `limbeck convert`)");
    v("fake_data", fake_data,
      "a finished set of fakes (fake_data.safetensors) instead of generation; fakes are then none, "
      "m2 or equal");
    v("generator", generator,
      "a data-free method instead of the GAN: the generator of the first pair's first student by "
      "it makes the fakes, without subsampling; fakes are then none, raw, m2 or equal");
    v("logits", logits,
      "a file of `limbeck logits` instead of the teacher, for methods that need nothing else; "
      "fakes "
      "are then none");
  }
};

/// [logits] of `limbeck logits`: a teacher's logits of augmented views of the training images.
struct LogitsSettings {
  int64_t views = 8, seed = 0;
  void fields(FieldVisitor& v) {
    v("views", views, "augmented views of each training image, one an epoch in turn");
    v("seed", seed, "of the views");
  }
};

struct ExperimentSettings {
  std::string task = "classification";
  int64_t seed = 0;
  bool ablation = false;
  data::DataSettings data;
  NetworkSettings teacher, student;
  gan::GanSettings gan;
  FeatureSettings features;
  EmbeddingSettings embedding;
  gan::LabelEmbeddingSettings label_embedding;
  gan::AutoencoderSettings autoencoder;
  gan::RatioSettings ratio;
  FakeSettings fakes;
  FakeResponseSettings fake_responses;
  TransferSettings transfer;
  DistillationSettings distillation;
  NamedSettings methods = default_method_settings();
  EvaluationSettings evaluation;
  ResponseEvaluationSettings response_evaluation;
  Theorem1Settings theorem1;
  PlanSettings plan;
  LogitsSettings logits;
  ExperimentSettings() { teacher.model = "resnet20"; }
  void fields(FieldVisitor& v) {
    v("task", task, "classification | regression, as the images have classes or responses");
    v("seed", seed, "root of every random stream but those of [data]");
    v("ablation", ablation,
      "without [plan]: also train the student on raw and on subsampled fakes (Fig. 9), and the "
      "method with equal steps");
    v("data", data, "images");
    v("teacher", teacher, "the teacher and its training");
    v("student", student, "the student and its training on real images");
    v("gan", gan, "the conditional GAN");
    v("features", features, "classes: feature network of the density ratio");
    v("embedding", embedding, "responses: the network whose embedding the GAN is conditioned on");
    v("label_embedding", label_embedding, "responses: the net from response to embedding");
    v("autoencoder", autoencoder, "responses: features of the density ratio");
    v("ratio", ratio, "density-ratio network");
    v("fakes", fakes, "M1 and M2: the fake images");
    v("fake_responses", fake_responses, "responses: which of them get fakes");
    v("transfer", transfer, "M3: training on real + fake");
    v("distillation", distillation, "the distillation method");
    v("methods", methods, "settings of the distillation methods");
    v("evaluation", evaluation, "metrics of the fakes");
    v("response_evaluation", response_evaluation, "responses: windows of the metrics");
    v("theorem1", theorem1, "the terms of the paper's Theorem 1");
    v("plan", plan, "a table of students");
    v("logits", logits, "stored logits, as `limbeck logits` makes them");
  }
};

}  // namespace limbeck::kd
