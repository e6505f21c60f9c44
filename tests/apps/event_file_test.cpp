// TensorBoard's event files, read record by record; tests/e2e/tensorboard.sh reads them with
// TensorBoard itself.
#include "apps/event_file.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

#include "apps/monitor.h"
#include "tensor/random.h"
#include "tensor/safetensors.h"
#include "tests/data/temporary.h"
#include "tests/tensor/protobuf_reader.h"

namespace limbeck {
namespace {

struct Event {
  int64_t step = 0;
  std::string version, tag;
  double value = 0;
  std::string picture;
  bool operator==(const Event&) const = default;
};

uint32_t unmasked(uint32_t crc) {
  const uint32_t turned = crc - 0xa282ead8u;
  return (turned >> 17) | (turned << 15);
}

template <class T>
T take(std::string_view& text) {
  T value{};
  LIMBECK_CHECK(text.size() >= sizeof value, "the file is cut");
  std::memcpy(&value, text.data(), sizeof value);
  text.remove_prefix(sizeof value);
  return value;
}

/// An event for each value of each record; throws where a checksum is wrong.
std::vector<Event> read_events(const std::string& path) {
  const std::string file = read_file(path);
  std::vector<Event> events;
  for (std::string_view text = file; !text.empty();) {
    const std::string_view length = text.substr(0, 8);
    const auto size = take<uint64_t>(text);
    LIMBECK_CHECK(unmasked(take<uint32_t>(text)) == crc32c(length), "checksum of a length");
    const std::string_view event = text.substr(0, size);
    text.remove_prefix(size);
    LIMBECK_CHECK(unmasked(take<uint32_t>(text)) == crc32c(event), "checksum of an event");
    EXPECT_GT(fields_of(event, 1).at(0).real, 1.7e9) << "seconds since 1970";
    Event e;
    for (const ProtobufField& f : fields_of(event, 2)) e.step = f.integer;
    for (const ProtobufField& f : fields_of(event, 3)) e.version = f.bytes;
    if (!e.version.empty()) events.push_back(e);
    for (const ProtobufField& summary : fields_of(event, 5))
      for (const ProtobufField& value : fields_of(summary.bytes, 1)) {
        e.tag = field_of(value.bytes, 1);
        for (const ProtobufField& f : fields_of(value.bytes, 2)) e.value = f.real;
        for (const ProtobufField& f : fields_of(value.bytes, 4)) e.picture = field_of(f.bytes, 4);
        events.push_back(e);
      }
  }
  return events;
}

/// "loss 1 0.5, loss 2 0.25": what a person would see.
std::string shown(const std::vector<Event>& events) {
  std::string text;
  for (const Event& e : events)
    if (e.version.empty())
      text += cat(text.empty() ? "" : ", ", e.tag, " ", e.step,
                  e.picture.empty() ? cat(" ", e.value) : "");
  return text;
}

TEST(EventFile, ChecksumOfItsDefinition) {
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);  // RFC 3720's CRC-32C
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(crc32c(""), 0u);
}

TEST(EventFile, ScalarsAndPictures) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("events");
  {
    EventFile file(path, 0);
    file.scalars(3, {{"loss", 0.5}, {"accuracy", 0.25}});
    file.image("samples", 300, Tensor::full({4, 6, 3}, 7, DType::u8));
    EXPECT_EQ(file.bytes(), static_cast<int64_t>(std::filesystem::file_size(path)));
  }
  const auto events = read_events(path);
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(events[0].version, "brain.Event:2");
  EXPECT_EQ(shown(events), "loss 3 0.5, accuracy 3 0.25, samples 300");
  EXPECT_EQ(events[3].picture.substr(1, 3), "PNG");
}

/// A stage's monitor in a folder; `tensorboard` is what the session was asked for.
struct Session {
  Console console{stdout, Console::Mode::quiet};
  StageMonitor monitor;
  Session(const std::string& folder, bool tensorboard)
      : monitor({.directory = folder, .fingerprint = "f", .tensorboard = tensorboard}, console) {
    monitor.load();
  }
};

TEST(EventFile, ASessionThatGoesOnHasEveryStepOnce) {
  const test::TemporaryFolder folder;
  const std::string root = folder.path(), path = root + "/events.out.tfevents.0.limbeck";
  {
    Session first(root, true);
    first.monitor.metrics(1, {{"loss", 0.5}});
    Tensor noise = Tensor::empty({640, 640, 3}, DType::u8);  // the file is larger than 1 MiB
    Stream random(1);
    for (uint8_t& byte : noise.span<uint8_t>()) byte = static_cast<uint8_t>(random.below(256));
    first.monitor.image("samples-000001", noise);
    first.monitor.save({});
    first.monitor.metrics(2, {{"loss", 9}});  // lost: a kill comes before the next checkpoint
    first.monitor.image("samples-000002", Tensor::zeros({2, 2, 3}, DType::u8));
  }
  EXPECT_EQ(shown(read_events(path)), "loss 1 0.5, samples 1, loss 2 9, samples 2");
  {
    Session second(root, true);
    second.monitor.metrics(2, {{"loss", 0.25}});
    second.monitor.finish();
  }
  EXPECT_EQ(shown(read_events(path)), "loss 1 0.5, samples 1, loss 2 0.25");
}

TEST(EventFile, WhatWasLostAfterTheLastMetricIsCutAtTheEnd) {
  const test::TemporaryFolder folder;
  const std::string root = folder.path(), path = root + "/events.out.tfevents.0.limbeck";
  {
    Session first(root, true);
    first.monitor.metrics(1, {{"loss", 0.5}});
    first.monitor.save({});
    first.monitor.metrics(2, {{"loss", 9}});
  }
  Session second(root, true);
  second.monitor.finish();
  EXPECT_EQ(shown(read_events(path)), "loss 1 0.5");
}

TEST(EventFile, OneThatIsAskedForLaterHasTheEarlierSteps) {
  const test::TemporaryFolder folder;
  const std::string root = folder.path(), path = root + "/events.out.tfevents.0.limbeck";
  {
    Session first(root, false);
    first.monitor.metrics(1, {{"loss", 0.5}, {"accuracy", 0.125}});
    first.monitor.save({});
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  {
    Session second(root, true);
    second.monitor.metrics(2, {{"loss", 0.25}});
  }
  EXPECT_EQ(shown(read_events(path)), "loss 1 0.5, accuracy 1 0.125, loss 2 0.25");
}

}  // namespace
}  // namespace limbeck
