// `limbeck ops check|grad|bench|support`: the operator table proves and measures itself.
#include <omp.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <map>
#include <memory>
#include <optional>

#include "apps/command.h"
#include "apps/gpu_record.h"
#include "apps/kernels_option.h"
#include "apps/op_json.h"
#include "apps/ops_bench.h"
#include "ops/cases.h"
#include "ops/check.h"
#include "ops/sources.h"
#include "ops/tuner.h"
#include "tensor/device.h"

namespace limbeck::ops_app {
namespace {

using nlohmann::json;

struct Options {
  std::vector<std::string> names, shapes;
  std::string kernel, attrs, device, record, precision = "f32";
  std::shared_ptr<std::string> kernels;
  uint64_t seed = 0;
  int64_t max_elements = 400;
  int threads = 0;
  double seconds = 0.1;
  bool as_json = false, verbose = false, record_simulated = false;
};

std::vector<const Op*> chosen(const Options& o) {
  if (o.names.empty()) return all_ops();
  std::vector<const Op*> ops;
  for (const std::string& name : o.names) ops.push_back(&find_op(name));
  return ops;
}

std::vector<Kernel> kernels(const Op& op, const Options& o) {
  std::vector<Kernel> result;
  for (const Kernel& k : implementations(op)) {
    if ((!o.kernel.empty() && k.name != o.kernel) ||
        (!o.device.empty() && k.device != parse_device(o.device).kind))
      continue;
    const std::string missing = k.missing ? k.missing() : "";
    LIMBECK_CHECK(missing.empty() || o.kernel.empty(), op.name, ": kernel ", k.name, ": ", missing);
    if (missing.empty()) result.push_back(k);
  }
  return result;
}

/// Says early, and in full, that a device is not part of this program or of this machine.
void require_device(const Options& o) {
  if (!o.device.empty() && parse_device(o.device) != cpu)
    backend(parse_device(o.device)).describe(parse_device(o.device).index);
}

Device device_to_time(const Options& o) { return o.device.empty() ? cpu : parse_device(o.device); }

/// On a GPU: f32, and with `--precision bf16` what stores its tensors so, too.
bool is_timed(const Kernel& k, const Options& o) {
  if (k.device != device_to_time(o).kind) return false;
  return k.device == DeviceKind::cpu || k.dtype == DType::f32 ||
         (k.dtype == DType::bf16 && o.precision == "bf16");
}

/// To time, ours first: without --kernel, the reference only where there is nothing else; on real
/// sizes it takes seconds per call.
std::vector<Kernel> kernels_to_time(const Op& op, const Options& o) {
  std::vector<Kernel> result;
  for (const Kernel& k : kernels(op, o))
    if (is_timed(k, o)) result.push_back(k);
  std::stable_sort(result.begin(), result.end(),
                   [](const Kernel& a, const Kernel& b) { return a.priority > b.priority; });
  if (o.kernel.empty() && result.size() > 1)
    std::erase_if(result, [](const Kernel& k) { return k.name == "reference"; });
  return result;
}

std::string type_and_device(const Kernel& k) {
  return cat(k.device == DeviceKind::cpu ? "cpu" : "cuda", " ", k.dtype);
}

// --- check and grad ------------------------------------------------------------------------------
/// Collects the results of many checks, prints one line per operator and kernel, and ends with exit
/// code 1 when one failed.
class Summary {
 public:
  explicit Summary(const Options& o) : o_(o) {}

