// StageMonitor: what a running stage sees of the world. It keeps metrics.jsonl, images/ and
// checkpoint.safetensors of the stage's folder consistent, so that a kill at any moment and a
// restart end with the same bits as an undisturbed run.
#pragma once
#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "apps/console.h"
#include "apps/event_file.h"
#include "nn/monitor.h"

namespace limbeck {

inline constexpr const char* tensorboard_help =
    "also write each stage's metrics and images as an event file: tensorboard --logdir OUT/stages; "
    "no influence on the result";

class StageMonitor : public nn::Monitor {
 public:
  struct Config {
    std::string directory;           ///< of the stage
    std::string fingerprint;         ///< of the stage; a checkpoint with another one is refused
    double checkpoint_seconds = 60;  ///< 0: whenever the loop asks
    bool save_last = false;          ///< also behind the last step
    bool tensorboard = false;        ///< metrics and images also as an event file
    std::function<bool()> stop_requested = [] { return false; };
    std::function<void()> after_save = [] {};
  };
  StageMonitor(Config config, Console& console);
  ~StageMonitor() override;
  StageMonitor(const StageMonitor&) = delete;
  StageMonitor& operator=(const StageMonitor&) = delete;

  void progress(int64_t done, int64_t total, int64_t rate_items, const nn::Values& values) override;
  /// Appends {"step": n, "key": value, ...}. Throws naming the file when it cannot be written (full
  /// disk).
  void metrics(int64_t step, const nn::Values& values) override;
  void image(const std::string& name, const Tensor& u8_hwc) override;
  void note(const std::string& text) override { console_.note(text); }
  bool checkpoint_due() override;
  bool stop_requested() override { return config_.stop_requested(); }
  /// Syncs metrics.jsonl, then writes the checkpoint with its length in the metadata.
  void save(const TensorFile& state) override;
  std::optional<TensorFile> load() override;

  /// Cuts what an interrupted session left beyond its last checkpoint, and syncs. Called once, when
  /// the stage has ended well.
  void finish();

 private:
  void open_metrics();
  /// Null unless it is asked for. An event file that does not fit the checkpoint, or is new in a
  /// stage that goes on, is written again from metrics.jsonl.
  EventFile* events();
  /// TensorBoard looks for names with "tfevents" in them.
  std::string events_path() const { return config_.directory + "/events.out.tfevents.0.limbeck"; }

  Config config_;
  Console& console_;
  std::chrono::steady_clock::time_point last_save_;
  bool at_end_ = false;  // of the loop
  int metrics_file_ = -1;
  int64_t metrics_bytes_ =
      0;  // what counts of metrics.jsonl; the rest is cut when the file is opened
  std::optional<EventFile> events_;
  int64_t events_bytes_ = 0;  // likewise
};

/// A stage's checkpoint as one of settings with this fingerprint.
TensorFile with_fingerprint(TensorFile checkpoint, const std::string& fingerprint);

/// A number as JSON: the shortest text that reads back to the same value; null when it is not
/// finite.
std::string json_number(double value);
std::string json_string(const std::string& text);

}  // namespace limbeck
