// Weight gradient of conv2d: dw[o,ky,kx,i] = sum_{n,oy,ox} dy[n,oy,ox,o] x[n, oy s - p + ky d, ox s
// - p + kx d, i], as outer products kept in registers: a vector of output channels o times single
// values of (kx, i). Packed operands: the input as [block of i][image][row][column][i in block],
// zero-padded; dy as [block of o][pixel][o in block]. In that layout the (kx, i) of one window row
// lie next to each other. Determinism: images are divided into a number of chunks, and both kinds
// of channels into parts, that depend on the sizes only; each chunk has its own partial sum and the
// partial sums are added in order. 2 N OH OW O KH KW C/G FLOPs; dw is touched once per strip of
// pixels.
#include <algorithm>
#include <cstring>
#include <span>
#include <type_traits>
#include <vector>

#include "ops_cpu/conv2d.h"
#include "ops_cpu/conv_kernels.h"
#include "ops_cpu/parallel.h"
#include "ops_cpu/scratch.h"

namespace limbeck {
namespace {

/// One axis of the packed input: position q holds input position q * scale - pad; output position t
/// starts at t * step.
struct PackedAxis {
  int64_t size, step, scale, pad, dilation;
};

PackedAxis packed_axis(int64_t out, int64_t k, int64_t stride, int64_t pad, int64_t dilation) {
  if (k == 1) return {out, 1, stride, pad, 1};  // a window of one position: pack only what is read
  return {(out - 1) * stride + dilation * (k - 1) + 1, stride, 1, pad, dilation};
}

struct WeightGradient {
  const Conv2dSizes& s;
  const float *x, *dy;
  int64_t width, padded_o, o_blocks;  // per group
  int64_t i_block, i_blocks;          // input channels per packed block, per group
  int64_t chunks, o_parts,
      // fixed partition: images, blocks of output channels (of all groups), blocks of input
      // channels
      i_parts;
  int64_t tasks() const { return chunks * o_parts * i_parts; }
  int64_t o_block(int64_t block) const { return std::min(2 * width, padded_o - block * 2 * width); }
  /// Rows of the outer products of a block of input channels: of one kx, or of all of them where
  /// they lie side by side.
  int64_t rows_of(int64_t block, bool all) const {
    if (s.kw == 1) return std::min(i_block, s.c_per_group() - block * i_block);
    return (all ? s.kw : 1) * i_block;
  }
  /// Floats of the partial sums of one block of output channels: [block of i][ky][kx][i][o].
  int64_t sum_rows() const { return i_blocks * s.kh * s.kw * i_block; }
  int64_t block_rows() const { return s.kh * s.kw * i_block; }
  int64_t sum_offset(int64_t group, int64_t block) const {
    return sum_rows() * (group * padded_o + block * 2 * width);
  }
  int64_t sum_size() const { return sum_rows() * s.groups * padded_o; }
};

/// The number of input channels per block: few enough that a block's pixels stay in the first-level
/// cache, kw times it a multiple of the rows that the micro-kernel keeps in registers where
/// possible, and little padding. The cost counts rows of outer products and, for each pass of the
/// micro-kernel over the pixels, one and a half more.
int64_t choose_i_block(int64_t channels, bool narrow, int64_t kw) {
  if (channels == 16 && (narrow || kw % 3 == 0)) return 16;
  int64_t best = 1, best_cost = -1;
  for (int64_t size : {8, 12, 6, 4, 3, 5, 7, 2, 1}) {
    const int64_t blocks = (channels + size - 1) / size, passes = (kw * size + 11) / 12,
                  cost = blocks * (2 * kw * size + 3 * passes);
    if (best_cost < 0 || cost < best_cost) {
      best = size;
      best_cost = cost;
    }
  }
  return best;
}

WeightGradient plan(const Conv2dSizes& s, const float* x, const float* dy) {
  WeightGradient g{s, x, dy};
  g.width = conv_kernels().width;
  g.padded_o = (s.o_per_group() + g.width - 1) / g.width * g.width;
  g.o_blocks = (g.padded_o + 2 * g.width - 1) / (2 * g.width);
  g.i_block = choose_i_block(s.c_per_group(), g.padded_o == g.width, s.kw);
  g.i_blocks = (s.c_per_group() + g.i_block - 1) / g.i_block;
  constexpr int64_t kTasks = 16, kPartialFloats = 512 << 10;
  // The partition must not depend on the vector width either: blocks of 16 channels stand for all
  // instruction sets.
  const int64_t size = s.o * s.kh * s.kw * s.c_per_group();
  g.chunks = 1;
  while (g.chunks * 2 <= std::min(kTasks, s.n) && g.chunks * 2 * size <= kPartialFloats)
    g.chunks *= 2;
  // Each part of the output channels reads all of its inputs, each part of the input channels all
  // of its gradients: divide what costs less.
  g.o_parts = g.i_parts = 1;
  const double inputs = double(s.h) * s.w * s.c, gradients = double(s.oh) * s.ow * s.o;
  const int64_t o_most = s.groups * g.o_blocks;
  while (g.tasks() < kTasks && (g.o_parts < o_most || g.i_parts < g.i_blocks)) {
    const bool divide_o =
        inputs * std::max<int64_t>(1, g.o_parts / s.groups) <= gradients * g.i_parts;
    if ((divide_o && g.o_parts < o_most) || g.i_parts >= g.i_blocks)
      g.o_parts = std::min(2 * g.o_parts, o_most);
    else
      g.i_parts = std::min(2 * g.i_parts, g.i_blocks);
  }
  return g;
}

/// Rows [y0, y1) of the outputs of images [n0, n1), whose packed operands fit the second-level
/// cache.
struct PackedStrip {
  int64_t n0, n1, y0, y1;
  PackedAxis y, x;
  int64_t height() const {
    return (y1 - 1 - y0) * y.step + y.size;
  }  // y.size: of a single output row, see strip_axis
};

/// The input of a strip as the micro-kernel reads it: channel i of a block at (image n, row y,
/// column x) lies at data + block * block_step + n * image_step + y * row_step + x * column_step +
/// i.
struct InputView {
  const float* data;
  int64_t block_step, image_step, row_step, column_step;
};

/// A 1x1 window with stride 1 reads each input once per block of output channels, in order: no
/// copy. Unless the pixels are so far apart that they meet in few sets of the caches.
bool reads_in_place(const Conv2dSizes& s) {
  return s.kh == 1 && s.kw == 1 && s.stride_h == 1 && s.stride_w == 1 && s.pad_h == 0 &&
         s.pad_w == 0 && s.c % 512 != 0;
}

/// Copies `count` groups of `size` floats; the compiler knows the usual sizes.
void copy_groups(const float* from, int64_t from_step, float* to, int64_t to_step, int64_t size,
                 int64_t count) {
  const auto copy = [&](auto constant) {
    for (int64_t q = 0; q < count; ++q)
      std::memcpy(to + q * to_step, from + q * from_step, sizeof(float) * constant);
  };
  if (from_step == size && to_step == size)
    std::memcpy(to, from, sizeof(float) * size * count);
  else if (size == 8)
    copy(std::integral_constant<int, 8>());
  else if (size == 16)
    copy(std::integral_constant<int, 16>());
  else if (size == 32)
    copy(std::integral_constant<int, 32>());
  else
    copy(size);
}

/// One packed row of the blocks [i0, i1): columns [from, to) exist in the input, the others and
/// missing channels are zero.
void pack_row(const WeightGradient& g, const PackedAxis& x, int64_t i0, int64_t i1, const float* in,
              float* out, int64_t block_floats) {
  const int64_t channels = g.s.c_per_group();
  const int64_t from = std::clamp<int64_t>((x.pad + x.scale - 1) / x.scale, 0, x.size);
  const int64_t to = std::clamp<int64_t>((g.s.w - 1 + x.pad) / x.scale + 1, from, x.size);
  for (int64_t b = i0; b < i1; ++b, out += block_floats) {
    const int64_t count = std::min(g.i_block, channels - b * g.i_block);
    if (count < g.i_block) std::memset(out, 0, sizeof(float) * x.size * g.i_block);
    std::memset(out, 0, sizeof(float) * from * g.i_block);
    copy_groups(in + (from * x.scale - x.pad) * g.s.c + b * g.i_block, x.scale * g.s.c,
                out + from * g.i_block, g.i_block, count, to - from);
    std::memset(out + to * g.i_block, 0, sizeof(float) * (x.size - to) * g.i_block);
  }
}

/// Blocks [i0, i1) of the input of one group: in place, or copied to to[block of
/// i][image][row][column][i], zero where padded.
InputView pack_x(const WeightGradient& g, const PackedStrip& strip, int64_t group, int64_t i0,
                 int64_t i1, float* to) {
  const Conv2dSizes& s = g.s;
  if (reads_in_place(s))
    return {
        g.x + (strip.n0 * s.h + strip.y0) * s.w * s.c + group * s.c_per_group() + i0 * g.i_block,
        g.i_block, s.h * s.w * s.c, s.w * s.c, s.c};
  const int64_t row_floats = strip.x.size * g.i_block,
                block_floats = (strip.n1 - strip.n0) * strip.height() * row_floats;
  const InputView view{to, block_floats, strip.height() * row_floats, row_floats, g.i_block};
  for (int64_t n = strip.n0; n < strip.n1; ++n)
    for (int64_t row = 0; row < strip.height(); ++row, to += row_floats) {
      const int64_t iy = (strip.y0 * strip.y.step + row) * strip.y.scale - strip.y.pad;
      if (iy >= 0 && iy < s.h) {
        pack_row(g, strip.x, i0, i1, g.x + (n * s.h + iy) * s.w * s.c + group * s.c_per_group(), to,
                 block_floats);
      } else {
        for (int64_t b = 0; b < i1 - i0; ++b)
          std::memset(to + b * block_floats, 0, sizeof(float) * row_floats);
      }
    }
  return view;
}

/// The output gradient of one block of channels as [pixel][o], lanes beyond the group zero: in
/// place where it lies so already.
const float* pack_dy(const WeightGradient& g, const PackedStrip& strip, int64_t group,
                     int64_t block, float* to) {
  const Conv2dSizes& s = g.s;
  const int64_t first = block * 2 * g.width, padded = g.o_block(block),
                lanes = std::min(padded, s.o_per_group() - first);
  const int64_t pixels = (strip.n1 - strip.n0) * (strip.y1 - strip.y0) *
                         s.ow;  // contiguous: strips are whole images or rows of one
  const float* const from =
      g.dy + (strip.n0 * s.oh + strip.y0) * s.ow * s.o + group * s.o_per_group() + first;
  if (lanes == padded && padded == s.o) return from;
  if (lanes < padded) std::memset(to, 0, sizeof(float) * pixels * padded);
  copy_groups(from, s.o, to, padded, lanes, pixels);
  return to;
}

/// Adds the outer products of columns [begin, end) of one strip, of blocks [i0, i1) of input
/// channels and one block of output channels, to their partial sums.
void add_strip(const WeightGradient& g, const PackedStrip& strip, const InputView& x, int64_t i0,
               int64_t i1, const float* dy, int64_t block, int64_t begin, int64_t end, float* sum) {
  const Conv2dSizes& s = g.s;
  // An input read in place has its pixels at even distances: all rows are one.
  const bool one_row = reads_in_place(s);
  const int64_t padded = g.o_block(block), rows_per_image = one_row ? 1 : strip.y1 - strip.y0;
  const int64_t columns = one_row ? (strip.n1 - strip.n0) * (strip.y1 - strip.y0) * s.ow : s.ow;
  const int64_t rows = one_row ? 1 : (strip.n1 - strip.n0) * rows_per_image;
  end = std::min(end, columns);
  auto** const pointers = scratch<const float*>(ScratchUse::pixels, 2 * rows);
  // Passes of a few hundred pixels keep both operands in the first-level cache for all windows and
  // input channels.
  constexpr int64_t kPassFloats = 10 << 10;
  const int64_t pass = std::max<int64_t>(
      1, kPassFloats / (padded + strip.y.step * strip.x.step * g.i_block));  // pixels
  const int64_t step = std::max<int64_t>(1, pass / columns),
                part = one_row ? std::min(pass, end - begin) : end - begin;
  const bool adjacent = strip.x.dilation == 1;  // all kx at once
  for (int64_t first = 0; first < rows; first += step)
    for (int64_t column = begin; column < end; column += part) {
      const int64_t count = std::min(step, rows - first);
      for (int64_t r = 0; r < count; ++r) {
        const int64_t n = (first + r) / rows_per_image, y = (first + r) % rows_per_image;
        pointers[r] =
            x.data + n * x.image_step + y * strip.y.step * x.row_step + column * x.column_step;
        pointers[rows + r] = dy + ((first + r) * columns + column) * padded;
      }
      for (int64_t b = i0; b < i1; ++b)
        for (int64_t ky = 0; ky < s.kh; ++ky)
          for (int64_t kx = 0; kx < (adjacent ? 1 : s.kw); ++kx)
            conv_kernels().outer({.a = pointers,
                                  .b = pointers + rows,
                                  .rows = count,
                                  .columns = std::min(part, end - column),
                                  .a_step = strip.x.step * x.column_step,
                                  .b_step = padded,
                                  .a_offset = (b - i0) * x.block_step +
                                              ky * strip.y.dilation * x.row_step +
                                              kx * strip.x.dilation * x.column_step,
                                  .sum = sum + ((b * s.kh + ky) * s.kw + kx) * g.i_block * padded,
                                  .count = g.rows_of(b, adjacent),
                                  .vectors = static_cast<int>(padded / g.width)});
    }
}

/// The partial sums of one task: blocks [block0, block1) of output channels, [i0, i1) of input
/// channels. Long float sums are divided: after `longest` pixels their state is put aside.
class TaskSums {
 public:
  static constexpr int64_t longest = 8192;
  TaskSums(const WeightGradient& g, float* sum, int64_t block0, int64_t block1, int64_t i0,
           int64_t i1) {
    for (int64_t b = block0; b < block1; ++b) {
      const int64_t floats = g.block_rows() * g.o_block(b % g.o_blocks);
      float* const part = sum + g.sum_offset(b / g.o_blocks, b % g.o_blocks);
      parts_.emplace_back(part + i0 * floats, static_cast<size_t>((i1 - i0) * floats));
    }
    clear();
  }
  /// `pixels` are about to be added.
  void before(int64_t pixels) {
    if (pixels_ > 0 && pixels_ + pixels > longest) put_aside();
    pixels_ += pixels;
  }
  /// All in its place.
  void finish() {
    if (aside_.empty()) return;
    put_aside();
    size_t at = 0;
    for (const std::span<float> part : parts_)
      for (float& x : part) x = static_cast<float>(aside_[at++]);
  }

