// The implementations of stb_image and stb_image_write live in this file only.
#include <zlib.h>

#include <cstdlib>

namespace {
/// stb's PNG writer compresses with zlib proper: smaller files, faster.
unsigned char* deflate_for_stb(unsigned char* data, int bytes, int* out_bytes, int level) {
  uLongf size = compressBound(static_cast<uLong>(bytes));
  auto* out = static_cast<unsigned char*>(std::malloc(size));
  if (!out ||
      compress2(out, &size, data, static_cast<uLong>(bytes), level > 9 ? 9 : level) != Z_OK) {
    std::free(out);
    return nullptr;
  }
  *out_bytes = static_cast<int>(size);
  return out;
}
}  // namespace

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
// What image_file.cpp decodes with it; the checks before that are in image_format.h.
#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#define STBI_MAX_DIMENSIONS 65535
#define STB_IMAGE_IMPLEMENTATION
#include <stb/stb_image.h>
#define STBIW_ZLIB_COMPRESS deflate_for_stb
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb/stb_image_write.h>
#pragma GCC diagnostic pop
