// Tensor-core products and asynchronous copies, as functions that all 32 lanes of a warp call
// together. On a GPU each is one instruction (ops_cuda/native/instructions.h); the shim computes
// the same from the fragments (ops_cuda/sim/instructions.h).
//
// Fragments of D [16 x 8] = A [16 x K] B [K x 8] + C, for lane l with g = l / 4 and t = l % 4 (PTX
// ISA, "Matrix fragments for mma"):
//   c[0], c[1]: row g,     columns 2t, 2t + 1          c[2], c[3]: row g + 8, the same columns
//                                                                      (C and D, f32)
//   K = 16, bf16, two values per word, lower column in the lower half:
//     a[0]: row g, k 2t..    a[1]: row g + 8, k 2t..    a[2]: row g, k 2t + 8..    a[3]: row g +
//                                                       8, k 2t + 8..
//     b[0]: column g, k 2t..                            b[1]: column g, k 2t + 8..
//   K = 8, tf32, one value per word (the bits of a float):
//     a[0]: row g, k t       a[1]: row g + 8, k t       a[2]: row g, k t + 4       a[3]: row g +
//                                                       8, k t + 4
//     b[0]: column g, k t                               b[1]: column g, k t + 4
//   K = 8, bf16: a[0], a[1] and b[0] of K = 16.
//
//   mma_bf16_k16(c, a, b)   c += a b        mma_bf16_k8(c, a, b)        mma_tf32_k8(c, a, b)
//                                           (bits below tf32 are cut off)
//   to_tf32(x)              the float rounded to tf32 (10 bits of fraction, ties away from zero),
//                           as the bits that mma_tf32_k8 reads
//   pack_bf16(low, high)    two floats, rounded, as one word
//   load_matrices(r, row)   ldmatrix.x4: four 8x8 matrices of 16-bit values from shared memory;
//                           lanes 8i..8i+7 pass the addresses of the
//                           rows of matrix i (16-byte aligned); r[i] of lane l is row l / 4,
//                           values 2 (l % 4), 2 (l % 4) + 1 of matrix i
//   load_matrices_transposed(r, row)   the same with every matrix transposed
//   copy_async16(to, from, valid)   16 bytes from global to shared memory, in the background;
//                                   zeros when `valid` is false (then `from`
//                           is not read but must be aligned)       copy_async4, copy_async8: the
//                           same for 4 and 8 bytes
//   commit_async()          closes a group of copies              wait_async<N>()   until at most
//                           N groups are on their way; then
//                           __syncthreads before other threads read what this one copied
#pragma once
#include "ops_cuda/launch.h"

#if defined(LIMBECK_SIM)
#include "ops_cuda/sim/instructions.h"
#else
#include "ops_cuda/native/instructions.h"
#endif
