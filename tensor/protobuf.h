// Writing messages in protobuf's wire format (ONNX models, TensorBoard events): fields in the order
// of the calls, little-endian.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace limbeck {

class ProtobufMessage {
 public:
  ProtobufMessage& integer(int field, int64_t value);  ///< int64, int32, uint64, bool, enum
  ProtobufMessage& integers(int field, const std::vector<int64_t>& values);  ///< repeated
  ProtobufMessage& f32(int field, float value);
  ProtobufMessage& f64(int field, double value);
  ProtobufMessage& text(int field, std::string_view value);  ///< string or bytes
  ProtobufMessage& message(int field, const ProtobufMessage& value) {
    return text(field, value.bytes_);
  }
  const std::string& bytes() const { return bytes_; }

 private:
  void varint(uint64_t value);
  void tag(int field, int wire_type);
  void fixed(const void* value, size_t size);
  std::string bytes_;
};

}  // namespace limbeck
