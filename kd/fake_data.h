// M1 + M2: the fake data set. Images of the generator, subsampled by density ratio
// (gan/rejection.h), filtered by the teacher's loss (Ding et al., cGAN-KD, Algorithm 1).
#pragma once
#include <map>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "gan/rejection.h"
#include "nn/models/registry.h"
#include "nn/monitor.h"

namespace limbeck::kd {

/// [fakes] of a configuration; the defaults are the original's for CIFAR-100.
struct FakeSettings {
  int64_t per_class = 5000;
  bool subsample = true;
  bool filter = true;
  std::string form = "official";
  double rho = 0.9;
  int64_t filter_burn_in = 1000;
  bool augment_filter = true;
  bool adjust = false;
  gan::RejectionSettings sampling;
  void fields(FieldVisitor& v) {
    v("per_class", per_class,
      "images per class: kept ones in the official form, generated ones in the paper's form; per "
      "response: generated ones");
    v("subsample", subsample, "M1: rejection sampling by density ratio");
    v("filter", filter, "M2: drop images on which the teacher's loss is high");
    const Influence filters = influence_if(filter);
    v("form", form,
      "official: cut-off from separate images, then sample until enough are kept | paper: sort all "
      "and drop the worst. Responses: below the quantile of all errors | not above it",
      filters);
    v("rho", rho, "quantile of the loss (of a response's error) that is kept", filters);
    v("filter_burn_in", filter_burn_in, "images that find the cut-off (official form)",
      influence_if(filter && form == "official"));
    v("augment_filter", augment_filter,
      "the teacher judges randomly cropped and flipped images, as the original does", filters);
    v("adjust", adjust, "replace the assigned label by the teacher's prediction", filters);
    v("sampling", sampling, "rejection sampling");
  }
};

/// Throws naming the key for numbers that no set can be made by.
void check(const FakeSettings& settings);

/// The same set's settings with those at their defaults that have no say in it: of the density
/// ratio without subsampling; for responses M2's separate images and augmentation.
FakeSettings in_effect(FakeSettings settings, bool responses);

/// What the teacher says about images: the loss against the assigned label (the absolute error of a
/// response, in its unit), and its own label: a class or a response in its unit.
struct Judgement {
  std::vector<double> loss;
  std::vector<int64_t> predicted = {};
  std::vector<double> responses = {};
};
/// u8 [n,H,W,C] images, conditions y [n], a stream for the augmentation.
using Judge = std::function<Judgement(const Tensor& images, const Tensor& y, const Stream& stream)>;

/// -log softmax(teacher(x))_y and argmax, teacher in eval mode, on images augmented and
///   standardised as given. `teacher` outlives the result and stays
/// on its device.
Judge classifier_judge(nn::Network& teacher, data::Standardisation standardisation,
                       data::Augmentation augmentation, int64_t batch = 200);

/// Linearly interpolated quantile (NumPy's default), q in [0, 1].
/// Throws for no values and for q out of range.
double quantile(std::vector<double> values, double q);
/// Official form: the indices with loss <= cutoff, in order. (The original drops a loss that equals
/// the cut-off. With rho = 1, or where many losses are equal, as those of a barely trained teacher,
/// that drops what the quantile says to keep, up to all of it.)
std::vector<int64_t> keep_up_to(const std::vector<double>& loss, double cutoff);
/// Paper's form: the round(rho * n) indices of the smallest losses, in order of index; ties go to
/// the smaller index.
std::vector<int64_t> keep_best(const std::vector<double>& loss, double rho);

/// What happened to one class (or response).
struct FakeStatistics {
  double cutoff = 0;                  ///< largest allowed loss
  double proposed = 0, accepted = 0;  ///< by the sampler, burn-ins excluded
  double candidates = 0,
         candidates_consistent =
             0;  ///< judged images, and how many of them the teacher gives the assigned class
  double kept = 0, kept_consistent = 0;
};

struct FakeTask {
  gan::ImageSource source;
  gan::RatioFunction ratio;                     ///< needed when subsampling
  Judge judge;                                  ///< needed when filtering
  std::vector<Tensor> conditions;               ///< i64 [1] each: the classes; f32 [1]: responses
  std::string directory;                        ///< parts lie here until the set is complete
  std::string file;                             ///< of the finished set
  std::map<std::string, std::string> metadata;  ///< added to the file
  Stream stream;
  nn::Monitor& monitor;
};

/// Makes the set and writes it: fake_images u8 [N, C, H, W], class-major in the order of the
/// conditions, fake_labels i64 [N]. Resumable after every class. Returns the statistics per
/// condition.
std::vector<FakeStatistics> make_fake_data(const FakeTask& task, const FakeSettings& settings);

/// Reads such a file (ours or a converted original). Throws naming the file for missing tensors,
/// wrong types or labels out of range.
data::Dataset load_fake_data(const std::string& path, int64_t classes);

/// M3's choice: n / classes images of each class and the remainder from the last one, without
/// replacement, all when n is 0 or not smaller than the set; a class with fewer images gives what
/// it has. In class order. Of responses: any n, in order.
data::Dataset draw_fakes(const data::Dataset& fakes, int64_t n, Stream stream);

}  // namespace limbeck::kd
