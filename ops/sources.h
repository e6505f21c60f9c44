// What the kernel sources of this program were when it was built: `limbeck ops check --record`
// notes it beside a result, and `limbeck ops support` finds by it which kernels have changed since.
// Filled before main() by a file that tools/make/sources.sh generates; only programs with the
// device cuda contain it.
#pragma once
#include <string>
#include <vector>

namespace limbeck {

struct SourceFile {
  std::string path;    ///< as in the repository: "ops_cuda/unary.cu"
  std::string sha256;  ///< 64 hexadecimal digits
};

/// Files of kernels and what they include or call, sorted by path. Empty in a program without them.
const std::vector<SourceFile>& kernel_sources();
/// The commit that was checked out, with "-dirty" when files differed from it; "unknown" outside of
/// a git checkout or without sources.
const std::string& build_commit();

struct RegisterSources {
  RegisterSources(std::string commit, std::vector<SourceFile> files);
};

}  // namespace limbeck
