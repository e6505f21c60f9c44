#include "tensor/protobuf.h"

#include <bit>

namespace limbeck {

static_assert(std::endian::native == std::endian::little,
              "numbers are written as they lie in memory");

void ProtobufMessage::varint(uint64_t value) {
  for (; value >= 128; value >>= 7) bytes_ += static_cast<char>(value | 128);
  bytes_ += static_cast<char>(value);
}

void ProtobufMessage::tag(int field, int wire_type) {
  varint(static_cast<uint64_t>(field) << 3 | static_cast<uint64_t>(wire_type));
}

void ProtobufMessage::fixed(const void* value, size_t size) {
  bytes_.append(static_cast<const char*>(value), size);
}

ProtobufMessage& ProtobufMessage::integer(int field, int64_t value) {
  tag(field, 0);
  varint(static_cast<uint64_t>(value));
  return *this;
}

ProtobufMessage& ProtobufMessage::integers(int field, const std::vector<int64_t>& values) {
  for (const int64_t value : values) integer(field, value);
  return *this;
}

ProtobufMessage& ProtobufMessage::f64(int field, double value) {
  tag(field, 1);
  fixed(&value, sizeof value);
  return *this;
}

ProtobufMessage& ProtobufMessage::f32(int field, float value) {
  tag(field, 5);
  fixed(&value, sizeof value);
  return *this;
}

ProtobufMessage& ProtobufMessage::text(int field, std::string_view value) {
  tag(field, 2);
  varint(value.size());
  bytes_ += value;
  return *this;
}

}  // namespace limbeck
