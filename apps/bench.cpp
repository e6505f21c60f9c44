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
  std::shared_ptr<DeviceOptions> device;
  int64_t batch = 64, size = 32, classes = 100, steps = 10, warmup = 3;
  double seconds = 0;   // when given: at least that long and two steps, instead of `steps`
  std::string only;     // "", "train" or "inference"
  int threads = 0;
  bool as_json = false;
  std::string profile;  // "", "operators" or "shapes"
};

/// How long the measured calls of a step took: their median, and how many there were.
struct Timing {
  double median = 0;
  int64_t count = 0;
};

/// Times calls after `warmup` calls that are not counted.
template <class F>
Timing time_steps(const Options& o, Device device, F&& step) {
  using Clock = std::chrono::steady_clock;
  const auto finish = [&] {
    if (device != cpu) backend(device).synchronise(device.index);
  };
  for (int64_t i = 0; i < o.warmup; ++i) step();
  finish();
  std::vector<double> seconds;
  double total = 0;
  const auto enough = [&] {
    const auto done = static_cast<int64_t>(seconds.size());
    return o.seconds > 0 ? done >= 2 && total >= o.seconds : done >= o.steps;
  };
  while (!enough()) {
    const auto begin = Clock::now();
    step();
    finish();
    seconds.push_back(std::chrono::duration<double>(Clock::now() - begin).count());
    total += seconds.back();
  }
  std::sort(seconds.begin(), seconds.end());
  const size_t n = seconds.size();
  return {n % 2 ? seconds[n / 2] : (seconds[n / 2 - 1] + seconds[n / 2]) / 2, static_cast<int64_t>(n)};
}

struct Result {
  Timing train, inference;
  int64_t macs = 0;  // of one image, forward
  size_t peak_bytes = 0, system_calls = 0;
  std::vector<ProfileRow> profile;  // of the measured training steps
};

/// Where a training step's time goes: one row per operator (or operator and shapes), and what no operator accounts for.
void print_profile(const Result& r) {
  const double steps = static_cast<double>(r.train.count);
  double rest = r.train.median;
  std::printf("\n%9s %7s %9s %9s  %s\n", "ms/step", "share", "calls", "GFLOP/s", "operator");
  for (const ProfileRow& row : r.profile) {
    const double seconds = row.seconds / steps;
    rest -= seconds;
    std::printf("%9.2f %5.1f %% %9.0f %9s  %s\n", 1e3 * seconds, 100 * seconds / r.train.median, static_cast<double>(row.calls) / steps,
                row.flops > 0 ? cat(std::llround(row.flops / row.seconds / 1e9)).c_str() : "", row.name.c_str());
  }
  std::printf("%9.2f %5.1f %% %9s %9s  outside of operators (against the median step)\n", 1e3 * rest, 100 * rest / r.train.median, "", "");
}

void measure_training(const Options& o, nn::Module& network, const Tensor& images, const Tensor& labels, Result& r) {
  nn::SGD sgd(network.parameters(), {.lr = 0.05, .momentum = 0.9, .weight_decay = 5e-4});
  network.train();
  const Device device = images.device();
  nn::StepGraph whole_step(device, {&network}, [&](const Tensors& in) {
    sgd.zero_grad();
    cross_entropy(network.forward(in[0]), in[1]).backward();
    sgd.step();
    return Tensors{};
  });
  Allocator& memory = allocator(device);
  memory.reset_peak();
  size_t calls = 0;
  int64_t step = 0;
  r.train = time_steps(o, device, [&] {
    if (step++ == o.warmup) {
      calls = memory.stats().system_calls;
      if (!o.profile.empty()) set_profile(o.profile == "shapes" ? ProfileDetail::shapes : ProfileDetail::operators);
    }
    network.set_streams(Stream(3).fork("step", static_cast<uint64_t>(step)));
    whole_step({images, labels});
  });
  if (!o.profile.empty()) {
    r.profile = profile_rows();
    set_profile(ProfileDetail::off);
  }
  r.peak_bytes = memory.stats().peak_in_use;
  r.system_calls = memory.stats().system_calls - calls;
}

Result measure(const Options& o) {
  const auto network = nn::create_model(o.model, {.outputs = o.classes, .channels = 3, .size = o.size});
  network->initialise(Stream(1).fork("init"));
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
  const Device device = chosen_device(*o.device);
  network->to(device);
  images = images.to(device), labels = labels.to(device);
  if (o.only != "inference") measure_training(o, *network, images, labels, r);
  if (o.only == "train") return r;
  network->eval();
  NoGrad no_grad;
  if (o.only == "inference") allocator(device).reset_peak();
  r.inference = time_steps(o, device, [&] { network->forward(images); });
  if (o.only == "inference") r.peak_bytes = allocator(device).stats().peak_in_use;
  return r;
}

