// Element types and devices of a tensor.
#pragma once
#include <cstdint>
#include <ostream>
#include <string>

#include "tensor/bfloat16.h"

namespace limbeck {

enum class DType : uint8_t { f32, f64, bf16, i64, i32, u8, boolean };

/// Bytes of one element.
constexpr int64_t size_of(DType t) {
  switch (t) {
    case DType::f64:
    case DType::i64: return 8;
    case DType::f32:
    case DType::i32: return 4;
    case DType::bf16: return 2;
    case DType::u8:
    case DType::boolean: return 1;
  }
  return 0;
}
constexpr bool is_floating(DType t) {
  return t == DType::f32 || t == DType::f64 || t == DType::bf16;
}

/// "f32", "i64", ...; parse_dtype throws on an unknown name.
const char* name_of(DType t);
DType parse_dtype(const std::string& name);
inline std::ostream& operator<<(std::ostream& out, DType t) { return out << name_of(t); }

template <class T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::f32;
};
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::f64;
};
template <>
struct DTypeOf<bfloat16> {
  static constexpr DType value = DType::bf16;
};
template <>
struct DTypeOf<int64_t> {
  static constexpr DType value = DType::i64;
};
template <>
struct DTypeOf<int32_t> {
  static constexpr DType value = DType::i32;
};
template <>
struct DTypeOf<uint8_t> {
  static constexpr DType value = DType::u8;
};
template <>
struct DTypeOf<bool> {
  static constexpr DType value = DType::boolean;
};
template <class T>
constexpr DType dtype_of = DTypeOf<T>::value;

enum class DeviceKind : uint8_t { cpu, cuda };

struct Device {
  DeviceKind kind = DeviceKind::cpu;
  int index = 0;
  bool operator==(const Device&) const = default;
};
inline constexpr Device cpu{};
/// Names, as messages and files have them.
std::string to_string(Device d);
/// "cpu", "cuda", "cuda:1".
/// Throws on other texts.
Device parse_device(const std::string& name);
inline std::ostream& operator<<(std::ostream& out, Device d) { return out << to_string(d); }

}  // namespace limbeck
