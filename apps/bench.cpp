// `limbeck bench train`: throughput of a whole training step (forward, backward, SGD with momentum) and of inference on random images.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <omp.h>
#include <sys/resource.h>

#include "apps/command.h"
#include "apps/device_option.h"
#include "tensor/device.h"
#include "nn/models/registry.h"
#include "nn/optim.h"
#include "nn/step_graph.h"
#include "nn/trace.h"
#include "ops/profile.h"

namespace limbeck {
namespace {

struct Options {
  std::string model = "resnet20";
  std::shared_ptr<std::string> device;
  int64_t batch = 64, size = 32, classes = 100, steps = 10, warmup = 3;
  int threads = 0;
  bool as_json = false;
  std::string profile;  // "", "operators" or "shapes"
};

/// Median seconds of `steps` calls after `warmup` calls.
template <class F>
double median_seconds(const Options& o, Device device, F&& step) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> seconds;
  for (int64_t i = 0; i < o.warmup + o.steps; ++i) {
    const auto begin = Clock::now();
    step();
    if (device != cpu) backend(device).synchronise(device.index);
    if (i >= o.warmup) seconds.push_back(std::chrono::duration<double>(Clock::now() - begin).count());
  }
  std::sort(seconds.begin(), seconds.end());
  const size_t n = seconds.size();
  return n % 2 ? seconds[n / 2] : (seconds[n / 2 - 1] + seconds[n / 2]) / 2;
}

struct Result {
  double train_seconds = 0, inference_seconds = 0;
  int64_t macs = 0;  // of one image, forward
  size_t peak_bytes = 0, system_calls = 0;
  std::vector<ProfileRow> profile;  // of the measured training steps
};

/// Where a training step's time goes: one row per operator (or operator and shapes), and what no operator accounts for.
void print_profile(const Options& o, const Result& r) {
  const double steps = static_cast<double>(o.steps);
  double rest = r.train_seconds;
  std::printf("\n%9s %7s %9s %9s  %s\n", "ms/step", "share", "calls", "GFLOP/s", "operator");
  for (const ProfileRow& row : r.profile) {
    const double seconds = row.seconds / steps;
    rest -= seconds;
    std::printf("%9.2f %5.1f %% %9.0f %9s  %s\n", 1e3 * seconds, 100 * seconds / r.train_seconds, static_cast<double>(row.calls) / steps,
                row.flops > 0 ? cat(std::llround(row.flops / row.seconds / 1e9)).c_str() : "", row.name.c_str());
  }
  std::printf("%9.2f %5.1f %% %9s %9s  outside of operators (against the median step)\n", 1e3 * rest, 100 * rest / r.train_seconds, "", "");
}

Result measure(const Options& o) {
  const auto network = nn::create_model(o.model, {.outputs = o.classes, .channels = 3, .size = o.size});
  network->initialise(Stream(1).fork("init"));
  nn::SGD sgd(network->parameters(), {.lr = 0.05, .momentum = 0.9, .weight_decay = 5e-4});
  Stream data(2);
  Tensor images = Tensor::empty({o.batch, o.size, o.size, 3}), labels = Tensor::empty({o.batch}, DType::i64);
  data.fill_normal(images);
  data.fill_integers(labels, 0, o.classes);

  Result r;
  {
    NoGrad no_grad;
    network->eval();
    nn::LayerTrace trace;
    network->forward(images.rows(0, 1));
    r.macs = trace.macs();
  }
  const Device device = device_of(*o.device);
  network->to(device);
  images = images.to(device), labels = labels.to(device);
  network->train();
  nn::StepGraph whole_step(device, {network.get()}, [&](const Tensors& in) {
    sgd.zero_grad();
    cross_entropy(network->forward(in[0]), in[1]).backward();
    sgd.step();
    return Tensors{};
  });
  Allocator& memory = allocator(device);
  memory.reset_peak();
  size_t calls = 0;
  int64_t step = 0;
  r.train_seconds = median_seconds(o, device, [&] {
    if (step++ == o.warmup) {
      calls = memory.stats().system_calls;
      if (!o.profile.empty()) set_profile(o.profile == "shapes" ? ProfileDetail::shapes : ProfileDetail::operators);
    }
    network->set_streams(Stream(3).fork("step", static_cast<uint64_t>(step)));
    whole_step({images, labels});
  });
  if (!o.profile.empty()) {
    r.profile = profile_rows();
    set_profile(ProfileDetail::off);
  }
  r.peak_bytes = memory.stats().peak_in_use;
  r.system_calls = memory.stats().system_calls - calls;
  network->eval();
  NoGrad no_grad;
  r.inference_seconds = median_seconds(o, device, [&] { network->forward(images); });
  return r;
}

void run(Options o) {
  LIMBECK_CHECK(o.batch > 1 && o.steps > 0 && o.warmup >= 0, "bench train: --batch must be at least 2, --steps at least 1");
  LIMBECK_CHECK(o.profile.empty() || o.profile == "operators" || o.profile == "shapes", "bench train: --profile expects operators or shapes, found '", o.profile, "'");
  LIMBECK_CHECK(o.profile.empty() || device_of(*o.device) == cpu, "bench train: --profile measures the CPU only; elsewhere operators return before they are done");
  if (o.threads > 0) omp_set_num_threads(o.threads);
  o.threads = omp_get_max_threads();
  const Result r = measure(o);
  const double batch = static_cast<double>(o.batch);
  // A backward pass is two more products of the forward's size (input and weight gradients): 6 FLOPs per multiply-add and step.
  const double gflop = batch * static_cast<double>(r.macs) / 1e9;
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const double rss = static_cast<double>(usage.ru_maxrss) / 1024;
  const double peak = static_cast<double>(r.peak_bytes) / (1 << 20);
  if (o.as_json) {
    const nlohmann::json j{{"model", o.model}, {"batch", o.batch}, {"size", o.size}, {"threads", o.threads}, {"steps", o.steps},
                           {"macs_per_image", r.macs},
                           {"train", {{"images_per_s", batch / r.train_seconds}, {"seconds_per_step", r.train_seconds}, {"gflop_per_s", 6 * gflop / r.train_seconds}}},
                           {"inference", {{"images_per_s", batch / r.inference_seconds}, {"seconds_per_batch", r.inference_seconds}, {"gflop_per_s", 2 * gflop / r.inference_seconds}}},
                           {"peak_tensor_mib", peak}, {"peak_resident_mib", rss}, {"system_allocations_after_warmup", r.system_calls}};
    std::printf("%s\n", j.dump().c_str());
    return;
  }
  std::printf("%s, batch %lld, %lldx%lld, %d threads, median of %lld steps\n", o.model.c_str(), static_cast<long long>(o.batch),
              static_cast<long long>(o.size), static_cast<long long>(o.size), o.threads, static_cast<long long>(o.steps));
  std::printf("training step  %9.1f images/s  %8.2f ms  %7.1f GFLOP/s\n", batch / r.train_seconds, 1e3 * r.train_seconds, 6 * gflop / r.train_seconds);
  std::printf("inference      %9.1f images/s  %8.2f ms  %7.1f GFLOP/s\n", batch / r.inference_seconds, 1e3 * r.inference_seconds, 2 * gflop / r.inference_seconds);
  std::printf("peak memory    %9.1f MiB in tensors, %.1f MiB resident; %zu allocations from the system after warm-up\n", peak, rss, r.system_calls);
  if (!o.profile.empty()) print_profile(o, r);
}

const RegisterCommand command({"bench", "measure throughput", [](CommandLine& app) {
  app.require_subcommand();
  CommandLine train = app.add_subcommand("train", "whole training steps and inference of one network on random images");
  auto o = std::make_shared<Options>();
  train.add_option("--model", o->model, "network (see `limbeck models`)").show_default();
  train.add_option("--batch", o->batch, "images per step").show_default();
  train.add_option("--size", o->size, "image height and width").show_default();
  train.add_option("--classes", o->classes, "outputs of the last layer").show_default();
  train.add_option("--steps", o->steps, "measured steps").show_default();
  train.add_option("--warmup", o->warmup, "steps before the measurement").show_default();
  o->device = add_device_option(train);
  train.add_option("--threads", o->threads, "threads; 0: as OMP_NUM_THREADS or the machine says").show_default();
  train.add_option("--profile", o->profile, "also print the time of each operator: `operators`, or `shapes` for a row per input shape");
  train.add_flag("--json", o->as_json, "print one line of JSON");
  train.callback([o] { run(*o); });
}});

}  // namespace
}  // namespace limbeck
