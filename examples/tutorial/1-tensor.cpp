// Station 1: a tensor in memory (N,H,W,C) and in a file (N,C,H,W).
#include <cstdio>

#include "tensor/safetensors.h"

using namespace limbeck;

namespace {

void print(const char* what, const Tensor& t) {
  std::printf("%s", what);
  for (const float v : t.span<float>()) std::printf(" %03.0f", v);
  std::printf("\n");
}

}  // namespace

int main() {
  // One image of 2 rows, 3 columns and 2 channels. A value says where it stands: row, column,
  // channel.
  const Tensor image = Tensor::empty({1, 2, 3, 2});
  for (int64_t i = 0; i < image.numel(); ++i)
    image.data<float>()[i] = static_cast<float>(100 * (i / 6) + 10 * (i / 2 % 3) + i % 2);
  std::printf("%s, %lld bytes\n", describe(image).c_str(), static_cast<long long>(image.bytes()));
  print("memory (N,H,W,C):", image);
  print("file   (N,C,H,W):", to_channels_first(image));

  const Shape& s = image.shape();
  const int64_t place = ((0 * s[1] + 1) * s[2] + 2) * s[3] + 0;
  std::printf("row 1, column 2, channel 0 is element %lld: %.0f\n", static_cast<long long>(place),
              image.at(place));

  const Tensor pixels = image.reshape({6, 2}), copy = image.clone();
  pixels.fill(7);
  std::printf("after the reshaped tensor was filled: image %.0f, copy %.0f\n", image.at(place),
              copy.at(place));

  TensorFile file;
  file.add("image", to_channels_first(copy));
  write_safetensors("image.safetensors", file);
  const Tensor stored = read_safetensors("image.safetensors").get("image");
  std::printf("image.safetensors holds %s, to_channels_last gives %s\n", describe(stored).c_str(),
              describe(to_channels_last(stored)).c_str());
  try {
    copy.data<double>();
  } catch (const Error& e) {
    std::printf("error: %s\n", e.what());
  }
}
