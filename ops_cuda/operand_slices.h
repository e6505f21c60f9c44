// Operands of the tiled products (implicit_gemm.h) and their slices in shared memory: 16 or 32
// terms k of all rows of a tile, as stored (f32 or bf16), filled by asynchronous copies. An operand
// is read through a Source, which is passed by value and offers, on the device,
//   Element              float or bfloat16
//   k_contiguous         whether neighbouring k (or else neighbouring rows) may lie side by side
//   row(r), step(k)      what is worth computing once for a row and once for a k (divisions)
//   at(row, step)        the address of the element, or null for one that counts as zero
//   data, width          any valid address; how many elements along the contiguous axis, from
//                        multiples of this number on, are adjacent
//                        and aligned (copy_width below): one copy takes them
// A line of a slice is copied 16 bytes at a time where `width` allows; a kernel whose operands both
// allow it everywhere knows so when it is compiled (`wide`). Otherwise f32 goes in copies of 4
// bytes; bf16 in copies of 8 or 4, or, in odd numbers of channels, through registers: four loads of
// 2 bytes become one 8-byte store. Source of the division: Granlund and Montgomery 1994.
#pragma once
#include <algorithm>
#include <initializer_list>
#include <type_traits>

#include "ops_cuda/instructions.h"
#include "ops_cuda/launch.h"

// A function of the inner loop that only touches registers, at indices the compiler sees: the
// shim's sanitizers have nothing to find there.
#if defined(LIMBECK_SIM) && defined(__clang__)
#define LIMBECK_IN_REGISTERS __attribute__((no_sanitize("address", "undefined")))
#elif defined(LIMBECK_SIM)
#define LIMBECK_IN_REGISTERS __attribute__((no_sanitize("address", "undefined"), optimize("O3")))
#else
#define LIMBECK_IN_REGISTERS
#endif

namespace limbeck::cuda {

/// Quotients of 0 <= n < 2^31 by one multiplication.
struct FastDivision {
  uint32_t multiplier = 1, shift = 0;
  int divisor = 1;

  FastDivision() = default;
  explicit FastDivision(int64_t d) : divisor(static_cast<int>(d)) {
    LIMBECK_CHECK(d >= 1 && d < int64_t{1} << 31, "FastDivision by ", d);
    while ((int64_t{1} << shift) < d) ++shift;
    multiplier = static_cast<uint32_t>((uint64_t{1} << 32) *
                                           ((uint64_t{1} << shift) - static_cast<uint64_t>(d)) /
                                           static_cast<uint64_t>(d) +
                                       1);
  }
  __device__ int quotient(int n) const {
    return static_cast<int>(
        (__umulhi(static_cast<unsigned>(n), multiplier) + static_cast<unsigned>(n)) >> shift);
  }
};

/// Elements of the largest copy.
template <class E>
inline constexpr int largest_copy = 16 / static_cast<int>(sizeof(E));

/// Elements that one copy may take where the contiguous axis and all distances are `extents`: what
/// divides all of them, up to 16 bytes.
template <class E>
int copy_width(const E* data, std::initializer_list<int64_t> extents) {
  int width = largest_copy<E>;
  const auto divides = [&] {
    return aligned_for(width, data) &&
           std::all_of(extents.begin(), extents.end(), [&](int64_t e) { return e % width == 0; });
  };
  while (width > 1 && !divides()) width /= 2;
  return sizeof(E) == 4 && width < 4 ? 1 : width;
}

/// A stored matrix (Matrix in gemm.h); `inner` is the length of one term's k.
template <class E, bool k_contiguous_>
struct StoredMatrix {
  static constexpr bool k_contiguous = k_contiguous_;
  using Element = E;
  using Row = int;
  using Step = int;
  const E* data = nullptr;
  int width = 1;
  int pitch = 0, term = 0;
  FastDivision inner;

