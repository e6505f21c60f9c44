#include "ops_cuda/runtime.h"

namespace limbeck::cuda::world {

void complain_about_launch(cudaError_t error, const char* name, dim3 grid, dim3 block, size_t shared) {
  fail("kernel ", name, " could not be launched with grid (", grid.x, ", ", grid.y, ", ", grid.z, "), block (", block.x, ", ", block.y, ", ", block.z,
       ") and ", shared, " bytes of shared memory: ", cudaGetErrorString(error));
}

}  // namespace limbeck::cuda::world
