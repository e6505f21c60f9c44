#include "tests/fuzz/target.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "tensor/error.h"

namespace limbeck::fuzz {
namespace {

std::vector<Target>& list() {
  static std::vector<Target> all;
  return all;
}

}  // namespace

RegisterTarget::RegisterTarget(Target target) {
  auto& all = list();
  all.insert(std::upper_bound(all.begin(), all.end(), target,
                              [](const Target& a, const Target& b) { return a.name < b.name; }),
             std::move(target));
}

const std::vector<Target>& targets() { return list(); }

const Target& find_target(const std::string& name) {
  std::string known;
  for (const Target& t : targets()) {
    if (t.name == name) return t;
    known += " " + t.name;
  }
  fail("fuzz target '", name, "': expected one of", known);
}

Answer feed(const Target& target, const std::string& folder, const std::string& bytes) {
  std::ofstream(folder + "/" + target.file, std::ios::binary | std::ios::trunc) << bytes;
  try {
    target.read(folder);
  } catch (const Error&) {
    return Answer::refused;
  }
  return Answer::read;
}

}  // namespace limbeck::fuzz
