#include "apps/monitor.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "data/dataset.h"
#include "tensor/metadata.h"

namespace limbeck {
namespace {

constexpr const char* metrics_key = "limbeck.metrics_bytes";
constexpr const char* events_key = "limbeck.events_bytes";
constexpr const char* fingerprint_key = "limbeck.fingerprint";

/// "samples-000300": a tag and a step.
std::pair<std::string, int64_t> tag_and_step(const std::string& name) {
  const size_t dash = name.rfind('-');
  int64_t step = 0;
  if (dash == std::string::npos) return {name, step};
  const char* const end = name.data() + name.size();
  const auto [rest, error] = std::from_chars(name.data() + dash + 1, end, step);
  if (error != std::errc() || rest != end) return {name, 0};
  return {name.substr(0, dash), step};
}

}  // namespace

std::string json_number(double value) {
  if (!std::isfinite(value)) return "null";
  char buffer[64];
  return {buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr};
}

std::string json_string(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\')
      out += '\\', out += c;
    else if (c == '\n')
      out += "\\n";
    else if (static_cast<unsigned char>(c) < 0x20) {
      char code[8];
      std::snprintf(code, sizeof code, "\\u%04x", static_cast<unsigned>(c));
      out += code;
    } else
      out += c;
  }
  return out + '"';
}

StageMonitor::StageMonitor(Config config, Console& console)
    : config_(std::move(config)), console_(console), last_save_(std::chrono::steady_clock::now()) {}

StageMonitor::~StageMonitor() {
  if (metrics_file_ >= 0) close(metrics_file_);
}

void StageMonitor::progress(int64_t done, int64_t total, int64_t rate_items,
                            const nn::Values& values) {
  at_end_ = done >= total;
  console_.progress(done, total, rate_items, values);
}

void StageMonitor::open_metrics() {
  if (metrics_file_ >= 0) return;
  const std::string path = config_.directory + "/metrics.jsonl";
  metrics_file_ = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  LIMBECK_CHECK(metrics_file_ >= 0, path, ": cannot be opened for writing: ", std::strerror(errno));
  struct stat info {};
  LIMBECK_CHECK(fstat(metrics_file_, &info) == 0 && info.st_size >= metrics_bytes_, path, ": has ",
                info.st_size, " bytes, but the checkpoint beside it was saved after ",
                metrics_bytes_, "; delete the stage's folder to start it afresh");
  LIMBECK_CHECK(ftruncate(metrics_file_, metrics_bytes_) == 0 &&
                    lseek(metrics_file_, 0, SEEK_END) == metrics_bytes_,
                path, ": ", std::strerror(errno));
}

EventFile* StageMonitor::events() {
  if (!config_.tensorboard || events_) return events_ ? &*events_ : nullptr;
  const std::string metrics = config_.directory + "/metrics.jsonl";
  const bool lines = std::filesystem::exists(metrics);
  if (lines) open_metrics();  // cuts what does not count
  events_.emplace(events_path(), events_bytes_);
  const bool goes_on = events_bytes_ > 0 && events_->bytes() == events_bytes_;
  if (lines && !goes_on) events_->scalars_of(metrics);
  return &*events_;
}

void StageMonitor::metrics(int64_t step, const nn::Values& values) {
  open_metrics();
  if (EventFile* const file = events()) file->scalars(step, values);
  std::string line = cat("{\"step\":", step);
  for (const auto& [key, value] : values)
    line += cat(",", json_string(key), ":", json_number(value));
  line += "}\n";
  LIMBECK_CHECK(write_all(metrics_file_, line.data(), line.size()), config_.directory,
                "/metrics.jsonl: cannot be written: ", std::strerror(errno));
  metrics_bytes_ += static_cast<int64_t>(line.size());
}

void StageMonitor::image(const std::string& name, const Tensor& u8_hwc) {
  const std::string folder = config_.directory + "/images";
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  LIMBECK_CHECK(!error, folder, ": cannot be created: ", error.message());
  data::write_png(cat(folder, "/", name, ".png"), u8_hwc);
  if (EventFile* const file = events()) {
    const auto [tag, step] = tag_and_step(name);
    file->image(tag, step, u8_hwc);
  }
}

bool StageMonitor::checkpoint_due() {
  if (stop_requested() || (config_.save_last && at_end_)) return true;
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - last_save_).count() >=
         config_.checkpoint_seconds;
}

void StageMonitor::save(const TensorFile& state) {
  if (metrics_file_ >= 0)
    LIMBECK_CHECK(fsync(metrics_file_) == 0, config_.directory,
                  "/metrics.jsonl: ", std::strerror(errno));
  TensorFile file = state;  // tensors are handles: no copy of their data
  file.metadata[metrics_key] = std::to_string(metrics_bytes_);
  if (EventFile* const written = events()) {
    written->sync();
    file.metadata[events_key] = std::to_string(written->bytes());
  }
  file.metadata[fingerprint_key] = config_.fingerprint;
  write_safetensors(config_.directory + "/checkpoint.safetensors", file);
  last_save_ = std::chrono::steady_clock::now();
  config_.after_save();
}

std::optional<TensorFile> StageMonitor::load() {
  const std::string path = config_.directory + "/checkpoint.safetensors";
  if (!std::filesystem::exists(path)) return std::nullopt;
  TensorFile file = read_safetensors(path);
  const auto found = file.metadata.find(fingerprint_key);
  LIMBECK_CHECK(found != file.metadata.end() && found->second == config_.fingerprint, path,
                ": checkpoint of another stage or of other settings (expected fingerprint ",
                config_.fingerprint, ", found ",
                found == file.metadata.end() ? "none" : found->second,
                "); delete the stage's folder to start it afresh");
  if (metrics_file_ < 0)
    metrics_bytes_ = MetadataReader(file, path, "a checkpoint").integer(metrics_key, 0, INT64_MAX);
  file.metadata.erase(metrics_key);
  file.metadata.erase(fingerprint_key);
  if (file.metadata.contains(events_key) && !events_)
    events_bytes_ = MetadataReader(file, path, "a checkpoint").integer(events_key, 0, INT64_MAX);
  file.metadata.erase(events_key);
  return file;
}

TensorFile with_fingerprint(TensorFile checkpoint, const std::string& fingerprint) {
  checkpoint.metadata[fingerprint_key] = fingerprint;
  return checkpoint;
}

void StageMonitor::finish() {
  if (events_ || (config_.tensorboard && std::filesystem::exists(events_path()))) events()->sync();
  if (metrics_file_ < 0 && !std::filesystem::exists(config_.directory + "/metrics.jsonl")) return;
  open_metrics();
  LIMBECK_CHECK(fsync(metrics_file_) == 0, config_.directory,
                "/metrics.jsonl: ", std::strerror(errno));
}

}  // namespace limbeck
