// NVIDIA's libraries, opened while the program runs: nothing is linked, nothing is needed to build,
// and without them everything works on our own kernels. cublas.h and cudnn.h declare the few
// functions that are called; docs/cuda-libraries.md says when.
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
  /// `variable`: an environment variable with the path to open instead of `names`, which the system
  /// searches, first to last. `unfit`: asked once, with the library open: why it cannot serve (too
  /// old), or empty; an Error (a function that is not there) is a reason too.
  VendorLibrary(const char* name, const char* variable, std::initializer_list<const char*> names,
                std::string (*unfit)() = nullptr)
      : name_(name), variable_(variable), names_(names), unfit_(unfit) {}

  /// Why it cannot be used: forbidden by `--kernels own`, which does not open it; not found (with
  /// the loader's words); unfit; or the device is simulated and the library no stand-in for tests
  /// (one has the symbol limbeck_stand_in). Empty when it can. Throws Error naming the path when
  /// the variable is set and its file cannot be opened.
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
  std::string problem_with_open_file() const;
  void* address(const char* symbol) const;
  const char *name_, *variable_;
  std::vector<const char*> names_;
  std::string (*unfit_)();
  void* handle_ = nullptr;
  bool tried_ = false;
  std::string file_, problem_;
};

/// Throws Error, saying that this must not happen first inside a recorded step, while the device's
/// stream is captured. Libraries allocate and wait when they are set up.
void require_eager(const char* what, int device);
/// Whether the device's stream is being captured into a graph.
bool is_capturing(int device);

}  // namespace limbeck::cuda
