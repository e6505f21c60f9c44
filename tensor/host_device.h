// Marks functions that also run on a CUDA device when nvcc compiles the file; nothing for other
// compilers.
#pragma once
#ifdef __CUDACC__
#define LIMBECK_HD __host__ __device__
#else
#define LIMBECK_HD
#endif
