// What the stages of an experiment do. kd/workflow.cpp puts them into a graph. Each reads its
// inputs through handles.
//
// Files: model.safetensors (kd/checkpoint.h), generator.safetensors, features.safetensors,
// autoencoder.safetensors, label_embedding.safetensors, ratio.safetensors, fake_data.safetensors,
// logits.safetensors (kd/stored_logits.h).
#pragma once
#include <map>
#include <string>

#include "kd/checkpoint.h"
#include "kd/experiment.h"
#include "kd/plan.h"
#include "kd/stored_logits.h"

namespace limbeck::kd {

// --- networks (kd/network_stages.cpp) ------------------------------------------------------------
// Results: test_<metric>, train_<metric>, loss, steps, parameters; students of a second phase also
// fakes.

/// The stages, one function each.
void train_teacher(Experiment& experiment, StageContext& context, const std::string& model);

/// The file of a network that plan.teachers names: a file, or a folder with the network's name.
std::string teacher_file(const std::string& teachers, const std::string& model);
/// Throws when it does not fit the data.
DiskUse check_saved_teacher(Experiment& experiment, const std::string& model);
/// A saved network in the place of a training; throws when it does not fit the data. Results:
/// test_<metric>, parameters.
void import_teacher(Experiment& experiment, StageContext& context, const std::string& model);

/// The teacher's logits of views of the training images, as [logits] says. Results: images, views.
void make_logits(Experiment& experiment, StageContext& context, const StageHandle& teacher);
/// A finished file of them in the place of a teacher; `model` is the teacher that it should be of.
void import_logits(Experiment& experiment, StageContext& context, const std::string& model);
/// Such a file. Throws when it is of another teacher or of other images than the students train on.
StoredLogits stored_logits_of(Experiment& experiment, const std::string& path,
                              const std::string& model);

/// Who teaches a student: nobody, a teacher by a method, or stored logits in its place.
struct Guidance {
  StageHandle teacher;
  std::map<std::string, StageHandle> preparations;  ///< of the method
  StageHandle logits = {};
};

/// From scratch on the real images. All students of a seed begin with the same weights.
void train_from_scratch(Experiment& experiment, StageContext& context, const Student& student,
                        const Guidance& guidance);

/// M3 and its control: from the checkpoint of `first_phase` on real + fake images, or, without a
/// set of fakes, on the real images alone with as many steps.
void train_second_phase(Experiment& experiment, StageContext& context, const Student& student,
                        const StageHandle& first_phase, const StageHandle& fakes,
                        const Guidance& guidance);

/// From scratch on images that a generator makes while it learns from the teacher; real ones only
/// measure (kd/data_free/). Writes the generator, too. Results: test_<metric>, gap_to_teacher,
/// relative_to_teacher, loss, steps, generator_steps, parameters; of classes hit_rate,
/// class_entropy, agreement; of responses label_error, disagreement.
void train_data_free(Experiment& experiment, StageContext& context, const Student& student,
                     const StageHandle& teacher);

/// A stage before a student's. With `first_phase` it is of a second phase: the student begins with
/// those weights, and the images are those that it will train on.
/// Throws when the method has no such one.
void run_preparation(Experiment& experiment, StageContext& context, const Student& student,
                     const std::string& preparation, const Guidance& guidance,
                     const StageHandle& first_phase = {}, const StageHandle& fakes = {});

// --- generation (kd/generation_stages.cpp) -------------------------------------------------------

/// Responses only (kd/response_stages.cpp): x -> h -> y, y -> h, and the sparse autoencoder.
void train_embedding(Experiment& experiment, StageContext& context);
/// Throws for a saved network of another kind.
void train_label_embedding(Experiment& experiment, StageContext& context,
                           const StageHandle& embedding);
/// Null without a stage.
LabelNet load_label_embedding(const Experiment& experiment, const StageContext& context,
                              const StageHandle& stage);
void train_autoencoder(Experiment& experiment, StageContext& context);

/// `label_embedding`: of responses, which the generator's file carries on; none where they enter it
/// as they are.
void train_gan(Experiment& experiment, StageContext& context, const StageHandle& label_embedding);
void train_features(Experiment& experiment, StageContext& context);
/// `label_embedding`: of responses, where the generator's file carries none.
void train_density_ratio(Experiment& experiment, StageContext& context, const StageHandle& gan,
                         const StageHandle& features, const StageHandle& label_embedding);

/// What M1 and M2 need; a set is subsampled when it has features and ratio, filtered when it has a
/// judge, as far as [fakes] wants that. label_embedding: as the ratio's.
struct FakeInputs {
  StageHandle gan, features, ratio, judge, label_embedding;
  double rho = 0;         ///< of M2; 0: as [fakes] says
  bool assigned = false;  ///< labels are not replaced, whatever [fakes] says
};
/// [fakes] as it is for such a set.
FakeSettings fakes_of(const Experiment& experiment, const FakeInputs& inputs);
/// `name` of the set: also of its stream and picture. Results: images, acceptance, and where judged
/// consistency_before, consistency_after or label_error_before, label_error_after, cutoff.
void make_fakes(Experiment& experiment, StageContext& context, const std::string& name,
                const FakeInputs& inputs);

/// Throws when the set that plan.fake_data names does not fit the data.
DiskUse check_saved_fakes(Experiment& experiment);
/// A finished set of fakes in the place of generation. Results: images.
void import_fakes(Experiment& experiment, StageContext& context);

/// The network of evaluation.types; throws naming the file when it is no classifier of such images.
SavedNetwork load_type_classifier(const std::string& path, const nn::ModelOptions& data,
                                  Device device);

/// By the name that results carry: "raw", "m1", "m2".
using FakeSets = std::map<std::string, StageHandle>;
/// Results: fid_<set>, diversity_<set>; of classes consistency_<set>, table6_before, table6_after;
/// of responses label_score_<set>, intra_fid_<set> with its deviation over windows; with
/// evaluation.types type_entropy_<set> and type_entropy_real.
/// `features` may be none when [evaluation] does not ask for them.
void evaluate_fakes(Experiment& experiment, StageContext& context, const StageHandle& judge,
                    const StageHandle& features, const FakeSets& sets);

// --- Theorem 1 (kd/theorem1_stage.cpp) -----------------------------------------------------------

struct Theorem1Inputs {
  StageHandle student, first_phase, fakes;
  StageHandle judge = {};       ///< of M2; none where the fakes were there already
  StageHandle rademacher = {};  ///< none: the first term is left out
  StageHandle ratio = {};       ///< of this set of fakes; none: not asked for
};
/// The terms that a run can measure. Results of kind "theorem1": real_images, fake_images, theta,
/// theta_of_run, loss_bound, largest_loss, share_above, sample_term, teacher_loss, tv_classifier,
/// tv_losses, gap_term, gap_met, unseen_fakes, student_loss, first_loss, right_side; with
/// `rademacher` complexity_term; with `ratio` tv_ratio, tv_labels, gap_term_ratio; each estimate
/// also with NAME_error.
void measure_theorem1(Experiment& experiment, StageContext& context, const Student& student,
                      const Theorem1Inputs& inputs);
/// Throws when there are no test images.
DiskUse check_theorem1(Experiment& experiment);

/// Rademacher complexity of the student's network on its real and fake images (kd/rademacher.h).
/// Results: rademacher_<n> for every size, rademacher_root; each also with NAME_error.
void measure_rademacher(Experiment& experiment, StageContext& context, const Student& student,
                        const StageHandle& fakes);
/// Throws naming the key when no size is small enough.
DiskUse check_rademacher(Experiment& experiment, const Student& student);

struct RatioInputs {
  StageHandle features, fakes;
  StageHandle label_embedding = {};  ///< of responses
};
/// The density ratio real / fake trained on half of a set, and what it says of the other half.
/// Results: tv_ratio and mean_ratio, also with NAME_error, and tv_labels.
void measure_ratio(Experiment& experiment, StageContext& context, const RatioInputs& inputs);

/// The fakes that a student trains on: those of the set that it draws.
data::Dataset fakes_of_student(Experiment& experiment, const StageContext& context,
                               const Student& student, const StageHandle& fakes);

}  // namespace limbeck::kd
