// The stage that measures the Rademacher complexity of a student's network (kd/rademacher.h).
#include "kd/rademacher.h"

#include <algorithm>
#include <map>

#include "kd/checks.h"
#include "kd/stages.h"
#include "kd/theorem1_results.h"

namespace limbeck::kd {
namespace {

/// Real and fake ones, as they will be.
int64_t images_of(Experiment& experiment, const Student& student) {
  return experiment.images_of_transfer(student.point.rho, student.point.count);
}

/// What must exist.
int64_t smallest_size(const RademacherSettings& s) {
  return *std::min_element(s.sizes.begin(), s.sizes.end());
}

/// Mean and standard error over the draws of each size.
void put_by_size(StageContext& context, const std::vector<SignFit>& fits) {
  std::map<int64_t, std::vector<double>> by_size;
  for (const SignFit& f : fits) by_size[f.images].push_back(f.correlation);
  for (const auto& [n, found] : by_size)
    put_theorem1(context, cat("rademacher_", n), estimate(found));
}

}  // namespace

DiskUse check_rademacher(Experiment& experiment, const Student& student) {
  const RademacherSettings& s = experiment.settings.theorem1.rademacher;
  const int64_t images = images_of(experiment, student);
  LIMBECK_CHECK(smallest_size(s) <= images, "theorem1.rademacher.sizes: expected one of at most ",
                images, ", the real and fake images, found ", smallest_size(s), " as the least");
  const NetworkSettings training = student_settings(experiment.settings, student.pair.student);
  const DiskUse use =
      check_training(experiment, *nn::create_model(student.pair.student, experiment.options()),
                     training, "student", smallest_size(s));
  return {0, use.passing};  // nothing of it is kept
}

void measure_rademacher(Experiment& experiment, StageContext& context, const Student& student,
                        const StageHandle& fakes) {
  const data::Dataset images =
      data::concatenate(experiment.train(), fakes_of_student(experiment, context, student, fakes));
  const std::string& model = student.pair.student;
  const auto network = [&](const Stream& stream) {
    auto made = std::make_unique<SignNetwork>(nn::create_model(model, experiment.options()),
                                              images.channels(), images.height());
    made->initialise(stream);
    made->to(experiment.device);
    return made;
  };
  RademacherSettings settings = experiment.settings.theorem1.rademacher;
  const int64_t most = images_of(experiment, student);
  std::erase_if(settings.sizes, [most](int64_t n) { return n > most; });
  const std::vector<SignFit> fits =
      fit_signs(images, {network, sign_settings(student_settings(experiment.settings, model))},
                settings, experiment.stream("rademacher"), context.monitor);
  if (context.monitor.trial()) return;
  put_by_size(context, fits);
  put_theorem1(context, "rademacher_root", rademacher_root(fits));
}

}  // namespace limbeck::kd
