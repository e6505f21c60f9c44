#include "tests/ops_cuda/sim/fake_libraries.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "tensor/error.h"

namespace limbeck {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr const char* suffix = ".sanitized.so";
#else
constexpr const char* suffix = ".so";
#endif

std::string beside_this_program(const std::string& name) {
  return (std::filesystem::read_symlink("/proc/self/exe").parent_path() / (name + suffix)).string();
}

// Before main(), and so before any kernel asks for a library.
const bool named = [] {
  setenv("LIMBECK_CUBLAS", beside_this_program("fake_cublas").c_str(), 0);
  setenv("LIMBECK_CUDNN", beside_this_program("fake_cudnn").c_str(), 0);
  return true;
}();

fake::State& state_of(const char* variable) {
  void* library = dlopen(std::getenv(variable), RTLD_NOW | RTLD_LOCAL);
  void* state = library ? dlsym(library, "fake_state") : nullptr;
  LIMBECK_CHECK(state, variable, " is ", std::getenv(variable),
                ", which is no stand-in of tests/ops_cuda/fake/");
  return *static_cast<fake::State*>(state);
}

}  // namespace

fake::State& fake_cublas() { return state_of("LIMBECK_CUBLAS"); }
fake::State& fake_cudnn() { return state_of("LIMBECK_CUDNN"); }

}  // namespace limbeck