  void begin(const std::string& op, const std::string& kernel) {
    op_ = op, kernel_ = kernel;
    ok_ = skipped_ = bad_ = 0;
    worst_ = 0;
  }
  void add(const std::string& which, const CheckReport& r) {
    (r.skipped ? skipped_ : r.ok ? ok_ : bad_) += 1;
    worst_ = std::max(worst_, r.worst);
    records_.push_back({{"op", op_},
                        {"kernel", kernel_},
                        {"case", which},
                        {"result", r.skipped ? "skipped"
                                   : r.ok    ? "ok"
                                             : "failed"},
                        {"worst", r.worst},
                        {"message", r.message}});
    if (o_.as_json) return;
    if (!r.ok)
      std::printf("FAILED %s %s: %s\n       %s\n", op_.c_str(), kernel_.c_str(), which.c_str(),
                  r.message.c_str());
    else if (o_.verbose)
      std::printf("       %-7s %5.3f of tolerance: %s\n", r.skipped ? "skipped" : "ok", r.worst,
                  which.c_str());
  }
  void end() {
    if (!o_.as_json)
      std::printf("%-6s %-22s %-16s %3d ok, %d failed, %d skipped, worst %.3f of tolerance\n",
                  bad_ ? "FAILED" : "ok", op_.c_str(), kernel_.c_str(), ok_, bad_, skipped_,
                  worst_);
    total_ok_ += ok_, total_bad_ += bad_;
  }
  int ok() const { return ok_; }
  int failed() const { return bad_; }
  void finish() const {
    if (o_.as_json)
      std::printf("%s\n", records_.dump(1).c_str());
    else
      std::printf("%d checks passed, %d failed\n", total_ok_, total_bad_);
    if (total_bad_) throw ExitStatus{1};
    LIMBECK_CHECK(total_ok_ > 0, "nothing was checked",
                  o_.kernel.empty() ? "" : ": no operator chosen has a kernel '" + o_.kernel + "'");
  }

 private:
  const Options& o_;
  std::string op_, kernel_;
  int ok_ = 0, skipped_ = 0, bad_ = 0, total_ok_ = 0, total_bad_ = 0;
  double worst_ = 0;
  json records_ = json::array();
};

/// A kernel that throws has failed.
CheckReport checked(const Op& op, const OpCase& c, const Kernel& k, uint64_t seed) {
  try {
    return check_kernel(op, c, k, seed);
  } catch (const Error& e) {
    return {.ok = false, .message = e.what()};
  }
}

void add_audit(Summary& summary, const Op& op) {
  for (const std::string& problem : audit(op))
    summary.add("record", {.ok = false, .message = problem});
}

/// `--record`: keeps the results file up to date while the checks run, so that what was found stays
/// when one of them takes the program down.
class Recorder {
 public:
  explicit Recorder(const Options& o) : path_(o.record) {
    if (path_.empty()) return;
    LIMBECK_CHECK(!o.device.empty() && parse_device(o.device) != cpu,
                  "--record: keeps results of a GPU: expected --device cuda");
    const Device device{parse_device(o.device).kind};  // the checks run on the first one
    simulated_ = backend(device).simulated();
    LIMBECK_CHECK(o.record_simulated || !simulated_, "--record: ", backend(device).describe(0),
                  " is simulated, no GPU, and ", path_,
                  " is for GPUs; --record-simulated writes it all the same");
    device_ = backend(device).describe(0) + ", " + backend(device).software(0);
    const std::time_t now = std::time(nullptr);
    char text[16];
    std::strftime(text, sizeof text, "%Y-%m-%d", std::gmtime(&now));
    date_ = text;
    records_ = GpuRecords::read(path_);
    records_.keep_registered();
    records_.write(path_);  // a place that cannot be written shows now, not after the checks
  }
  /// A kernel of which every case was skipped has not run.
  void add(const Kernel& kernel, const Summary& summary) {
    if (path_.empty() || summary.ok() + summary.failed() == 0) return;
    records_.put(key_of(kernel), {summary.failed() == 0, simulated_, date_, build_commit(),
                                  digest_of(kernel), device_});
    records_.write(path_);
  }

