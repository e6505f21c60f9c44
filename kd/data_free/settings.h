// The settings of data-free distillation. A published method is values of them: it registers its
// name with its defaults (kd/data_free/registry.h) and its section is [methods.NAME].
#pragma once
#include <algorithm>
#include <string>
#include <vector>

#include "train/settings.h"

namespace limbeck::kd::data_free {

/// [methods.NAME.generator]
struct GeneratorSettings {
  std::string arch = "cgdd";
  int64_t ch = 128, dim_z = 256, embedding = 50;
  double lr = 1e-3, beta1 = 0.5, beta2 = 0.999, clip = 0;
  std::string schedule = "constant";
  bool eval_images = false;
  void fields(FieldVisitor& v) {
    v("arch", arch,
      "dafl | dfad | zskt | cmi | dfq | gdfq | cgdd | cgdd_product | cgdd_cbn | dcgan_dfad | "
      "dcgan_cmi | dcgan_cgdd | fast_map");
    v("ch", ch, "channels of its maps, half as many of the last one");
    v("dim_z", dim_z, "size of the noise; of fast_map of the whole map");
    v("embedding", embedding, "size of the class embedding (cgdd, dcgan_cgdd)");
    v("lr", lr, "learning rate (Adam)");
    v("beta1", beta1, "Adam beta1");
    v("beta2", beta2, "Adam beta2");
    v("clip", clip, "norm to which gradients are cut, 0: never");
    v("schedule", schedule, "constant | student: its learning rate falls as the student's does");
    v("eval_images", eval_images,
      "the student's images are made with the running statistics of batch norm");
  }
};

/// [methods.NAME.loss]: what the generator minimises; a weight of 0 leaves its term out.
struct GeneratorLossSettings {
  double labelled = 1, cls = 0, one_hot = 0, balance = 0, activation = 0;
  double statistics = 0;
  std::string targets = "labels", statistics_form = "norms", adversary = "none";
  double adversarial = 1, adversarial_warmup = 0;
  bool student_eval = true;
  void fields(FieldVisitor& v) {
    v("labelled", labelled,
      "share of the images whose requested class counts; the others have the terms one_hot, "
      "balance and activation");
    v("cls", cls, "weight of the cross entropy with the requested class");
    v("targets", targets,
      "labels: of that | dirichlet: with soft targets like it, by the teacher's similarity of "
      "classes (ZSKD); the generator reads them too, and the requested class is the largest share",
      influence_if(labelled > 0 && cls > 0));
    v("one_hot", one_hot, "weight of the cross entropy with the teacher's own class");
    v("balance", balance,
      "weight of the negative entropy of the mean prediction, in nats; below 0: 5 with fewer than "
      "100 classes, else 20");
    v("activation", activation, "weight of -|input of the teacher's last layer|");
    v("statistics", statistics,
      "weight of the distance to the statistics of the teacher's batch norms");
    v("statistics_form", statistics_form,
      "norms: sum over layers | squares: mean over layers of mean squares (GDFQ)",
      influence_if(statistics != 0));
    v("adversary", adversary,
      "disagreement that is sought: none | l1 | kl | kl_mean (over classes too) | decision | js");
    const Influence adversarial_has = influence_if(adversary != "none");
    v("adversarial", adversarial, "its weight", adversarial_has);
    v("adversarial_warmup", adversarial_warmup, "share of the epochs in which it is 0",
      adversarial_has);
    v("student_eval", student_eval, "the student is in eval mode in the generator's steps",
      adversarial_has);
  }
};

/// [methods.NAME.distillation]: what the student minimises.
struct StudentLossSettings {
  std::string form = "kl";
  double temperature = 1, weight = 1, cross_entropy = 0, attention = 0;
  bool keep = true;
  void fields(FieldVisitor& v) {
    v("form", form,
      "kl: T^2 KL, mean over the images | kl_mean: over the classes too | l1, l2: mean absolute or "
      "squared difference of logits or responses");
    v("temperature", temperature, "of kl and kl_mean",
      influence_if(form == "kl" || form == "kl_mean"));
    v("weight", weight, "of that");
    v("cross_entropy", cross_entropy, "weight of the cross entropy with the requested class");
    v("keep", keep, "only of images that the teacher gives that class",
      influence_if(cross_entropy != 0));
    v("attention", attention, "weight of the distance between attention maps");
  }
};

/// [methods.NAME.synthesis.contrast]: of a local view with a global one (kd/data_free/contrast.h).
struct ContrastSettings {
  double weight = 0, temperature = 0.1, lr = 1e-3;
  int64_t bank = 40960, drawn = 4096;
  void fields(FieldVisitor& v) {
    v("weight", weight, "of the contrast, 0: none");
    const Influence has = influence_if(weight > 0);
    v("temperature", temperature, "of its softmax", has);
    v("lr", lr, "of its head (Adam)", has);
    v("bank", bank, "images of earlier syntheses whose features are remembered", has);
    v("drawn", drawn, "at most so many of them a step", has);
  }
};

/// [methods.NAME.synthesis]: images that are optimised one batch after the other and kept, instead
/// of made anew for each step.
struct SynthesisSettings {
  std::string of = "none";
  double lr = 0.1;
  int64_t pool = 0, student_batch = 0, warmup = 0, redraw = 0;
  bool best = true;
  double tv_l1 = 0, tv_l2 = 0, l2 = 0, momentum = 0;
  int64_t crop_padding = 0, roll = 0;
  bool flip = false;
  ContrastSettings contrast;
  bool used() const { return of != "none"; }
  /// Whether there is a generator in the end.
  bool leaves_generator() const { return of == "none" || of == "meta"; }
  void fields(FieldVisitor& v) {
    v("of", of,
      "none: no syntheses | pixels: images are optimised | meta: noise and a copy of a generator "
      "that learns to begin well are | fresh: noise and a generator that is drawn anew are; a "
      "round is then one synthesis of generator_steps steps");
    const Influence has = influence_if(used());
    v("lr", lr, "of pixels or noise (Adam)", has);
    v("pool", pool, "newest images that are kept for the student, 0: all", has);
    v("student_batch", student_batch, "images of a student's step, 0: batch", has);
    v("warmup", warmup, "epochs before the student's first step", has);
    v("redraw", redraw,
      "meta: the synthesis before which the layers behind the noise begin anew, counted from 0; 0: "
      "never",
      has);
    v("best", best, "the images of the step with the lowest loss are kept, else the last", has);
    v("tv_l1", tv_l1, "weight of the total variation as means of absolute differences", has);
    v("tv_l2", tv_l2, "the same as norms over the batch, which grow with it", has);
    v("l2", l2, "weight of the norm of the batch", has);
    v("momentum", momentum,
      "share of the averages over syntheses in the statistics (norms), 0: none", has);
    v("crop_padding", crop_padding, "what the teacher judges: random crop, 0: none", has);
    v("roll", roll, "what the teacher judges: rolled by up to so many pixels", has);
    v("flip", flip, "what the teacher judges: flipped or not", has);
    v("contrast", contrast, "of views, among syntheses", has);
  }
};

/// [methods.NAME]: base fields are the student's training. An epoch is rounds x (generator.steps
/// of the generator, student_steps of the student).
struct Settings : train::Settings {
  int64_t rounds = 40, generator_steps = 1, student_steps = 10;
  std::string order = "generator";
  int64_t pool = 0;
  double pool_share = 0.5;
  bool same_noise = false;
  double clip = 0;
  GeneratorSettings generator;
  SynthesisSettings synthesis;
  GeneratorLossSettings loss;
  StudentLossSettings distillation;
  Settings() {
    epochs = 200, batch = 256, lr = 0.1, schedule = "cosine", milestones = {}, late_drop = false;
    weight_decay = 1e-4, crop_padding = 0, flip = false;
  }
  void fields(FieldVisitor& v) {
    v("rounds", rounds, "rounds an epoch");
    v("generator_steps", generator_steps, "the generator's steps of a round");
    v("student_steps", student_steps, "the student's steps of a round");
    v("order", order,
      "generator: its steps come first | student: the student's | joint: both learn from the same "
      "images, generator_steps of them");
    v("pool", pool,
      "newest of the student's images that are kept, as bytes, for later rounds; 0: none",
      influence_if(pool != 0));
    v("pool_share", pool_share, "share of them in a student's batch", influence_if(pool > 0));
    v("same_noise", same_noise, "one noise (and class) for all steps of a round");
    v("clip", clip, "norm to which the student's gradients are cut, 0: never");
    v("generator", generator, "the generator and its training");
    v("synthesis", synthesis, "images that are optimised and kept");
    v("loss", loss, "the generator's loss");
    v("distillation", distillation, "the student's loss");
    train::Settings::fields(v);
  }
  int64_t student_steps_of_round() const {
    return order == "joint" ? generator_steps : student_steps;
  }
  /// Of a student's batch, from the pool.
  int64_t pooled() const {
    return pool > 0 ? static_cast<int64_t>(pool_share * static_cast<double>(batch)) : 0;
  }
  /// Most that are in the pool at a time; 0 without.
  int64_t images_kept() const {
    if (!synthesis.used()) return pool;
    const int64_t made = epochs * rounds * batch;
    return synthesis.pool > 0 ? std::min(made, synthesis.pool) : made;
  }
  int64_t steps_per_epoch() const { return rounds * student_steps_of_round(); }
};
/// Throws naming the key, with `section` in front ("methods.cgdd.rounds: ..."), for what no
/// training can follow.
void check(const Settings& settings, const std::string& section);

}  // namespace limbeck::kd::data_free
