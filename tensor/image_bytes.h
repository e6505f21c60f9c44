// Images of bytes as standardised floats, cropped and flipped: what the data loader
// (data/batch.cpp) and the CPU kernel of the operator crop_flip_normalize share, so that both give
// the same bits.
//   out[y,x,c] = (in[y + dy, x' + dx, c] / 255 - mean_c) / deviation_c,  x' = flip ? W-1-x : x;
//   outside the image a byte counts as 0 (black)
#pragma once
#include <cstdint>
#include <vector>

namespace limbeck {

/// What is drawn for an image: the crop's corner relative to the image (rows, columns), and
/// mirrored or not. As a tensor: i32 [n, 3].
struct CropDraw {
  int32_t dy = 0, dx = 0, flip = 0;
};

/// [C][256]: the result of every byte value, computed in f32 in the order of ToTensor and
/// Normalize.
std::vector<float> byte_table(const float* mean, const float* deviation, int64_t channels);

/// One image u8 [h, w, channels] to f32 of the same shape. Reads 1 byte and writes 4 per element.
void standardise_image(const uint8_t* in, float* out, int64_t h, int64_t w, int64_t channels,
                       const CropDraw& draw, const float* table);

}  // namespace limbeck
