// TensorBoard's event files: records of a length, the event and their checksums (CRC-32C), as
// TensorFlow's TFRecord frames them.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "nn/monitor.h"

namespace limbeck {

uint32_t crc32c(std::string_view bytes);

class EventFile {
 public:
  /// Goes on behind `keep` bytes of a file that is there; 0: begins it anew.
  EventFile(const std::string& path, int64_t keep);
  ~EventFile();
  EventFile(const EventFile&) = delete;
  EventFile& operator=(const EventFile&) = delete;

  void scalars(int64_t step, const nn::Values& values);
  /// Every line of a metrics.jsonl.
  void scalars_of(const std::string& metrics);
  /// A picture u8 [H, W, C].
  void image(const std::string& tag, int64_t step, const Tensor& u8_hwc);
  void sync();
  int64_t bytes() const { return bytes_; }

 private:
  void record(const std::string& event);

  const std::string path_;
  int file_ = -1;
  int64_t bytes_ = 0;
};

}  // namespace limbeck
