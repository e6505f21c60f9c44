#include "ops_cuda/vendor.h"

#include <dlfcn.h>

#include <cstdlib>
#include <mutex>

#include "ops/tuner.h"
#include "tensor/error.h"

namespace limbeck::cuda {
namespace {

std::recursive_mutex& mutex() {
  static std::recursive_mutex m;
  return m;
}

std::string loader_error() {
  const char* words = dlerror();
  return words ? words : "unknown error";
}

}  // namespace

void VendorLibrary::open() {
  if (tried_) return;
  if (const char* path = std::getenv(variable_); path && *path) {
    handle_ = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    LIMBECK_CHECK(handle_, "environment variable ", variable_, ": cannot open ", path, ": ",
                  loader_error());
    file_ = path;
  }
  std::string tried;
  for (const char* candidate : names_) {
    if (handle_) break;
    handle_ = dlopen(candidate, RTLD_NOW | RTLD_LOCAL);
    if (handle_)
      file_ = candidate;
    else
      tried += (tried.empty() ? "" : "; ") + loader_error();
  }
  tried_ = true;
  problem_ = handle_ ? problem_with_open_file()
                     : cat(name_, " is not on this machine: ", tried, " (", variable_,
                           "=PATH names another file)");
}

std::string VendorLibrary::problem_with_open_file() const {
  // The shim's streams and device memory mean nothing to a library that drives a GPU.
  if (world::simulated && !dlsym(handle_, "limbeck_stand_in"))
    return cat(name_, ": ", file_, " needs a GPU; the simulated device opens stand-ins only (",
               variable_, "=PATH)");
  try {
    return unfit_ ? unfit_() : "";
  } catch (const Error& e) {
    return e.what();
  }
}

std::string VendorLibrary::missing() {
  if (execution().kernels == KernelPolicy::own) return cat(name_, " is forbidden by --kernels own");
  const std::lock_guard lock(mutex());
  open();
  return problem_;
}

const std::string& VendorLibrary::file() {
  if (const std::string problem = missing(); !problem.empty()) fail(problem);
  return file_;
}

void* VendorLibrary::address(const char* symbol) const {
  LIMBECK_CHECK(handle_, name_, ": ", symbol,
                " was asked for before missing(), or although that gave a reason");
  void* found = dlsym(handle_, symbol);
  LIMBECK_CHECK(found, file_, " has no function ", symbol, ": it is not the ", name_,
                " that this program knows");
  return found;
}

bool is_capturing(int device) {
  cudaStreamCaptureStatus status{};
  cuda_check(cudaStreamIsCapturing(stream(device), &status));
  return status != cudaStreamCaptureStatusNone;
}

void require_eager(const char* what, int device) {
  LIMBECK_CHECK(
      !is_capturing(device), what,
      ": its first call must not be part of a recorded step, because it sets up the library");
}

}  // namespace limbeck::cuda
