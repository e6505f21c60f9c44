#include "apps/event_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "data/dataset.h"
#include "tensor/protobuf.h"
#include "tensor/safetensors.h"

namespace limbeck {
namespace {

// Numbers of the fields in event.proto and summary.proto.
namespace proto {
enum Event { wall_time = 1, step = 2, file_version = 3, summary = 5 };
enum Summary { value = 1 };
enum Value { tag = 1, simple_value = 2, image = 4 };
enum Image { height = 1, width = 2, colorspace = 3, encoded = 4 };
}  // namespace proto

constexpr std::array<uint32_t, 256> crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t rest = byte;
    for (int bit = 0; bit < 8; ++bit) rest = (rest >> 1) ^ ((rest & 1) ? 0x82f63b78u : 0);
    table[byte] = rest;
  }
  return table;
}

/// As TFRecord stores them, so that a checksum of a text with checksums in it is none itself.
uint32_t masked(uint32_t crc) { return ((crc >> 15) | (crc << 17)) + 0xa282ead8u; }

template <class T>
void append(std::string& to, T value) {
  to.append(reinterpret_cast<const char*>(&value), sizeof value);
}

ProtobufMessage new_event() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return ProtobufMessage().f64(proto::wall_time, std::chrono::duration<double>(now).count());
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  static constexpr std::array<uint32_t, 256> table = crc_table();
  uint32_t crc = ~0u;
  for (const char c : bytes) crc = (crc >> 8) ^ table[(crc ^ static_cast<uint8_t>(c)) & 255];
  return ~crc;
}

EventFile::EventFile(const std::string& path, int64_t keep) : path_(path) {
  file_ = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  LIMBECK_CHECK(file_ >= 0, path, ": cannot be opened for writing: ", std::strerror(errno));
  struct stat info {};
  const bool there = fstat(file_, &info) == 0 && info.st_size >= keep;
  bytes_ = there ? keep : 0;
  if (ftruncate(file_, bytes_) != 0 || lseek(file_, 0, SEEK_END) != bytes_) {
    const int error = errno;
    close(file_);
    fail(path, ": ", std::strerror(error));
  }
  if (bytes_ == 0) record(new_event().text(proto::file_version, "brain.Event:2").bytes());
}

EventFile::~EventFile() { close(file_); }

void EventFile::scalars(int64_t step, const nn::Values& values) {
  ProtobufMessage summary;
  for (const auto& [key, number] : values)
    summary.message(proto::value, ProtobufMessage()
                                      .text(proto::tag, key)
                                      .f32(proto::simple_value, static_cast<float>(number)));
  record(new_event().integer(proto::step, step).message(proto::summary, summary).bytes());
}

void EventFile::scalars_of(const std::string& metrics) {
  std::istringstream lines(read_file(metrics));
  for (std::string line; std::getline(lines, line);) {
    const auto object = nlohmann::ordered_json::parse(line, nullptr, false);
    LIMBECK_CHECK(object.is_object() && object.contains("step"), metrics,
                  ": expected lines with a step, found ", line);
    nn::Values values;
    for (const auto& [key, value] : object.items())
      if (key != "step")
        values.emplace_back(key, value.is_number() ? value.get<double>()
                                                   : std::numeric_limits<double>::quiet_NaN());
    scalars(object["step"].get<int64_t>(), values);
  }
}

void EventFile::image(const std::string& tag, int64_t step, const Tensor& u8_hwc) {
  ProtobufMessage picture, value, summary;
  picture.integer(proto::height, u8_hwc.size(0)).integer(proto::width, u8_hwc.size(1));
  picture.integer(proto::colorspace, u8_hwc.size(2));
  picture.text(proto::encoded, data::encode_png(u8_hwc, tag));
  summary.message(proto::value, value.text(proto::tag, tag).message(proto::image, picture));
  record(new_event().integer(proto::step, step).message(proto::summary, summary).bytes());
}

void EventFile::record(const std::string& event) {
  std::string text;
  append(text, static_cast<uint64_t>(event.size()));
  append(text, masked(crc32c(text)));
  text += event;
  append(text, masked(crc32c(event)));
  LIMBECK_CHECK(write_all(file_, text.data(), text.size()), path_,
                ": cannot be written: ", std::strerror(errno));
  bytes_ += static_cast<int64_t>(text.size());
}

void EventFile::sync() { LIMBECK_CHECK(fsync(file_) == 0, path_, ": ", std::strerror(errno)); }

}  // namespace limbeck
