// The layers of docs/architecture.md hold: a folder includes only folders above it. And headers
// compile alone: a header with a .cpp of its name is that file's first include, the others are
// compiled here by themselves.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

/// What each folder may include besides itself.
const std::map<std::string, std::set<std::string>> allowed = {
    {"tensor", {}},
    {"ops", {"tensor"}},
    {"ops_cpu", {"tensor", "ops"}},
    {"ops_cuda", {"tensor", "ops"}},
    {"autograd", {"tensor", "ops"}},
    {"nn", {"tensor", "ops", "autograd"}},
    {"data", {"tensor"}},
    {"train", {"tensor", "ops", "autograd", "nn", "data"}},
    {"gan", {"tensor", "ops", "autograd", "nn", "data", "train"}},
    {"kd", {"tensor", "ops", "autograd", "nn", "data", "train", "gan"}},
    {"apps",
     {"tensor", "ops", "ops_cpu", "ops_cuda", "autograd", "nn", "data", "train", "gan", "kd"}},
};

struct Include {
  std::string file;
  int line;
  std::string target;  ///< as written
  bool quoted;
};

bool is_source(const fs::path& p) {
  return p.extension() == ".h" || p.extension() == ".cpp" || p.extension() == ".cu" ||
         p.extension() == ".cuh";
}

std::vector<Include> includes_of(const fs::path& path) {
  std::vector<Include> found;
  std::ifstream in(path);
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    const size_t at = line.find_first_not_of(" \t");
    if (at == std::string::npos || line[at] != '#') continue;
    const size_t word = line.find_first_not_of(" \t", at + 1);
    if (word == std::string::npos || line.compare(word, 7, "include") != 0) continue;
    const size_t open = line.find_first_of("\"<", word);
    const size_t close = open == std::string::npos ? open : line.find_first_of("\">", open + 1);
    if (close != std::string::npos)
      found.push_back(
          {path.string(), number, line.substr(open + 1, close - open - 1), line[open] == '"'});
  }
  return found;
}

std::vector<fs::path> sources() {
  std::vector<fs::path> files;
  for (const auto& [folder, unused] : allowed)
    if (fs::is_directory(folder))
      for (const auto& entry : fs::recursive_directory_iterator(folder))
        if (entry.is_regular_file() && is_source(entry.path())) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

std::string violation(const Include& include) {
  if (!include.quoted) return {};
  const std::string from = include.file.substr(0, include.file.find('/'));
  const size_t slash = include.target.find('/');
  if (slash == std::string::npos) return "include by the path from the top of the repository";
  const std::string to = include.target.substr(0, slash);
  if (to == from || allowed.at(from).count(to)) return {};
  return from + "/ may not include " + to + "/";
}

TEST(Layers, FoldersIncludeOnlyFoldersAboveThem) {
  ASSERT_TRUE(fs::exists("tensor/tensor.h")) << "run the tests from the top of the repository";
  int seen = 0;
  for (const auto& path : sources())
    for (const auto& include : includes_of(path)) {
      ++seen;
      EXPECT_EQ(violation(include), "")
          << include.file << ":" << include.line << ": " << include.target;
    }
  EXPECT_GT(seen, 100);
}

TEST(Layers, TheCheckFindsViolations) {
  EXPECT_EQ(violation({"tensor/tensor.cpp", 1, "nn/module.h", true}),
            "tensor/ may not include nn/");
  EXPECT_EQ(violation({"data/x.cpp", 1, "autograd/variable.h", true}),
            "data/ may not include autograd/");
  EXPECT_EQ(violation({"nn/x.cpp", 1, "ops_cpu/isa.h", true}), "nn/ may not include ops_cpu/");
  EXPECT_EQ(violation({"nn/x.cpp", 1, "module.h", true}),
            "include by the path from the top of the repository");
  EXPECT_EQ(violation({"apps/x.cpp", 1, "ops_cpu/isa.h", true}), "");
  EXPECT_EQ(violation({"nn/x.cpp", 1, "vector", false}), "");
}

/// Helpers of a parallel region inherit how their thread computes (ops/execution.h): kernels open
/// regions in one place.
TEST(Layers, KernelsOpenParallelRegionsInOnePlace) {
  std::set<std::string> files;
  for (const auto& path : sources()) {
    if (*path.begin() != "ops_cpu") continue;
    std::ifstream in(path);
    for (std::string line; std::getline(in, line);)
      if (line.find("#pragma omp parallel") != std::string::npos) files.insert(path.string());
  }
  EXPECT_EQ(files, std::set<std::string>{"ops_cpu/parallel.h"});
}

/// Slow headers stay in few files: the full build depends on it.
TEST(Layers, SlowHeadersStayInFewFiles) {
  std::map<std::string, std::set<std::string>> users;
  for (const auto& path : sources())
    for (const auto& include : includes_of(path))
      for (const char* slow : {"toml++/", "nlohmann/json.hpp", "CLI/CLI.hpp"})
        if (include.target.rfind(slow, 0) == 0) users[slow].insert(path.string());
  EXPECT_EQ(users["toml++/"], std::set<std::string>{"apps/config.cpp"});
  EXPECT_EQ(users["CLI/CLI.hpp"], std::set<std::string>{"apps/command_line.cpp"});
  for (const auto& file : users["nlohmann/json.hpp"])
    EXPECT_TRUE(file.ends_with(".cpp") || file.rfind("apps/", 0) == 0)
        << file << ": a header of the library must not include nlohmann";
  EXPECT_LE(users["nlohmann/json.hpp"].size(), 16u);
}

TEST(Layers, HeadersCompileAlone) {
  // The precompiled header hides a missing include from the build, so every header is compiled by
  // itself, without it.
  std::string headers;
  for (const auto& path : sources())
    if (path.extension() == ".h" && path.string().rfind("ops_cuda", 0) != 0)
      headers += path.string() + "\n";
  const char* compiler = std::getenv("CXX");
  const std::string command =
      std::string(compiler ? compiler : "g++") +
      " -std=c++20 -fopenmp -I. -fsyntax-only -x c++ {} 2>&1 | grep -m3 error:";
  const std::string loop =
      "printf '%s' '" + headers + "' | xargs -P 2 -I {} sh -c '! " + command + "'";
  EXPECT_EQ(std::system(loop.c_str()), 0) << "headers compiled:\n" << headers;
}

}  // namespace
