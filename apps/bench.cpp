// `limbeck bench train`: throughput of a whole training step (forward, backward, optimiser) and of
// inference on random inputs, for any network or GAN (apps/bench_subject.h).
#include <omp.h>
#include <sys/resource.h>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "apps/bench_subject.h"
#include "apps/command.h"
#include "apps/device_option.h"
#include "apps/kernels_option.h"
#include "apps/op_json.h"
#include "ops/profile.h"
#include "ops/tuner.h"
#include "tensor/device.h"

namespace limbeck::bench_app {
namespace {

struct Options {
  SubjectOptions subject;
  std::shared_ptr<DeviceOptions> device;
  std::shared_ptr<std::string> kernels;
  int64_t steps = 10, warmup = 3;
  double seconds = 0;  // when given: at least that long and two steps, instead of `steps`
  std::string only;    // "", "train" or "inference"
  int threads = 0;
  bool as_json = false;
  std::string profile;  // "", "operators" or "shapes"
};

/// How long the measured calls of a step took: their median, and how many there were.
struct Timing {
  double median = 0;
  int64_t count = 0;
};

/// Times calls after `warmup` calls that are not counted. On a device other than the CPU the host
/// only queues them, and training waits for results now and then: about 50 ms of calls lie between
/// two waits.
template <class F>
Timing time_steps(const Options& o, Device device, F&& step) {
  using Clock = std::chrono::steady_clock;
  const auto seconds_of = [&](int64_t calls) {
    const auto begin = Clock::now();
    for (int64_t i = 0; i < calls; ++i) step();
    if (device != cpu) backend(device).synchronise(device.index);
    return std::chrono::duration<double>(Clock::now() - begin).count();
  };
  // The last call of the warm-up says how long one takes.
  const double one =
      o.warmup > 1 ? (seconds_of(o.warmup - 1), seconds_of(1)) : seconds_of(o.warmup);
  int64_t calls = 1;
  if (device != cpu && o.warmup > 0)
    calls = static_cast<int64_t>(std::clamp(0.05 / one, 1.0, 200.0));
  if (o.seconds <= 0) calls = std::min(calls, o.steps);
  std::vector<double> seconds;
  double total = 0;
  const auto done = [&] { return static_cast<int64_t>(seconds.size()) * calls; };
  const auto enough = [&] {
    return o.seconds > 0 ? seconds.size() >= 2 && total >= o.seconds : done() >= o.steps;
  };
  while (!enough()) {
    const double taken = seconds_of(calls);
    seconds.push_back(taken / static_cast<double>(calls));
    total += taken;
  }
  std::sort(seconds.begin(), seconds.end());
  const size_t n = seconds.size();
  return {n % 2 ? seconds[n / 2] : (seconds[n / 2 - 1] + seconds[n / 2]) / 2, done()};
}

struct Result {
  Timing train, inference;
  double
      train_flops = 0,
      inference_flops =
          0;  // of one call; a backward pass counts as much as the forward for each wanted gradient
  int64_t macs = 0, size = 0;
  std::string step_text;
  size_t peak_bytes = 0, system_calls = 0;
  std::vector<ProfileRow> profile;  // of the measured training steps
};

/// By the operators' own counts, where a number of multiply-adds does not say it.
template <class F>
double count_flops(F&& call) {
  set_profile(ProfileDetail::operators);
  call();
  double flops = 0;
  for (const ProfileRow& row : profile_rows()) flops += row.flops;
  set_profile(ProfileDetail::off);
  return flops;
}

/// Where a training step's time goes: one row per operator (or operator and shapes), and what no
/// operator accounts for.
void print_profile(const Result& r) {
  const double steps = static_cast<double>(r.train.count);
  double rest = r.train.median;
  std::printf("\n%9s %7s %9s %9s  %s\n", "ms/step", "share", "calls", "GFLOP/s", "operator");
  for (const ProfileRow& row : r.profile) {
    const double seconds = row.seconds / steps;
    rest -= seconds;
    std::printf("%9.2f %5.1f %% %9.0f %9s  %s\n", 1e3 * seconds, 100 * seconds / r.train.median,
                static_cast<double>(row.calls) / steps,
                row.flops > 0 ? cat(std::llround(row.flops / row.seconds / 1e9)).c_str() : "",
                row.name.c_str());
  }
  std::printf("%9.2f %5.1f %% %9s %9s  outside of operators (against the median step)\n",
              1e3 * rest, 100 * rest / r.train.median, "", "");
}

void measure_training(const Options& o, BenchSubject& subject, Result& r) {
  int64_t step = 0;
  const auto next = [&] { subject.train_step(++step); };
  r.train_flops =
      r.macs > 0 ? 6.0 * static_cast<double>(r.macs * o.subject.batch) : count_flops(next);
  Allocator& memory = allocator(o.subject.device);
  memory.reset_peak();
  size_t calls = 0;
  int64_t call = 0;
  r.train = time_steps(o, o.subject.device, [&] {
    if (call++ == o.warmup) {
      calls = memory.stats().system_calls;
      if (!o.profile.empty())
        set_profile(o.profile == "shapes" ? ProfileDetail::shapes : ProfileDetail::operators);
    }
    next();
  });
  if (!o.profile.empty()) {
    r.profile = profile_rows();
    set_profile(ProfileDetail::off);
  }
  r.peak_bytes = memory.stats().peak_in_use;
  r.system_calls = memory.stats().system_calls - calls;
}

void measure_inference(const Options& o, BenchSubject& subject, Result& r) {
  subject.begin_inference();
  const auto next = [&] { subject.infer(); };
  r.inference_flops =
      r.macs > 0 ? 2.0 * static_cast<double>(r.macs * o.subject.batch) : count_flops(next);
  Allocator& memory = allocator(o.subject.device);
  if (o.only == "inference") memory.reset_peak();
  r.inference = time_steps(o, o.subject.device, next);
  if (o.only == "inference") r.peak_bytes = memory.stats().peak_in_use;
}

Result measure(const Options& o) {
  const auto subject = create_subject(o.subject);
  Result r;
  r.macs = subject->macs();
  r.size = subject->size();
  r.step_text = subject->step_text();
  if (o.only != "inference") measure_training(o, *subject, r);
  if (o.only != "train") measure_inference(o, *subject, r);
  return r;
}

struct Rate {
  double images_per_s, gflop_per_s;
  Rate(const Options& o, const Timing& t, double flops)
      : images_per_s(static_cast<double>(o.subject.batch) / t.median),
        gflop_per_s(flops / t.median / 1e9) {}
};

void print_json(const Options& o, const Result& r, const Rate& train, const Rate& inference,
                double peak, double resident) {
  nlohmann::json j{{"model", o.subject.model},
                   {"batch", o.subject.batch},
                   {"size", r.size},
                   {"threads", o.threads},
                   {"step", r.step_text},
                   {"steps", std::max(r.train.count, r.inference.count)},
                   {"peak_tensor_mib", peak},
                   {"peak_resident_mib", resident},
                   {"system_allocations_after_warmup", r.system_calls}};
  if (o.subject.device != cpu) {
    DeviceBackend& b = backend(o.subject.device);
    j["device"] = b.describe(o.subject.device.index),
    j["software"] = b.software(o.subject.device.index);
    j["precision"] = o.device->precision, j["kernels"] = o.kernels->empty() ? "rule" : *o.kernels;
  }
  if (r.macs > 0) j["macs_per_image"] = r.macs;
  if (r.train.count)
    j["train"] = {{"images_per_s", train.images_per_s},
                  {"seconds_per_step", r.train.median},
                  {"gflop_per_s", train.gflop_per_s}};
  if (r.inference.count)
    j["inference"] = {{"images_per_s", inference.images_per_s},
                      {"seconds_per_batch", r.inference.median},
                      {"gflop_per_s", inference.gflop_per_s}};
  if (const KernelTuner* tuner = active_tuner(o.subject.device.kind))
    j["kernel_choices"] = to_json(tuner->choices());
  std::printf("%s\n", j.dump().c_str());
}

void print_text(const Options& o, const Result& r, const Rate& train, const Rate& inference,
                double peak, double resident) {
  std::printf("%s, batch %lld", o.subject.model.c_str(), static_cast<long long>(o.subject.batch));
  if (r.size > 0)
    std::printf(", %lldx%lld", static_cast<long long>(r.size), static_cast<long long>(r.size));
  std::printf(", %d threads, median of %lld steps (%s)\n", o.threads,
              static_cast<long long>(std::max(r.train.count, r.inference.count)),
              r.step_text.c_str());
  if (r.train.count)
    std::printf("training step  %9.1f images/s  %8.2f ms  %7.1f GFLOP/s\n", train.images_per_s,
                1e3 * r.train.median, train.gflop_per_s);
  if (r.inference.count)
    std::printf("inference      %9.1f images/s  %8.2f ms  %7.1f GFLOP/s\n", inference.images_per_s,
                1e3 * r.inference.median, inference.gflop_per_s);
  std::printf(
      "peak memory    %9.1f MiB in tensors, %.1f MiB resident; %zu allocations from the system "
      "after warm-up\n",
      peak, resident, r.system_calls);
  if (!r.profile.empty()) print_profile(r);
  print_kernel_choices(o.subject.device);
}

void run(Options o) {
  LIMBECK_CHECK(o.subject.batch > 1 && o.steps > 0 && o.warmup >= 0,
                "bench train: --batch must be at least 2, --steps at least 1");
  LIMBECK_CHECK(o.profile.empty() || o.profile == "operators" || o.profile == "shapes",
                "bench train: --profile expects operators or shapes, found '", o.profile, "'");
  LIMBECK_CHECK(o.only.empty() || o.only == "train" || o.only == "inference",
                "bench train: --only expects train or inference, found '", o.only, "'");
  o.subject.device = chosen_device(*o.device);
  set_kernels(*o.kernels, o.subject.device);
  LIMBECK_CHECK(o.profile.empty() || o.subject.device == cpu,
                "bench train: --profile measures the CPU only; elsewhere operators return before "
                "they are done");
  if (o.threads > 0) omp_set_num_threads(o.threads);
  o.threads = omp_get_max_threads();
  const Result r = measure(o);
  const Rate train(o, r.train, r.train_flops), inference(o, r.inference, r.inference_flops);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const double resident = static_cast<double>(usage.ru_maxrss) / 1024,
               peak = static_cast<double>(r.peak_bytes) / (1 << 20);
  (o.as_json ? print_json : print_text)(o, r, train, inference, peak, resident);
}

const RegisterCommand command(
    {"bench", "measure throughput", [](CommandLine& app) {
       app.require_subcommand();
       CommandLine train = app.add_subcommand(
           "train", "whole training steps and inference of a network or a GAN on random inputs");
       auto o = std::make_shared<Options>();
       train
           .add_option("--model", o->subject.model,
                       "network (see `limbeck models`), GAN (biggan, biggan-deep, sagan, sngan), "
                       "y2h, sparse_autoencoder or ratio_MLP3, ...")
           .show_default();
       train.add_option("--method", o->subject.method,
                        "train the network by this distillation method (see `limbeck methods`)");
       train.add_option("--teacher", o->subject.teacher, "network that teaches it");
       train.add_option(
           "--task", o->subject.task,
           "classification or regression, where a network serves both; classification otherwise");
       train.add_option("--batch", o->subject.batch, "images per step").show_default();
       train
           .add_option(
               "--size", o->subject.size,
               "image height and width; 0: the original's (32, regression 64, biggan-deep 128)")
           .show_default();
       train.add_option("--classes", o->subject.classes, "classes").show_default();
       train
           .add_option("--width", o->subject.width,
                       "GANs: width of both networks; 0: the original's")
           .show_default();
       train.add_option("--steps", o->steps, "measured steps").show_default();
       train.add_option("--seconds", o->seconds,
                        "measure at least this long, and two steps, instead of --steps");
       train.add_option("--only", o->only, "`train` or `inference`; both otherwise");
       train.add_option("--warmup", o->warmup, "steps before the measurement").show_default();
       o->device = add_device_options(train);
       o->kernels = add_kernels_option(train);
       train.add_threads_option(o->threads,
                                "threads (default: as OMP_NUM_THREADS or the machine says)");
       train.add_option("--profile", o->profile,
                        "also print the time of each operator: `operators`, or `shapes` for a row "
                        "per input shape");
       train.add_flag("--json", o->as_json, "print one line of JSON");
       train.callback([o] { run(*o); });
     }});

}  // namespace
}  // namespace limbeck::bench_app
