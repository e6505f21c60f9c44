#include "ops_cuda/runtime.h"

#include <fstream>

namespace limbeck::cuda::world {
namespace {

/// CUDA numbers its versions 1000 major + 10 minor.
std::string version(int number) { return cat(number / 1000, ".", number % 1000 / 10); }

/// The driver's own release, "580.65.06", where Linux shows it: "NVRM version: NVIDIA UNIX x86_64
/// Kernel Module  580.65.06  Sun ..".
std::string driver_release() {
  std::ifstream file("/proc/driver/nvidia/version");
  for (std::string word; file >> word;)
    if (word.find('.') != std::string::npos &&
        word.find_first_not_of("0123456789.") == std::string::npos)
      return word;
  return {};
}

}  // namespace

std::string software() {
  int driver = 0, runtime = 0;
  cuda_check(cudaDriverGetVersion(&driver));
  cuda_check(cudaRuntimeGetVersion(&runtime));
  const std::string release = driver_release();
  return cat("driver ", release, release.empty() ? "" : " (", "CUDA ", version(driver),
             release.empty() ? "" : ")", ", runtime ", version(runtime));
}

void complain_about_launch(cudaError_t error, const char* name, dim3 grid, dim3 block,
                           size_t shared) {
  fail("kernel ", name, " could not be launched with grid (", grid.x, ", ", grid.y, ", ", grid.z,
       "), block (", block.x, ", ", block.y, ", ", block.z, ") and ", shared,
       " bytes of shared memory: ", cudaGetErrorString(error));
}

}  // namespace limbeck::cuda::world
