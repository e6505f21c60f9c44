#include "ops/sources.h"

#include <utility>

namespace limbeck {
namespace {

struct BuiltFrom {
  std::string commit = "unknown";
  std::vector<SourceFile> files;
};
// Registration runs before main() in any order.
BuiltFrom& built_from() {
  static BuiltFrom b;
  return b;
}

}  // namespace

const std::vector<SourceFile>& kernel_sources() { return built_from().files; }
const std::string& build_commit() { return built_from().commit; }
RegisterSources::RegisterSources(std::string commit, std::vector<SourceFile> files) {
  built_from() = {std::move(commit), std::move(files)};
}

}  // namespace limbeck
