#include "kd/teacher_statistics.h"

#include "data/dataset.h"
#include "nn/images.h"
#include "nn/layers.h"

namespace limbeck::kd {
namespace {

std::vector<nn::BatchNorm*> batch_norms_of(nn::Network& network) {
  std::vector<nn::BatchNorm*> all;
  network.visit([&](const std::string&, nn::Module& m) {
    if (auto* const norm = dynamic_cast<nn::BatchNorm*>(&m)) all.push_back(norm);
  });
  return all;
}

/// In a trial two batches tell what there is to tell.
int64_t batches_of(const train::ExtraLoss::Probe& probe) {
  const int64_t all = data::steps_per_epoch(probe.train.size(), probe.batch, false);
  return probe.trial ? std::min<int64_t>(2, all) : all;
}

void refit(nn::Network& teacher, const std::vector<nn::BatchNorm*>& norms,
           const train::ExtraLoss::Probe& probe) {
  const NoGrad no_grad;
  data::Loader loader(
      probe.train,
      {.batch = probe.batch, .standardisation = probe.standardisation, .device = teacher.device()},
      probe.init.fork("refit"));
  const nn::ImageStandardiser standardise(probe.standardisation.mean,
                                          probe.standardisation.deviation, teacher.device());
  std::vector<double> momenta;
  for (nn::BatchNorm* n : norms) momenta.push_back(n->momentum()), n->train();
  const int64_t batches = batches_of(probe);
  for (int64_t i = 0; i < batches; ++i) {
    // The mean of what came so far, whatever was there before.
    for (nn::BatchNorm* n : norms) n->set_momentum(1.0 / static_cast<double>(i + 1));
    const data::Batch batch = loader.next();
    teacher(Variable(standardise(batch.images, batch.draws)));
  }
  for (size_t i = 0; i < norms.size(); ++i) norms[i]->set_momentum(momenta[i]), norms[i]->eval();
}

}  // namespace

TeacherStatistics parse_teacher_statistics(const std::string& name) {
  if (name == "eval") return TeacherStatistics::saved;
  if (name == "batch") return TeacherStatistics::batch;
  if (name == "adapt") return TeacherStatistics::adapt;
  if (name == "refit") return TeacherStatistics::refit;
  fail("expected eval, batch, adapt or refit, found '", name, "'");
}

bool has_batch_norm(nn::Network& network) { return !batch_norms_of(network).empty(); }

void apply_statistics(nn::Network& teacher, TeacherStatistics statistics,
                      const train::ExtraLoss::Probe& probe) {
  if (statistics == TeacherStatistics::saved) return;
  const std::vector<nn::BatchNorm*> norms = batch_norms_of(teacher);
  if (statistics == TeacherStatistics::refit) {
    const bool only_tried = probe.standardisation.mean.empty();  // there are no images to see yet
    if (!only_tried) refit(teacher, norms, probe);
    return;
  }
  for (nn::BatchNorm* n : norms) {
    n->train();
    if (statistics == TeacherStatistics::batch) n->set_momentum(0);
  }
}

}  // namespace limbeck::kd
