// `limbeck explain`: what the experts of a saved explainer_tree listen to.
#include <cstdio>

#include "apps/command.h"
#include "apps/stage_files.h"
#include "kd/checkpoint.h"
#include "nn/models/explainer.h"

namespace limbeck::explain_app {
namespace {

struct Options {
  std::string checkpoint;
  bool allow_nonfinite = false;
};

void print_level(const char* children, const char* parents, const Tensor& d) {
  std::printf("%s of %s\n", children, parents);
  for (int64_t i = 0; i < d.size(0); ++i) {
    std::printf("  %3lld ", static_cast<long long>(i));
    for (int64_t j = 0; j < d.size(1); ++j) std::printf(" %.3f", d.at(i * d.size(1) + j));
    std::printf("   entropy %.3f\n", nn::mean_entropy({Variable(d.rows(i, i + 1))}));
  }
}

void explain(const Options& o) {
  const kd::SavedNetwork saved =
      kd::load_network(expect_undamaged_file(o.checkpoint), cpu, o.allow_nonfinite);
  auto* const tree = dynamic_cast<nn::ExplainerTree*>(saved.network.get());
  LIMBECK_CHECK(tree, o.checkpoint, ": expected the network explainer_tree, found ", saved.name);
  const NoGrad no_grad;
  const Variables d = tree->decisions();
  print_level("blocks of level 2", "those of level 1", d[0].data());
  print_level("blocks of level 3", "those of level 2", d[1].data());
  print_level("classes", "blocks of level 3", d[2].data());
  std::printf("t %.3g, mean entropy %.3f (1: even mixtures, 0: one parent each)\n",
              1 / tree->inverse_temperature().item(), nn::mean_entropy(d));
}

const RegisterCommand command(
    {"explain", "what the experts of an explainer_tree listen to", [](CommandLine& app) {
       auto o = std::make_shared<Options>();
       app.add_option("--ckpt", o->checkpoint, "model.safetensors of an explainer_tree").required();
       app.add_flag("--allow-nonfinite", o->allow_nonfinite,
                    "take NaN and infinite weights as they are");
       app.callback([o] { explain(*o); });
     }});

}  // namespace
}  // namespace limbeck::explain_app