  __device__ Row row(int r) const { return k_contiguous ? r * pitch : r; }
  __device__ Step step(int k) const {
    const int s = inner.quotient(k), l = k - s * inner.divisor;
    return s * term + (k_contiguous ? l : l * pitch);
  }
  __device__ const E* at(Row row, Step step) const { return data + row + step; }
};

/// One slice of an operand in shared memory, and how a block fills it; `wide`: source.width is
/// `chunk`, every copy takes 16 bytes. Lines lie along the contiguous axis: [row][k] or [k][row],
/// each with `padding` elements behind it that keep the reads of tile_sums.h free of bank
/// conflicts.
template <class Source, int rows, int threads, int slice, int padding, bool wide>
struct OperandSlice {
  using Element = typename Source::Element;
  static constexpr bool k_contiguous = Source::k_contiguous;
  static constexpr int chunk = largest_copy<Element>;
  static constexpr int lines = k_contiguous ? rows : slice, length = k_contiguous ? slice : rows;
  static constexpr int pitch = length + padding,
                       bytes = lines * pitch * static_cast<int>(sizeof(Element));
  static constexpr int chunks_per_line = length / chunk, lines_at_once = threads / chunks_per_line;
  static constexpr int turns = (lines + lines_at_once - 1) / lines_at_once,
                       kept_rows = k_contiguous ? turns : 1;
  static_assert(threads % chunks_per_line == 0 && length % chunk == 0 && padding % chunk == 0);

  const Source& source;
  const int first_row, limit;  // rows from `limit` on count as zero
  const int line, element;     // where this thread starts
  typename Source::Row row[kept_rows];

  __device__ OperandSlice(const Source& s, int first, int limit_)
      : source(s),
        first_row(first),
        limit(limit_),
        line(static_cast<int>(threadIdx.x) / chunks_per_line),
        element(static_cast<int>(threadIdx.x) % chunks_per_line * chunk) {
    LIMBECK_UNROLL
    for (int i = 0; i < kept_rows; ++i)
      row[i] = source.row(first_row + (k_contiguous ? line + i * lines_at_once : element));
  }

  /// Element e of the chunk at row r and term k, or null for one that counts as zero.
  __device__ const Element* address(int turn, int r, int k, int e, int k_end) const {
    if constexpr (k_contiguous)
      return r < limit && k + e < k_end ? source.at(row[turn], source.step(k + e)) : nullptr;
    else
      return r + e < limit && k < k_end ? source.at(source.row(r + e), source.step(k)) : nullptr;
  }

  /// Starts copying the slice from k0 on into `to`; k from k_end on count as zero.
  __device__ void copy(Element* to, int k0, int k_end) const {
    LIMBECK_UNROLL
    for (int turn = 0; turn < turns; ++turn) {
      const int l = line + turn * lines_at_once;
      if (lines % lines_at_once != 0 && l >= lines) break;
      Element* const target = to + l * pitch + element;
      const int r = first_row + (k_contiguous ? l : element), k = k0 + (k_contiguous ? element : l);
      if (wide || source.width == chunk) {
        const Element* from = r < limit && k < k_end
                                  ? source.at(row[k_contiguous ? turn : 0], source.step(k))
                                  : nullptr;
        copy_async16(target, from ? from : source.data, from != nullptr);
      } else {
        copy_narrow(target, turn, r, k, k_end);
      }
    }
  }

 private:
  __device__ void copy_narrow(Element* target, int turn, int r, int k, int k_end) const {
    if constexpr (sizeof(Element) == 4) {
      LIMBECK_UNROLL
      for (int e = 0; e < 4; ++e) {
        const Element* from = address(turn, r, k, e, k_end);
        copy_async4(target + e, from ? from : source.data, from != nullptr);
      }
    } else if (source.width > 1) {
      copy_parts(target, turn, r, k, k_end);
    } else {
      copy_elements(target, turn, r, k, k_end);
    }
  }
  __device__ void copy_parts(Element* target, int turn, int r, int k, int k_end) const {
    LIMBECK_DO_NOT_UNROLL
    for (int e = 0; e < chunk; e += source.width) {
      const Element* from = address(turn, r, k, e, k_end);
      if (source.width == 4)
        copy_async8(target + e, from ? from : source.data, from != nullptr);
      else
        copy_async4(target + e, from ? from : source.data, from != nullptr);
    }
  }
  /// cp.async knows no copy of 2 bytes. The barrier that follows the copies orders these stores,
  /// too. (Eight at once would spill registers.)
  __device__ void copy_elements(Element* target, int turn, int r, int k, int k_end) const {
    LIMBECK_DO_NOT_UNROLL
    for (int e0 = 0; e0 < 8; e0 += 4) {
      Vector<uint16_t, 4> v;
      LIMBECK_UNROLL
      for (int e = 0; e < 4; ++e) {
        const Element* from = address(turn, r, k, e0 + e, k_end);
        v[e] = from ? from->bits : uint16_t{0};
      }
      store_vector(reinterpret_cast<uint16_t*>(target + e0), v);
    }
  }
};

}  // namespace limbeck::cuda
