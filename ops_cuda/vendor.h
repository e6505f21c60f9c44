// NVIDIA's libraries, opened while the program runs: nothing is linked, nothing is needed to build, and without them everything works on
// our own kernels. cublas.h and cudnn.h declare the few functions that are called; docs/cuda-libraries.md says when.
#pragma once
#include <initializer_list>
#include <string>
#include <type_traits>
#include <vector>

#include "ops_cuda/runtime.h"

namespace limbeck::cuda {

/// A shared library that is opened at the first question. Its symbols stay its own (RTLD_LOCAL).
class VendorLibrary {
 public:
  /// `variable`: an environment variable with the path to open instead of `names`, which the system searches, first to last.
  VendorLibrary(const char* name, const char* variable, std::initializer_list<const char*> names) : name_(name), variable_(variable), names_(names) {}

  /// Why it cannot be used: not found (with the loader's words), or forbidden by `--kernels own`, which does not open it. Empty when it can.
  /// Throws Error naming the path when the variable is set and its file cannot be opened.
  std::string missing();
  /// The file that was opened. Throws Error when missing.
  const std::string& file();
  /// Throws Error naming file and function when it has no such function.
  template <class Function>
  void find(Function*& function, const char* symbol) {
    static_assert(std::is_function_v<Function>);
    function = reinterpret_cast<Function*>(address(symbol));
  }

 private:
  void open();
  void* address(const char* symbol);
  const char *name_, *variable_;
  std::vector<const char*> names_;
  void* handle_ = nullptr;
  bool tried_ = false;
  std::string file_, problem_;
};

/// Throws Error, saying that this must not happen first inside a recorded step, while the device's stream is captured. Libraries allocate
/// and wait when they are set up.
void require_eager(const char* what, int device);
/// Whether the device's stream is being captured into a graph.
bool is_capturing(int device);

}  // namespace limbeck::cuda
