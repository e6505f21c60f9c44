// What the makers of fake sets share (kd/fake_data.cpp, kd/response_fakes.cpp): sampling of one
// condition, and parts on disk that let the making be interrupted.
#pragma once
#include <functional>
#include <string>

#include "kd/fake_data.h"

namespace limbeck::kd {

/// Fakes of one condition as the generator, or M1, gives them.
class FakeSampler {
 public:
  FakeSampler(const FakeTask& task, const FakeSettings& settings, Tensor condition, Stream stream)
      : task_(task), s_(settings), condition_(std::move(condition)), stream_(stream) {}
  /// u8 [n, H, W, C]; other images for another purpose.
  Tensor operator()(int64_t n, const std::string& purpose);
  double proposed() const { return proposed_; }
  double accepted() const { return accepted_; }

 private:
  const FakeTask& task_;
  const FakeSettings& s_;
  const Tensor condition_;
  const Stream stream_;
  double proposed_ = 0, accepted_ = 0;
};

/// Also for settings that this task cannot follow.
/// Throws naming what is missing.
void check(const FakeTask& task, const FakeSettings& settings);

/// The file of part i, in the folder of the set.
std::string part_path(const FakeTask& task, size_t i);
/// The random numbers of condition i.
Stream stream_of_condition(const FakeTask& task, size_t i);
/// Writes the part of every condition that is not there yet. `make` tells the images and accepted
/// and proposed samples of a part for the progress.
struct FakePart {
  TensorFile file;
  int64_t images = 0;
  double acceptance = 0;
};
/// Of one set of fakes, in its folder.
void make_parts(const FakeTask& task, const std::function<FakePart(size_t)>& make);
void remove_parts(const FakeTask& task);

}  // namespace limbeck::kd
