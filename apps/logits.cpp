// limbeck logits: what a saved teacher says of augmented views of the training images, as a file
// that `limbeck distill --logits` and plan.logits take in the teacher's place.
#include <memory>

#include "apps/kernels_option.h"
#include "apps/one_pair.h"
#include "kd/checkpoint.h"

namespace limbeck::logits_app {
namespace {

struct Arguments : OnePairArguments {
  int64_t views = 0, seed = -1;
};

int store(const Arguments& a) {
  kd::ExperimentSettings settings = settings_of(a);
  if (a.views > 0) settings.logits.views = a.views;
  if (a.seed >= 0) settings.logits.seed = a.seed;
  settings.plan.pairs = {kd::load_network(a.teacher).name + " > " + settings.student.model};
  settings.plan.methods = {"none"};
  settings.plan.fakes = {"none"};
  const Device device = chosen_device(*a.device);
  set_kernels(*a.kernels, device);
  return run_one_pair(a, settings, kd::Workflow::of_logits(settings, device),
                      "done; images and logits are in", "logits.safetensors");
}

const RegisterCommand command(
    {"logits", "store a saved teacher's logits of augmented training images", [](CommandLine& app) {
       auto a = std::make_shared<Arguments>();
       app.add_option("--teacher", a->teacher, "model.safetensors of a run or of `limbeck convert`")
           .required();
       app.add_option("--views", a->views,
                      "views of each image, one an epoch in turn (logits.views)")
           .positive();
       app.add_option("--seed", a->seed, "of the views (logits.seed)").non_negative();
       add_one_pair_options(app, *a);
       app.callback([a] {
         if (const int code = store(*a)) throw ExitStatus{code};
       });
     }});

}  // namespace
}  // namespace limbeck::logits_app
