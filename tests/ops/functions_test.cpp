// The lists of element-wise functions (ops/unary.h, ops/binary.h): what stands there, and nothing
// else, makes the operators and their kernels.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "ops/binary.h"
#include "ops/check.h"
#include "ops/unary.h"

namespace limbeck {
namespace {

namespace fs = std::filesystem;

template <class... F>
std::vector<std::string> names_of(FunctionList<F...>) {
  return {F::about().name...};
}

bool has_cpu_kernel(const std::string& op, bool backward) {
  for (const Kernel* k : kernels_of(op))
    if (k->device == DeviceKind::cpu && k->dtype == DType::f32 && k->forward)
      return k->backward || !backward;
  return false;
}

TEST(FunctionLists, EveryFunctionIsAnOperatorWithACpuKernel) {
  for (const std::string& name : names_of(unary::Functions())) {
    EXPECT_TRUE(find_op(name).forward && find_op(name).backward) << name;
    EXPECT_TRUE(has_cpu_kernel(name, true)) << name;
  }
  for (const std::string& name : names_of(binary::Functions())) {
    EXPECT_TRUE(find_op(name).forward) << name;
    EXPECT_EQ(find_op(name).backward != nullptr, find_op(name).inputs[0].differentiable) << name;
    EXPECT_TRUE(has_cpu_kernel(name, false)) << name;
  }
  EXPECT_EQ(names_of(unary::Functions()).size(), size_t(unary::Functions::size));
}

TEST(FunctionLists, AnIndexIsThePlaceInTheList) {
  EXPECT_EQ(unary::Functions::index<unary::Relu>(), 0);
  EXPECT_EQ(unary::Functions::index<unary::Affine>(), unary::Functions::size - 1);
  EXPECT_EQ(binary::Functions::index<binary::Mul>(), 2);
}

/// Lines of the project's code, tests apart, that hold the word: "file: line".
std::vector<std::string> lines_with(const std::string& word) {
  std::vector<std::string> found;
  for (const char* folder : {"tensor", "ops", "ops_cpu", "ops_cuda", "autograd", "nn", "data",
                             "train", "gan", "kd", "apps"})
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      const std::string extension = entry.path().extension();
      if (extension != ".h" && extension != ".cpp" && extension != ".cu") continue;
      std::ifstream file(entry.path());
      for (std::string line; std::getline(file, line);)
        if (line.find(word) != std::string::npos)
          found.push_back(entry.path().string() + ": " + line);
    }
  std::sort(found.begin(), found.end());
  return found;
}

// The example of docs/operators.md: a struct and its name in the list, and a line for callers.
TEST(FunctionLists, AFunctionIsOneStructAndOneName) {
  ASSERT_TRUE(fs::exists("ops/unary.h")) << "run the tests from the top of the repository";
  const std::vector<std::string> structs = lines_with("GeluTanh"), names = lines_with("gelu_tanh");
  ASSERT_EQ(structs.size(), 2u) << testing::PrintToString(structs);
  for (const std::string& line : structs) EXPECT_EQ(line.rfind("ops/unary.h: ", 0), 0u) << line;
  ASSERT_EQ(names.size(), 2u) << testing::PrintToString(names);
  EXPECT_EQ(names[0].rfind("autograd/functions.h: ", 0), 0u) << names[0];
  EXPECT_EQ(names[1].rfind("ops/unary.h: ", 0), 0u) << names[1];
}

// Likewise: an operator that is not element-wise is its own files, and a line for callers, which
// stand in other folders.
TEST(FunctionLists, AFreeOperatorIsItsOwnFiles) {
  for (const std::string& line : lines_with("scatter_rows"))
    EXPECT_TRUE((line.rfind("ops", 0) != 0 && line.rfind("autograd/", 0) != 0) ||
                line.rfind("ops/scatter_rows.cpp: ", 0) == 0 ||
                line.rfind("ops_cuda/scatter_rows.cu: ", 0) == 0 ||
                line.rfind("autograd/functions.", 0) == 0)
        << line;
}

}  // namespace
}  // namespace limbeck