 private:
  std::string path_, device_, date_;
  bool simulated_ = false;
  GpuRecords records_;
};

void check(const Options& o) {
  require_device(o);
  Recorder recorder(o);
  Summary summary(o);
  for (const Op* op : chosen(o))
    for (const Kernel& k : kernels(*op, o)) {
      summary.begin(op->name, k.name + " (" + type_and_device(k) + ")");
      add_audit(summary, *op);
      for (const OpCase& c : op->cases) summary.add(describe(*op, c), checked(*op, c, k, o.seed));
      summary.end();
      recorder.add(k, summary);
    }
  summary.finish();
}

/// The implementations whose gradients are differenced: f64 only.
std::vector<Kernel> f64_kernels(const Op& op, const Options& o) {
  std::vector<Kernel> result;
  if (o.device.empty() || parse_device(o.device) == cpu)
    result.push_back(reference_kernel(op, DType::f64));
  if (!o.device.empty())
    for (const Kernel& k : kernels(op, o))
      if (k.dtype == DType::f64) result.push_back(k);
  return result;
}

void grad(const Options& o) {
  require_device(o);
  Summary summary(o);
  for (const Op* op : chosen(o)) {
    if (!op->backward && audit(*op).empty()) continue;  // nothing to differentiate
    for (const Kernel& k : f64_kernels(*op, o)) {
      summary.begin(op->name, k.name + " (f64)");
      add_audit(summary, *op);
      for (const OpCase& c : op->cases)
        summary.add(describe(*op, c), check_gradient(*op, c, k, o.seed, o.max_elements));
      summary.end();
    }
  }
  summary.finish();
}

// --- bench ---------------------------------------------------------------------------------------
/// "x=64x32x32x16": the shape of one input; the rest of the case is the operator's first bench
/// case.
void set_shape(const Op& op, OpCase& c, const std::string& text) {
  const size_t equals = text.find('=');
  LIMBECK_CHECK(equals != std::string::npos, "--shape: expected INPUT=SIZExSIZE.., found '", text,
                "'");
  const std::string name = text.substr(0, equals);
  std::vector<int64_t> sizes;
  std::stringstream rest(text.substr(equals + 1));
  for (std::string size; std::getline(rest, size, 'x');) {
    LIMBECK_CHECK(!size.empty() && size.size() < 12 &&
                      size.find_first_not_of("0123456789") == std::string::npos,
                  "--shape: '", text, "': '", size, "' is not a size");
    sizes.push_back(std::stoll(size));
  }
  for (size_t i = 0; i < c.inputs.size(); ++i)
    if (input_name(op, i) == name) {
      c.inputs[i].shape = Shape(sizes);
      c.inputs[i].given = true;
      return;
    }
  fail("--shape: operator ", op.name, " has no input '", name, "'");
}

std::vector<OpCase> cases_to_time(const Op& op, const Options& o) {
  std::vector<OpCase> cases =
      bench_cases(op, device_to_time(o) != cpu && !backend(device_to_time(o)).simulated());
  if (o.shapes.empty() && o.attrs.empty()) return cases;
  cases.resize(1);
  for (const std::string& s : o.shapes) set_shape(op, cases[0], s);
  if (!o.attrs.empty()) cases[0].attrs = attrs_from_json(op, o.attrs, "--attrs");
  return cases;
}

/// The first failed check of a kernel, or an empty text.
std::string failure(const Op& op, const Kernel& k, const Options& o) {
  for (const OpCase& c : op.cases)
    if (const CheckReport r = checked(op, c, k, o.seed); !r.ok)
      return describe(op, c) + ": " + r.message;
  return {};
}

json to_json(const Speed& s) {
  return {{"seconds", s.seconds},
          {"gb_per_second", s.bytes / s.seconds * 1e-9},
          {"gflop_per_second", s.flops / s.seconds * 1e-9},
          {"fraction_of_roofline", s.fraction}};
}

void print(const BenchRow& r, const char* direction, const Speed& s) {
  std::printf("%-20s %-10s %-8s %10.1f us %8.2f GB/s %9.2f GFLOP/s %5.1f %%  %s\n", r.op.c_str(),
              r.kernel.c_str(), direction, s.seconds * 1e6, s.bytes / s.seconds * 1e-9,
              s.flops / s.seconds * 1e-9, s.fraction * 100, r.which.c_str());
  std::fflush(stdout);  // a long run may be cut off
}

/// The kernels that pass their checks; the others are named on stderr and counted.
std::vector<Kernel> sound_kernels(const Op& op, const Options& o, int& failed) {
  std::vector<Kernel> sound;
  for (const Kernel& k : kernels_to_time(op, o)) {
    const std::string problem = failure(op, k, o);
    if (problem.empty()) {
      sound.push_back(k);
      continue;
    }
    std::fprintf(stderr, "FAILED %s %s is not timed: %s\n", op.name.c_str(), k.name.c_str(),
                 problem.c_str());
    ++failed;
  }
  return sound;
}

/// How the device multiplies while it is timed. The kernels have been checked in f32, whose
/// tolerances the other precisions would not hold.
Precision timed_precision(Device device, const std::string& name) {
  LIMBECK_CHECK(device != cpu || name == "f32", "--precision ", name, ": the CPU computes in f32");
  return parse_precision(name);
}

/// A kernel that fails on one case is named on stderr and counted; whatever comes after it is still
/// timed.
template <class Time>
void attempt(const Op& op, const OpCase& c, const std::string& kernel, int& failed, Time&& time) {
  try {
    time();
  } catch (const Error& e) {
    std::fprintf(stderr, "FAILED %s %s is not timed on %s: %s\n", op.name.c_str(), kernel.c_str(),
                 describe(op, c).c_str(), e.what());
    ++failed;
  }
}

/// Rows of one case, ours beside the vendors' and, with `--kernels tuned`, what the autotuner makes
/// of them.
std::vector<BenchRow> bench_case(const Op& op, const OpCase& c, const std::vector<Kernel>& sound,
                                 const Options& o, const Roofline& roofline, int& failed) {
  const Device device = device_to_time(o);
  const ExecutionScope scope(with(&Execution::products, timed_precision(device, o.precision)));
  std::vector<BenchRow> rows;
  bool choice = false;
  for (const Kernel& k : sound) {
    choice |= k.missing != nullptr;
    attempt(op, c, k.name, failed, [&] {
      std::optional<BenchRow> row = bench_kernel(op, c, k, device, roofline, o.seconds);
      if (!row) return;
      if (k.dtype == DType::bf16) row->kernel += " bf16";
      rows.push_back(*row);
    });
  }
  if (choice && active_tuner(device.kind))
    attempt(op, c, "tuned", failed,
            [&] { rows.push_back(bench_dispatch(op, c, device, roofline, o.seconds)); });
  return rows;
}

void print_yardstick(const Options& o, const Roofline& roofline) {
  const Device device = device_to_time(o);
  if (device == cpu)
    std::printf(
        "roofline, %d threads, %s: copy %.1f GB/s, multiply-add %.1f GFLOP/s (tensors that fit the "
        "cache can pass 100 %%)\n",
        omp_get_max_threads(), name_of(current_isa()), roofline.bytes_per_second * 1e-9,
        roofline.flops_per_second * 1e-9);
  else
    std::printf(
        "%s: copy %.1f GB/s; percentages are of this rate. Calls are recorded as a graph, on data "
        "that is not in the cache\n",
        backend(device).describe(device.index).c_str(), roofline.bytes_per_second * 1e-9);
  for (const std::string& line : vendor_libraries(chosen(o), device.kind))
    std::printf("%s\n", line.c_str());
}

void bench(const Options& o) {
  LIMBECK_CHECK((o.shapes.empty() && o.attrs.empty()) || o.names.size() == 1,
                "--shape and --attrs need exactly one operator (-o NAME)");
  const std::vector<const Op*> ops = chosen(o);
  require_device(o);
  const Device device = device_to_time(o);
  set_kernels(*o.kernels, device);
  timed_precision(device, o.precision);  // names that are not known, or not the CPU's
  if (o.threads > 0) omp_set_num_threads(o.threads);
  const Roofline roofline = device == cpu ? measure_roofline() : measure_roofline(device);
  json records = json::array();
  int failed = 0;
  if (!o.as_json) print_yardstick(o, roofline);
  for (const Op* op : ops) {
    const std::vector<Kernel> sound = sound_kernels(*op, o, failed);
    for (const OpCase& c : cases_to_time(*op, o))
      for (const BenchRow& r : bench_case(*op, c, sound, o, roofline, failed)) {
        json record = {{"op", r.op},
                       {"kernel", r.kernel},
                       {"precision", o.precision},
                       {"case", r.which},
                       {"threads", omp_get_max_threads()},
                       {"forward", to_json(r.forward)}};
        if (r.has_backward) record["backward"] = to_json(r.backward);
        if (device != cpu) record["copies"] = r.copies;
        records.push_back(record);
        if (o.as_json) continue;
        print(r, "forward", r.forward);
        if (r.has_backward) print(r, "backward", r.backward);
      }
  }
  if (o.as_json) {
    json result{{"roofline",
                 {{"bytes_per_second", roofline.bytes_per_second},
                  {"flops_per_second", roofline.flops_per_second}}},
                {"results", records}};
    if (device != cpu)
      result["device"] = backend(device).describe(device.index),
      result["libraries"] = vendor_libraries(ops, device.kind);
    if (const KernelTuner* tuner = active_tuner(device.kind))
      result["kernel_choices"] = to_json(tuner->choices());
    std::printf("%s\n", result.dump(1).c_str());
  } else {
    print_kernel_choices(device);
  }
  if (failed) throw ExitStatus{1};
}

// --- on a GPU ------------------------------------------------------------------------------------
/// What the results file says about each kernel of the device cuda: nothing in a program without
/// any.
struct OnGpu {
  std::string path;
  std::vector<std::pair<Kernel, GpuVerdict>> rows;

