// The results file of CUDA kernels: reading, writing, and what is wrong with a broken one.
// tests/ops_cuda/gpu_record_test.cpp has the rest.
#include "apps/gpu_record.h"

#include <gtest/gtest.h>

#include "ops/sources.h"
#include "tests/data/temporary.h"

namespace limbeck {
namespace {

const std::string digest = "0123456789abcdef+fedcba9876543210";
GpuRecord record(bool passed) {
  return {passed,       false,  "2026-11-21",
          "565a450c1b", digest, "NVIDIA H100 (sm_90, 79.6 GiB), driver 13.0, runtime 13.0"};
}

TEST(GpuRecords, ReadWhatTheyWrite) {
  const test::TemporaryFolder folder;
  GpuRecords records;
  records.put({"relu", "cuda-naive", "f64"}, record(false));
  records.put({"add", "cuda", "bf16"}, record(true));
  GpuRecord simulated = record(true);
  simulated.simulated = true;
  records.put({"relu", "cuda", "f32"}, simulated);
  records.write(folder.file("gpu.txt"));
  const GpuRecords again = GpuRecords::read(folder.file("gpu.txt"));
  EXPECT_EQ(again.text(), records.text());
  EXPECT_EQ(again.size(), 3u);
  ASSERT_TRUE(again.find({"relu", "cuda-naive", "f64"}));
  EXPECT_FALSE(again.find({"relu", "cuda-naive", "f64"})->passed);
  EXPECT_EQ(again.find({"add", "cuda", "bf16"})->device, record(true).device);
  EXPECT_TRUE(again.find({"relu", "cuda", "f32"})->simulated);
  EXPECT_FALSE(again.find({"relu", "cuda", "bf16"}));
}

TEST(GpuRecords, AreSortedLines) {
  GpuRecords records;
  for (const char* op : {"tanh", "add", "relu"}) records.put({op, "cuda", "f32"}, record(true));
  const std::string text = records.text();
  EXPECT_LT(text.find("\nadd cuda f32 passed 2026-11-21 565a450c1b " + digest + " NVIDIA"),
            text.find("\nrelu "));
  EXPECT_LT(text.find("\nrelu "), text.find("\ntanh "));
}

TEST(GpuRecords, NoFileIsEmpty) {
  const test::TemporaryFolder folder;
  EXPECT_EQ(GpuRecords::read(folder.file("none.txt")).size(), 0u);
  test::expect_error([&] { GpuRecords::read(folder.path()); }, {folder.path(), "is a folder"});
  test::expect_error([&] { GpuRecords().write(folder.file("no/gpu.txt")); },
                     {"no/gpu.txt", "cannot create"});
}

TEST(GpuRecords, BrokenLinesAreNamed) {
  const std::string good = "add cuda f32 passed 2026-11-21 565a450c1b " + digest + " NVIDIA H100\n";
  const auto refused = [](const std::string& text, const std::vector<std::string>& parts) {
    test::expect_error([&] { GpuRecords::parse(text, "gpu.txt"); }, parts);
  };
  refused("# header\n" + good + "relu cuda f32 passed\n",
          {"gpu.txt, line 3", "expected 'operator kernel type", "relu cuda f32 passed"});
  refused("add cuda f32 maybe 2026-11-21 565a450c1b " + digest + " NVIDIA H100\n",
          {"gpu.txt, line 1", "maybe"});
  refused("add cuda f32 passed 2026-11-21 565a450c1b 0123 NVIDIA H100\n", {"gpu.txt, line 1"});
  refused("add cuda f32 passed 2026-11-21 565a450c1b " + digest + "\n", {"gpu.txt, line 1"});
  refused(good + good, {"gpu.txt, line 2", "add cuda f32 stands there twice"});
  refused(std::string(100, '\0'), {"gpu.txt, line 1"});
}

TEST(GpuRecords, ADigestNeedsASourceFile) {
  const Op& op = find_op("relu");
  test::expect_error([&] { digest_of({.op = op.name, .name = "cuda", .source = "nowhere.cu"}); },
                     {"relu: kernel cuda", "nowhere.cu"});
}

}  // namespace
}  // namespace limbeck