 private:
  void clear() {
    for (const std::span<float> part : parts_) std::fill(part.begin(), part.end(), 0.f);
    pixels_ = 0;
  }
  void put_aside() {
    size_t at = 0;
    for (const std::span<float> part : parts_) {
      aside_.resize(std::max(aside_.size(), at + part.size()));
      for (const float x : part) aside_[at++] += x;
    }
    clear();
  }
  std::vector<std::span<float>> parts_;
  std::vector<double> aside_;
  int64_t pixels_ = 0;
};

/// Task t: the images of a chunk, some blocks of output channels (counted over all groups), some of
/// input channels.
void run_task(const WeightGradient& g, int64_t t, float* sums) {
  const Conv2dSizes& s = g.s;
  const int64_t chunk = t / (g.o_parts * g.i_parts), o_part = t / g.i_parts % g.o_parts,
                i_part = t % g.i_parts;
  const int64_t blocks = s.groups * g.o_blocks, block0 = blocks * o_part / g.o_parts,
                block1 = blocks * (o_part + 1) / g.o_parts;
  const int64_t i0 = g.i_blocks * i_part / g.i_parts, i1 = g.i_blocks * (i_part + 1) / g.i_parts;
  float* const sum = sums + chunk * g.sum_size();
  TaskSums task_sums(g, sum, block0, block1, i0, i1);
  const int64_t begin = s.n * chunk / g.chunks, end = s.n * (chunk + 1) / g.chunks;
  PackedStrip strip{0,
                    0,
                    0,
                    0,
                    packed_axis(1, s.kh, s.stride_h, s.pad_h, s.dilation_h),
                    packed_axis(s.ow, s.kw, s.stride_w, s.pad_w, s.dilation_w)};
  const int64_t channels = (i1 - i0) * g.i_block;
  const int64_t image_floats = s.oh * strip.y.step * strip.x.size * channels, most = 192 << 10;
  const int64_t images = std::clamp<int64_t>(
      std::min(most / std::max<int64_t>(1, image_floats), 512 / (s.oh * s.ow)), 1, s.n);
  const int64_t rows = std::clamp<int64_t>(
      std::min(most / std::max<int64_t>(1, strip.y.step * strip.x.size * channels),
               TaskSums::longest / s.ow),
      1, s.oh);
  for (strip.n0 = begin; strip.n0 < end; strip.n0 += images) {
    strip.n1 = std::min(end, strip.n0 + images);
    for (strip.y0 = 0; strip.y0 < s.oh; strip.y0 += rows) {
      strip.y1 = std::min(s.oh, strip.y0 + rows);
      const int64_t count = strip.n1 - strip.n0, pixels = count * (strip.y1 - strip.y0) * s.ow;
      float* const x =
          scratch<float>(ScratchUse::input, count * strip.height() * strip.x.size * channels);
      float* const dy =
          scratch<float>(ScratchUse::gradient, count * (strip.y1 - strip.y0) * s.ow * 2 * g.width);
      // More than `longest` pixels are one row, which is cut.
      for (int64_t first = 0; first < pixels; first += TaskSums::longest) {
        const int64_t last = std::min(pixels, first + TaskSums::longest);
        task_sums.before(last - first);
        InputView view{};
        int64_t packed_group = -1;
        for (int64_t b = block0; b < block1; ++b) {
          const int64_t group = b / g.o_blocks, block = b % g.o_blocks;
          if (group != packed_group) view = pack_x(g, strip, packed_group = group, i0, i1, x);
          add_strip(g, strip, view, i0, i1, pack_dy(g, strip, group, block, dy), block, first, last,
                    sum + g.sum_offset(group, block));
        }
      }
    }
  }
  task_sums.finish();
}

/// Writes dw[o][ky][kx][i] of one block of output channels from its sums [block of
/// i][ky][kx][i][o].
void unpack_block(const WeightGradient& g, int64_t group, int64_t block, const float* sum,
                  float* dw) {
  const Conv2dSizes& s = g.s;
  const int64_t first = block * 2 * g.width, padded = g.o_block(block),
                lanes = std::min(padded, s.o_per_group() - first);
  const int64_t taps = s.kh * s.kw, channels = s.c_per_group();
  for (int64_t b = 0; b < g.i_blocks; ++b) {
    const int64_t count = std::min(g.i_block, channels - b * g.i_block);
    for (int64_t tap = 0; tap < taps; ++tap)
      for (int64_t o = 0; o < lanes; ++o) {
        float* const to =
            dw + ((group * s.o_per_group() + first + o) * taps + tap) * channels + b * g.i_block;
        const float* const from = sum + (b * taps + tap) * g.i_block * padded + o;
        for (int64_t i = 0; i < count; ++i) to[i] = from[i * padded];
      }
  }
}

/// Vectors of output channels would be mostly empty with few output but many input channels (the
/// image layer of a generator), or hold zeros at the end of each group (1x1, 80 to 20 channels).
/// With stride 1 the roles can be exchanged: dw[o,ky,kx,i] = sum_{iy,ix} x[iy,ix,i] dy[iy + p - ky
/// d, ix + p - kx d, o] is the weight gradient of a convolution from dy to x with a reversed
/// window. The choice looks at vectors of 16 on every machine, so that it depends on the sizes
/// only.
bool better_exchanged(const Conv2dSizes& s) {
  if (s.stride_h != 1 || s.stride_w != 1 || s.pad_h > s.dilation_h * (s.kh - 1) ||
      s.pad_w > s.dilation_w * (s.kw - 1))
    return false;
  if (s.groups == 1 && s.o <= 8 && s.c >= 2 * s.o) return true;
  const int64_t i = s.c_per_group(), o = s.o_per_group();
  return s.kh == 1 && s.kw == 1 && s.pad_h == 0 && s.pad_w == 0 &&
         5 * i * ((o + 15) / 16) > 6 * o * ((i + 15) / 16);
}

void backward_weight_exchanged(const Conv2dSizes& s, const float* x, const float* dy, float* dw) {
  const Conv2dSizes t{s.n,
                      s.oh,
                      s.ow,
                      s.o,
                      s.c,
                      s.kh,
                      s.kw,
                      s.h,
                      s.w,
                      s.groups,
                      1,
                      1,
                      s.dilation_h * (s.kh - 1) - s.pad_h,
                      s.dilation_w * (s.kw - 1) - s.pad_w,
                      s.dilation_h,
                      s.dilation_w};
  const int64_t taps = s.kh * s.kw, inputs = s.c_per_group(), outputs = s.o_per_group();
  float* const exchanged = scratch<float>(ScratchUse::columns, s.c * taps * outputs);
  conv2d_backward_weight_cpu(t, dy, x, exchanged);
  for (int64_t g = 0; g < s.groups; ++g)
    for (int64_t o = 0; o < outputs; ++o)
      for (int64_t tap = 0; tap < taps; ++tap)
        for (int64_t i = 0; i < inputs; ++i)
          dw[((g * outputs + o) * taps + tap) * inputs + i] =
              exchanged[((g * inputs + i) * taps + taps - 1 - tap) * outputs + o];
}

}  // namespace

void conv2d_backward_weight_cpu(const Conv2dSizes& s, const float* x, const float* dy, float* dw) {
  if (s.n == 0) return std::fill(dw, dw + s.o * s.kh * s.kw * s.c_per_group(), 0.f);
  if (is_depthwise(s)) return depthwise_backward_weight_cpu(s, x, dy, dw);
  if (better_exchanged(s)) return backward_weight_exchanged(s, x, dy, dw);
  const WeightGradient g = plan(s, x, dy);
  const int64_t blocks = s.groups * g.o_blocks;
  float* const partial = scratch<float>(ScratchUse::partial, g.chunks * g.sum_size());
  Tasks tasks(g.tasks());
  parallel_region([&] {
    tasks.run([&](int64_t t) { run_task(g, t, partial); });
#pragma omp barrier
#pragma omp for schedule(static)
    for (int64_t b = 0; b < blocks; ++b) {
      const int64_t offset = g.sum_offset(b / g.o_blocks, b % g.o_blocks),
                    size = g.sum_rows() * g.o_block(b % g.o_blocks);
      for (int64_t c = 1; c < g.chunks; ++c)
        conv_kernels().column_sums(partial + c * g.sum_size() + offset, 1, size, partial + offset);
      unpack_block(g, b / g.o_blocks, b % g.o_blocks, partial + offset, dw);
    }
  });
}

namespace {

/// sum += rows of d; of more rows than a float sum may take, the sums of 4096 each.
void add_rows(const float* d, int64_t rows, int64_t channels, float* sum) {
  constexpr int64_t longest = 4096;
  if (rows <= longest) return conv_kernels().column_sums(d, rows, channels, sum);
  std::vector<float> block(static_cast<size_t>(channels));
  for (int64_t r = 0; r < rows; r += longest) {
    std::fill(block.begin(), block.end(), 0.f);
    conv_kernels().column_sums(d + r * channels, std::min(longest, rows - r), channels,
                               block.data());
    conv_kernels().column_sums(block.data(), 1, channels, sum);
  }
}

}  // namespace

void column_sums_cpu(const float* d, int64_t rows, int64_t channels, float* sum) {
  constexpr int64_t kChunks = 16;  // fixed, so that the order of the additions is
  float* const partial = scratch<float>(ScratchUse::partial, kChunks * channels);
  parallel_tasks(kChunks, [&](int64_t c) {
    std::fill(partial + c * channels, partial + (c + 1) * channels, 0.f);
    const int64_t begin = rows * c / kChunks, end = rows * (c + 1) / kChunks;
    add_rows(d + begin * channels, end - begin, channels, partial + c * channels);
  });
  std::fill(sum, sum + channels, 0.f);
  conv_kernels().column_sums(partial, kChunks, channels, sum);
}

}  // namespace limbeck