  explicit OnGpu(const Options& o) : path(o.record.empty() ? default_gpu_records : o.record) {
    if (kernel_sources().empty()) return;
    const GpuRecords records = GpuRecords::read(path);
    for (const Op* op : chosen(o))
      for (const Kernel* k : kernels_of(op->name))
        if (k->device == DeviceKind::cuda) rows.emplace_back(*k, verdict(*k, records));
  }
  void print() const {
    if (rows.empty()) return;
    std::printf("\nOn a GPU, as %s says (limbeck ops check --device cuda --record %s):\n",
                path.c_str(), path.c_str());
    std::map<GpuState, int> counts;
    for (const auto& [k, v] : rows) {
      ++counts[v.state];
      std::printf("%-22s %-12s %-5s %s\n", k.op.c_str(), k.name.c_str(), cat(k.dtype).c_str(),
                  v.text.c_str());
    }
    std::printf("%d kernels passed on a GPU, %d failed, %d changed since they ran, %d never ran\n",
                counts[GpuState::passed], counts[GpuState::failed], counts[GpuState::changed],
                counts[GpuState::never] + counts[GpuState::simulated]);
  }
  void add_to(json& result) const {
    for (const auto& [k, v] : rows) result[k.op]["on_gpu"][k.name + " " + cat(k.dtype)] = v.text;
  }
};

// --- support -------------------------------------------------------------------------------------
/// As `ops bench` takes it with --shape and --attrs.
json to_json(const Op& op, const OpCase& c) {
  json inputs = json::object();
  for (size_t i = 0; i < c.inputs.size(); ++i)
    if (c.inputs[i].given)
      inputs[input_name(op, i)] =
          std::vector<int64_t>(c.inputs[i].shape.begin(), c.inputs[i].shape.end());
  return {{"inputs", inputs}, {"attrs", to_json(c.attrs)}};
}

void support(const Options& o) {
  const OnGpu on_gpu(o);
  std::vector<std::string> columns{"cpu f32", "cpu f64"};
  std::map<std::string, std::map<std::string, std::string>> cells;
  for (const Op* op : chosen(o)) {
    auto& row = cells[op->name];
    for (const char* c : {"cpu f32", "cpu f64"}) row[c] = "reference";
    for (const Kernel* k : kernels_of(op->name)) {
      const std::string column = type_and_device(*k);
      if (std::find(columns.begin(), columns.end(), column) == columns.end())
        columns.push_back(column);
      std::string& cell = row[column];
      cell += (cell.empty() ? "" : ", ") + k->name + (op->backward && !k->backward ? "*" : "");
    }
  }
  if (o.as_json) {
    json result = json::object();
    for (const Op* op : chosen(o)) {
      result[op->name] = {{"formula", op->formula},
                          {"source", op->source},
                          {"differentiable", op->backward != nullptr},
                          {"cases", op->cases.size()}};
      for (const std::string& c : columns) result[op->name]["kernels"][c] = cells[op->name][c];
      for (const OpCase& c : bench_cases(*op, true))
        result[op->name]["bench_cases"].push_back(to_json(*op, c));
      for (const Kernel* k : kernels_of(op->name))
        if (k->missing) result[op->name]["missing"][k->name] = k->missing();
    }
    on_gpu.add_to(result);
    std::printf("%s\n", result.dump(1).c_str());
    return;
  }
  std::printf("%-22s %-9s %5s", "operator", "gradient", "cases");
  for (const std::string& c : columns) std::printf("  %-20s", c.c_str());
  std::printf("\n");
  for (const Op* op : chosen(o)) {
    std::printf("%-22s %-9s %5zu", op->name.c_str(), op->backward ? "yes" : "-", op->cases.size());
    for (const std::string& c : columns)
      std::printf("  %-20s", cells[op->name][c].empty() ? "-" : cells[op->name][c].c_str());
    std::printf("\n");
  }
  std::printf("* forward only: the gradient is the reference's\n");
  for (const std::string& line : vendor_libraries(chosen(o), DeviceKind::cuda))
    std::printf("%s\n", line.c_str());
  on_gpu.print();
}

// --- command line --------------------------------------------------------------------------------
CommandLine mode(CommandLine& app, const std::shared_ptr<Options>& o, const char* name,
                 const char* summary, void (*run)(const Options&)) {
  CommandLine sub = app.add_subcommand(name, summary);
  sub.add_option("-o,--op", o->names, "only this operator (repeatable)");
  sub.add_flag("--json", o->as_json, "print JSON");
  sub.callback([o, run] { run(*o); });
  return sub;
}

void setup(CommandLine& app) {
  const auto o = std::make_shared<Options>();
  app.require_subcommand();
  CommandLine c =
      mode(app, o, "check",
           "every implementation against the f64 reference on the operator's cases", check);
  c.add_option("--kernel", o->kernel,
               "only implementations of this name, such as reference or cpu");
  c.add_option("--device", o->device, "only implementations of this device: cpu or cuda");
  c.add_option("--seed", o->seed, "of the random inputs");
  c.add_option("--record", o->record,
               cat("with --device cuda: note each kernel's result in this file (",
                   default_gpu_records, ")"))
      .value_name("FILE");
  c.add_flag("--record-simulated", o->record_simulated,
             "note results of the SIMT shim, too, under its name");
  c.add_flag("-v,--verbose", o->verbose, "print every case");
  CommandLine g = mode(app, o, "grad", "gradients against central differences in f64", grad);
  g.add_option("--device", o->device,
               "difference this device's f64 kernels: cpu (the reference) or cuda");
  g.add_option("--seed", o->seed, "of the random inputs and cotangents");
  g.add_option("--max-elements", o->max_elements,
               "difference at most this many elements of each input")
      .positive();
  g.add_flag("-v,--verbose", o->verbose, "print every case");
  CommandLine b = mode(
      app, o, "bench",
      "GB/s and GFLOP/s beside this machine's roofline, for kernels that pass the check", bench);
  b.add_option("--kernel", o->kernel, "only implementations of this name");
  b.add_option("--device", o->device, "time this device's kernels: cpu or cuda");
  b.add_threads_option(o->threads, "OpenMP threads");
  b.add_option("--seconds", o->seconds, "time for each measurement").positive();
  o->kernels = add_kernels_option(b);
  b.add_option("--precision", o->precision,
               "with --device cuda: products in f32, tf32 or bf16; the checks before are in f32")
      .show_default();
  b.add_option(
      "--shape", o->shapes,
      "shape of an input in memory order, such as x=64x32x32x16 (repeatable; with one operator)");
  b.add_option("--attrs", o->attrs, "attributes as JSON (with one operator)");
  CommandLine s =
      mode(app, o, "support",
           "the table operator x device x type, and which CUDA kernels have run on a GPU", support);
  s.add_option("--record", o->record,
               cat("results of CUDA kernels on a GPU (", default_gpu_records, ")"))
      .value_name("FILE");
}

const RegisterCommand command({"ops", "check, time and list the operators", setup});

}  // namespace
}  // namespace limbeck::ops_app