/// One kind of step: `flops_per_mac` floating point operations for each multiply-add of a forward pass.
struct Rate {
  double images_per_s, gflop_per_s;
  Rate(const Options& o, const Result& r, const Timing& t, double flops_per_mac)
      : images_per_s(static_cast<double>(o.batch) / t.median), gflop_per_s(flops_per_mac * images_per_s * static_cast<double>(r.macs) / 1e9) {}
};

void print_json(const Options& o, const Result& r, const Rate& train, const Rate& inference, double peak, double resident) {
  nlohmann::json j{{"model", o.model}, {"batch", o.batch}, {"size", o.size}, {"threads", o.threads}, {"steps", std::max(r.train.count, r.inference.count)},
                   {"macs_per_image", r.macs}, {"peak_tensor_mib", peak}, {"peak_resident_mib", resident},
                   {"system_allocations_after_warmup", r.system_calls}};
  if (r.train.count) j["train"] = {{"images_per_s", train.images_per_s}, {"seconds_per_step", r.train.median}, {"gflop_per_s", train.gflop_per_s}};
  if (r.inference.count)
    j["inference"] = {{"images_per_s", inference.images_per_s}, {"seconds_per_batch", r.inference.median}, {"gflop_per_s", inference.gflop_per_s}};
  std::printf("%s\n", j.dump().c_str());
}

void run(Options o) {
  LIMBECK_CHECK(o.batch > 1 && o.steps > 0 && o.warmup >= 0, "bench train: --batch must be at least 2, --steps at least 1");
  LIMBECK_CHECK(o.profile.empty() || o.profile == "operators" || o.profile == "shapes", "bench train: --profile expects operators or shapes, found '", o.profile, "'");
  LIMBECK_CHECK(o.profile.empty() || chosen_device(*o.device) == cpu, "bench train: --profile measures the CPU only; elsewhere operators return before they are done");
  LIMBECK_CHECK(o.only.empty() || o.only == "train" || o.only == "inference", "bench train: --only expects train or inference, found '", o.only, "'");
  if (o.threads > 0) omp_set_num_threads(o.threads);
  o.threads = omp_get_max_threads();
  const Result r = measure(o);
  // A backward pass is two more products of the forward's size (input and weight gradients): 6 FLOPs per multiply-add and step.
  const Rate train(o, r, r.train, 6), inference(o, r, r.inference, 2);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const double resident = static_cast<double>(usage.ru_maxrss) / 1024, peak = static_cast<double>(r.peak_bytes) / (1 << 20);
  if (o.as_json) return print_json(o, r, train, inference, peak, resident);
  std::printf("%s, batch %lld, %lldx%lld, %d threads, median of %lld steps\n", o.model.c_str(), static_cast<long long>(o.batch),
              static_cast<long long>(o.size), static_cast<long long>(o.size), o.threads, static_cast<long long>(std::max(r.train.count, r.inference.count)));
  if (r.train.count)
    std::printf("training step  %9.1f images/s  %8.2f ms  %7.1f GFLOP/s\n", train.images_per_s, 1e3 * r.train.median, train.gflop_per_s);
  if (r.inference.count)
    std::printf("inference      %9.1f images/s  %8.2f ms  %7.1f GFLOP/s\n", inference.images_per_s, 1e3 * r.inference.median, inference.gflop_per_s);
  std::printf("peak memory    %9.1f MiB in tensors, %.1f MiB resident; %zu allocations from the system after warm-up\n", peak, resident, r.system_calls);
  if (!r.profile.empty()) print_profile(r);
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
  train.add_option("--seconds", o->seconds, "measure at least this long, and two steps, instead of --steps");
  train.add_option("--only", o->only, "`train` or `inference`; both otherwise");
  train.add_option("--warmup", o->warmup, "steps before the measurement").show_default();
  o->device = add_device_options(train);
  train.add_option("--threads", o->threads, "threads; 0: as OMP_NUM_THREADS or the machine says").show_default();
  train.add_option("--profile", o->profile, "also print the time of each operator: `operators`, or `shapes` for a row per input shape");
  train.add_flag("--json", o->as_json, "print one line of JSON");
  train.callback([o] { run(*o); });
}});

}  // namespace
}  // namespace limbeck
