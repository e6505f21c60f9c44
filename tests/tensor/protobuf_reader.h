// Reads protobuf's wire format without a schema, for tests of what is written in it.
#pragma once
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/error.h"

namespace limbeck {

struct ProtobufField {
  int number = 0;
  int64_t integer = 0;  ///< of a varint
  double real = 0;      ///< of a fixed32 (float) or fixed64 (double)
  std::string_view bytes;
};

/// The fields of a message in their order; throws where it is cut or malformed.
inline std::vector<ProtobufField> read_protobuf(std::string_view text) {
  const auto varint = [&text] {
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      LIMBECK_CHECK(!text.empty() && shift < 70, "protobuf: a varint is cut");
      const auto byte = static_cast<uint8_t>(text.front());
      text.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  const auto take = [&text](size_t size) {
    LIMBECK_CHECK(text.size() >= size, "protobuf: a field of ", size, " bytes is cut");
    const std::string_view part = text.substr(0, size);
    text.remove_prefix(size);
    return part;
  };
  std::vector<ProtobufField> fields;
  while (!text.empty()) {
    const uint64_t tag = varint();
    ProtobufField f{.number = static_cast<int>(tag >> 3)};
    float single = 0;
    switch (tag & 7) {
      case 0: f.integer = static_cast<int64_t>(varint()); break;
      case 1: std::memcpy(&f.real, take(8).data(), 8); break;
      case 2: f.bytes = take(varint()); break;
      case 5: std::memcpy(&single, take(4).data(), 4), f.real = single; break;
      default: fail("protobuf: unknown wire type ", tag & 7);
    }
    fields.push_back(f);
  }
  return fields;
}

/// The fields of one number.
inline std::vector<ProtobufField> fields_of(std::string_view message, int number) {
  std::vector<ProtobufField> found;
  for (const ProtobufField& f : read_protobuf(message))
    if (f.number == number) found.push_back(f);
  return found;
}

/// The bytes of the only field of a number.
inline std::string_view field_of(std::string_view message, int number) {
  const auto found = fields_of(message, number);
  LIMBECK_CHECK(found.size() == 1, "protobuf: field ", number, " stands ", found.size(), " times");
  return found[0].bytes;
}

}  // namespace limbeck
