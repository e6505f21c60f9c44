#include "apps/version.h"

#include <omp.h>

#include "ops_cpu/isa.h"
#include "tensor/device.h"
#include "tensor/error.h"

namespace limbeck {
namespace {

/// Without asking whether the machine has such a device: the program can compute there.
std::string backends() {
  constexpr Device cuda{DeviceKind::cuda};
  std::string names = "reference, cpu";
  if (has_backend(cuda.kind)) names += backend(cuda).simulated() ? ", cuda (sim)" : ", cuda";
  return names;
}

}  // namespace

std::string version_text() {
  return cat("limbeck 0.1.0\nbackends: ", backends(), "\ncpu: ", name_of(current_isa()),
             " kernels (the processor offers ", name_of(best_isa()), "), ", omp_get_max_threads(),
             " threads");
}

}  // namespace limbeck
