// A convolution and its neighbour that changes the image size, folded into one kernel: it saves
// 20/36 of the multiplications of a 3x3 kernel and a pass over the large image. With kernel K[j] =
// w[j] + w[j-1] per axis, j = 0..k:
//   pool(conv(x)):   y[i] = sum_j x[2i + j - p] K[j] / 2,  a convolution of stride 2;
//   conv(up(x)):     y[2i + j - p] += x[i] K'[j], K' of the mirrored w,  a transposed convolution
//                    of stride 2.
// Everywhere: x [N, H, W, in], weight w [out, k, k, in] with odd k, bias [out] or none, stride 1,
// "same" padding p = k / 2.
#pragma once
#include "autograd/functions.h"

namespace limbeck::gan {

/// 3x3 or 1x1 with stride 1 and "same" padding: x [N,H,W,C] -> [N,H,W,O].
Variable same_conv(const Variable& x, const Variable& weight, const Variable& bias);
/// avg_pool2d(same_conv(x)), 2x2; even sizes.
/// x [N,H,W,C] -> [N,H/2,W/2,O]; throws for odd sizes.
Variable pooled_conv(const Variable& x, const Variable& weight, const Variable& bias);
/// same_conv(upsample_nearest(x)), factor 2.
Variable upsampled_conv(const Variable& x, const Variable& weight, const Variable& bias);

}  // namespace limbeck::gan
