// NVIDIA's libraries, opened while the program runs: nothing is linked, nothing is needed to build,
// and without them everything works on our own kernels. cublas.h and cudnn.h declare the few
// functions that are called; docs/cuda-libraries.md says when.
#pragma once
#include <initializer_list>
#include <map>
#include <mutex>
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

/// The handles of a library: one per device, for ever, made at the first call. A handle carries
/// settings from call to call (stream, workspace, format), so one thread at a time uses it.
template <class Handle>
class VendorHandles {
 public:
  struct Lease {
    std::unique_lock<std::recursive_mutex> lock;
    Handle handle;
  };
  VendorHandles(const char* library, Handle (*create)(), void (*set_stream)(Handle, cudaStream_t))
      : library_(library), create_(create), set_stream_(set_stream) {}

  /// The handle, for this thread alone while the lease lives, on the stream where this thread
  /// queues its work. Throws Error as require_eager does.
  Lease lease(int device) {
    std::unique_lock lock(mutex_);
    const cudaStream_t s = stream(device);
    Handle& h = handles_[device];
    if (!h) {
      require_eager(library_, device);
      h = create_();
    }
    set_stream_(h, s);
    return {std::move(lock), h};
  }

 private:
  const char* library_;
  Handle (*create_)();
  void (*set_stream_)(Handle, cudaStream_t);
  std::recursive_mutex mutex_;
  std::map<int, Handle> handles_;
};

}  // namespace limbeck::cuda
