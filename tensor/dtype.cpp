#include "tensor/dtype.h"

#include <charconv>

#include "tensor/error.h"

namespace limbeck {

const char* name_of(DType t) {
  switch (t) {
    case DType::f32: return "f32";
    case DType::f64: return "f64";
    case DType::bf16: return "bf16";
    case DType::i64: return "i64";
    case DType::i32: return "i32";
    case DType::u8: return "u8";
    case DType::boolean: return "bool";
  }
  return "?";
}

DType parse_dtype(const std::string& name) {
  for (DType t :
       {DType::f32, DType::f64, DType::bf16, DType::i64, DType::i32, DType::u8, DType::boolean})
    if (name == name_of(t)) return t;
  fail("unknown element type '", name, "'; known: f32 f64 bf16 i64 i32 u8 bool");
}

std::string to_string(Device d) {
  return d.kind == DeviceKind::cpu ? "cpu" : "cuda:" + std::to_string(d.index);
}

Device parse_device(const std::string& name) {
  if (name == "cpu") return cpu;
  if (name == "cuda") return {DeviceKind::cuda, 0};
  Device d{DeviceKind::cuda, 0};
  if (name.starts_with("cuda:")) {
    const char* end = name.data() + name.size();
    auto [p, error] = std::from_chars(name.data() + 5, end, d.index);
    if (error == std::errc() && p == end && d.index >= 0) return d;
  }
  fail("unknown device '", name, "'; known: cpu, cuda, cuda:N");
}

}  // namespace limbeck
