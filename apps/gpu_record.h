// The results file ops_cuda/gpu.txt: which kernel last ran on which GPU, when, at which commit, and
// how that ended. `limbeck ops check
// --device cuda --record FILE` writes it, `limbeck ops support` compares it with the program's own
//   sources (ops/sources.h).
#pragma once
#include <map>
#include <string>
#include <tuple>

#include "ops/op.h"

namespace limbeck {

inline constexpr const char* default_gpu_records = "ops_cuda/gpu.txt";

/// One line: how the checks of one kernel ended.
struct GpuRecord {
  bool passed = false;
  bool simulated =
      false;  ///< through the SIMT shim: "passed-simulated" in the file, and no proof for any GPU
  std::string date;     ///< 2026-11-21, UTC
  std::string commit;   ///< ops/sources.h
  std::string sources;  ///< digest_of() when it ran
  std::string device;   ///< with memory, driver and runtime
};

/// Operator, kernel, type: "conv2d", "cuda-naive", "f32".
using GpuRecordKey = std::tuple<std::string, std::string, std::string>;
GpuRecordKey key_of(const Kernel& kernel);

class GpuRecords {
 public:
  /// A file that does not exist is empty. Throws Error naming file, line and what is wrong with it.
  static GpuRecords read(const std::string& path);
  static GpuRecords parse(const std::string& text, const std::string& path);
  /// Sorted, one line per record, below a header that names the columns.
  std::string text() const;
  /// Atomically. Throws Error naming the file.
  void write(const std::string& path) const;

  void put(const GpuRecordKey& key, GpuRecord record) { records_[key] = std::move(record); }
  const GpuRecord* find(const GpuRecordKey& key) const;
  /// Forgets kernels that this program does not have (any more).
  void keep_registered();
  size_t size() const { return records_.size(); }

 private:
  std::map<GpuRecordKey, GpuRecord> records_;
};

/// "1f0c..+93ab..": a digest of the files that register kernels of its operator, and one of what
/// all kernels share: headers, and .cu files that register nothing. For kernels of a vendor's
/// library .cpp files count, too. Throws Error when the program does not know its sources.
std::string digest_of(const Kernel& kernel);

enum class GpuState { never, simulated, passed, failed, changed };
struct GpuVerdict {
  GpuState state = GpuState::never;
  /// "passed on NVIDIA H100 (..) at 565a450c1b, 2026-11-21", "changed since (ops_cuda/unary.cu):
  /// passed on ..", ..
  std::string text;
};
GpuVerdict verdict(const Kernel& kernel, const GpuRecords& records);

}  // namespace limbeck
