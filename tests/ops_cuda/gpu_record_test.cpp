// What the program knows about its kernels' sources, and what the results file makes of it
// (apps/gpu_record.h).
#include "apps/gpu_record.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "ops/sources.h"

namespace limbeck {
namespace {

std::vector<Kernel> cuda_kernels() {
  std::vector<Kernel> list;
  for (const Op* op : all_ops())
    for (const Kernel* k : kernels_of(op->name))
      if (k->device == DeviceKind::cuda) list.push_back(*k);
  return list;
}

Kernel kernel(const std::string& op, const std::string& name) {
  for (const Kernel& k : cuda_kernels())
    if (k.op == op && k.name == name) return k;
  ADD_FAILURE() << "no kernel " << name << " of " << op;
  return {};
}

bool names(const std::string& file, const std::string& op) {
  std::ifstream text(file);
  return std::string{std::istreambuf_iterator<char>(text), {}}.find(op) != std::string::npos;
}

/// Where the functions stand that a file of element-wise kernels takes from a list.
std::string list_of(const std::string& file) {
  return "ops/" + std::filesystem::path(file).stem().string() + ".h";
}

// A registrar that forgot to pass on its file would note ops_cuda/register.h.
TEST(KernelSources, EveryKernelKnowsTheFileThatRegistersIt) {
  ASSERT_FALSE(cuda_kernels().empty());
  for (const Kernel& k : cuda_kernels()) {
    const std::string file = k.source;
    EXPECT_TRUE(file.ends_with(".cu") || file.ends_with(".cpp"))
        << k.op << "/" << k.name << ": " << file;
    EXPECT_EQ(digest_of(k).size(), 33u);
    if (!std::filesystem::exists(file)) continue;  // built elsewhere
    EXPECT_TRUE(names(file, k.op) || names(list_of(file), k.op))
        << file << " does not name " << k.op;
  }
}

TEST(KernelSources, AreFilesOfTheKernelsAndNotOfTheShim) {
  std::vector<std::string> paths;
  for (const SourceFile& f : kernel_sources()) {
    paths.push_back(f.path);
    EXPECT_EQ(f.sha256.size(), 64u) << f.path;
    EXPECT_EQ(f.path.find("ops_cuda/sim/"), std::string::npos) << f.path;
  }
  EXPECT_TRUE(std::is_sorted(paths.begin(), paths.end()));
  for (const char* path :
       {"ops/elementary.h", "ops/unary.h", "ops_cuda/gemm.cu", "ops_cuda/launch.h",
        "ops_cuda/native/instructions.h", "ops_cuda/unary.cu", "tensor/philox.h"})
    EXPECT_TRUE(std::find(paths.begin(), paths.end(), path) != paths.end()) << path;
}

TEST(GpuRecords, SayWhatChangedSince) {
  const Kernel relu = kernel("relu", "cuda-naive"), add = kernel("add", "cuda-naive");
  const std::string now = digest_of(relu);
  EXPECT_NE(now.substr(0, 16), digest_of(add).substr(0, 16));
  EXPECT_EQ(now.substr(16), digest_of(add).substr(16)) << "what is shared is shared";
  GpuRecords records;
  EXPECT_EQ(verdict(relu, records).state, GpuState::never);
  const auto with = [&](bool passed, const std::string& sources) {
    records.put(key_of(relu), {passed, false, "2026-11-21", "565a450c1b", sources, "NVIDIA H100"});
    return verdict(relu, records);
  };
  EXPECT_EQ(with(true, now).state, GpuState::passed);
  EXPECT_EQ(with(true, now).text, "passed on NVIDIA H100 at 565a450c1b, 2026-11-21");
  EXPECT_EQ(with(false, now).state, GpuState::failed);
  const std::string zeros(16, '0');
  const std::string text =
      with(true, zeros + now.substr(16)).text;  // all files of the operator are named
  EXPECT_TRUE(text.starts_with("changed since (ops_cuda/unary.cu") &&
              text.ends_with("): passed on NVIDIA H100 at 565a450c1b, 2026-11-21"))
      << text;
  EXPECT_EQ(with(true, now.substr(0, 17) + zeros).text,
            "changed since (shared files): passed on NVIDIA H100 at 565a450c1b, 2026-11-21");
  EXPECT_EQ(with(true, zeros + "+" + zeros).state, GpuState::changed);
  EXPECT_EQ(verdict(add, records).state, GpuState::never);

  records.put(key_of(relu), {true, true, "2026-11-21", "565a450c1b", now, "SIMT shim"});
  EXPECT_EQ(verdict(relu, records).state, GpuState::simulated);
  EXPECT_EQ(verdict(relu, records).text, "never run on a GPU (passed on SIMT shim)");
}

TEST(GpuRecords, ForgetKernelsThatAreNoMore) {
  GpuRecords records;
  const Kernel relu = kernel("relu", "cuda-naive");
  records.put(key_of(relu),
              {true, false, "2026-11-21", "565a450c1b", digest_of(relu), "NVIDIA H100"});
  records.put({"relu", "cuda-naive", "i32"}, {});
  records.keep_registered();
  EXPECT_EQ(records.size(), 1u);
  EXPECT_TRUE(records.find(key_of(relu)));
}

}  // namespace
}  // namespace limbeck
