#include "apps/gpu_record.h"

#include <filesystem>
#include <iomanip>
#include <set>
#include <sstream>
#include <string_view>

#include "ops/sources.h"
#include "tensor/error.h"
#include "tensor/safetensors.h"

namespace limbeck {
namespace {

constexpr const char* header =
    "# How each CUDA kernel last ended on a real GPU: every case of its operator against the f64 "
    "reference.\n"
    "# Written by `limbeck ops check --device cuda --record ops_cuda/gpu.txt`; `limbeck ops "
    "support` says what has changed since.\n"
    "# operator kernel type result date commit sources device\n";

GpuRecordKey take_key(std::istringstream& words) {
  std::string op, kernel, type;
  words >> op >> kernel >> type;
  return {op, kernel, type};
}

bool is_digest(const std::string& s) {
  return s.size() == 33 && s[16] == '+' && s.find_first_not_of("0123456789abcdef") == 16 &&
         s.find_first_not_of("0123456789abcdef", 17) == std::string::npos;
}

/// The entry of the file that registers the kernel. The compiler may have been given a longer path
/// than the repository's.
const SourceFile& source_of(const Kernel& kernel) {
  const std::string_view given = kernel.source;
  for (const SourceFile& f : kernel_sources())
    if (given.ends_with(f.path)) return f;
  fail(kernel.op, ": kernel ", kernel.name, " was registered in '", kernel.source,
       "', which is not among the kernel sources of this program");
}

bool registers_kernels(const std::string& path) {
  for (const Op* op : all_ops())
    for (const Kernel* k : kernels_of(op->name))
      if (k->device == DeviceKind::cuda && std::string_view(k->source).ends_with(path)) return true;
  return false;
}

/// FNV-1a over names and hashes, 16 digits: short, and what is digested are SHA-256 already.
template <class Wanted>
std::string digest(Wanted&& wanted) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const SourceFile& f : kernel_sources())
    if (wanted(f.path))
      for (const char c : f.path + " " + f.sha256 + "\n")
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  std::ostringstream out;
  out << std::hex << std::setw(16) << std::setfill('0') << hash;
  return out.str();
}

/// The kernels of an operator may call each other, so a change in one's file counts for all; but
/// only a vendor's kernels call the libraries.
std::set<std::string> files_of(const Kernel& kernel) {
  std::set<std::string> files{source_of(kernel).path};
  for (const Kernel* k : kernels_of(kernel.op))
    if (k->device == DeviceKind::cuda && (!k->missing || kernel.missing))
      files.insert(source_of(*k).path);
  return files;
}

bool is_shared(const std::string& path, bool with_host_code) {
  return path.ends_with(".h") ||
         ((path.ends_with(".cu") || with_host_code) && !registers_kernels(path));
}

const std::string& shared_digest_of(const Kernel& kernel) {
  static const std::string ours = digest(
                               [](const std::string&path) { return is_shared(path, false); }),
                           vendors =
                               digest([](const std::string&path) { return is_shared(path, true); });
  return kernel.missing ? vendors : ours;
}

}  // namespace

GpuRecordKey key_of(const Kernel& kernel) { return {kernel.op, kernel.name, cat(kernel.dtype)}; }

GpuRecords GpuRecords::read(const std::string& path) {
  if (!std::filesystem::exists(path)) return {};
  return parse(read_file(path), path);
}

GpuRecords GpuRecords::parse(const std::string& text, const std::string& path) {
  GpuRecords records;
  std::istringstream lines(text);
  std::string line;
  constexpr std::string_view mark = "-simulated";
  for (int number = 1; std::getline(lines, line); ++number) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream words(line);
    const GpuRecordKey key = take_key(words);
    std::string result;
    GpuRecord r;
    words >> result >> r.date >> r.commit >> r.sources >> std::ws;
    std::getline(words, r.device);
    r.simulated = result.ends_with(mark);
    if (r.simulated) result.resize(result.size() - mark.size());
    LIMBECK_CHECK(
        !r.device.empty() && (result == "passed" || result == "failed") && is_digest(r.sources),
        path, ", line ", number,
        ": expected 'operator kernel type passed|failed date commit sources device', found '",
        line.substr(0, 100), "'");
    LIMBECK_CHECK(!records.find(key), path, ", line ", number, ": ", std::get<0>(key), " ",
                  std::get<1>(key), " ", std::get<2>(key), " stands there twice");
    r.passed = result == "passed";
    records.put(key, std::move(r));
  }
  return records;
}

std::string GpuRecords::text() const {
  std::string out = header;
  for (const auto& [key, r] : records_)
    out += cat(std::get<0>(key), " ", std::get<1>(key), " ", std::get<2>(key),
               r.passed ? " passed" : " failed", r.simulated ? "-simulated " : " ", r.date, " ",
               r.commit, " ", r.sources, " ", r.device, "\n");
  return out;
}

void GpuRecords::write(const std::string& path) const { write_file_atomically(path, text()); }

const GpuRecord* GpuRecords::find(const GpuRecordKey& key) const {
  const auto found = records_.find(key);
  return found == records_.end() ? nullptr : &found->second;
}

void GpuRecords::keep_registered() {
  std::map<GpuRecordKey, GpuRecord> kept;
  for (const Op* op : all_ops())
    for (const Kernel* k : kernels_of(op->name))
      if (k->device == DeviceKind::cuda)
        if (const GpuRecord* r = find(key_of(*k))) kept.emplace(key_of(*k), *r);
  records_ = std::move(kept);
}

std::string digest_of(const Kernel& kernel) {
  const std::set<std::string> files = files_of(kernel);
  return digest([&](const std::string& path) { return files.contains(path); }) + "+" +
         shared_digest_of(kernel);
}

GpuVerdict verdict(const Kernel& kernel, const GpuRecords& records) {
  const GpuRecord* r = records.find(key_of(kernel));
  if (!r) return {GpuState::never, "never run on a GPU"};
  if (r->simulated)
    return {GpuState::simulated,
            cat("never run on a GPU (", r->passed ? "passed" : "failed", " on ", r->device, ")")};
  const std::string ended =
      cat(r->passed ? "passed" : "failed", " on ", r->device, " at ", r->commit, ", ", r->date);
  const std::string now = digest_of(kernel);
  if (r->sources == now) return {r->passed ? GpuState::passed : GpuState::failed, ended};
  const bool own = r->sources.substr(0, 16) != now.substr(0, 16),
             shared = r->sources.substr(17) != now.substr(17);
  std::string what;
  if (own)
    for (const std::string& file : files_of(kernel)) what += (what.empty() ? "" : " or ") + file;
  if (shared) what += what.empty() ? "shared files" : ", shared files";
  return {GpuState::changed, cat("changed since (", what, "): ", ended)};
}

}  // namespace limbeck
