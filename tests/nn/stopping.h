// Trainings that are stopped and resumed: a monitor that stops, and states to the bit.
#pragma once
#include <gtest/gtest.h>

#include <cstring>

#include "nn/monitor.h"

namespace limbeck::test {

/// Stops a loop at its n-th occasion to save and keeps what it saved; 0: never. With a state the
/// loop goes on from there.
class Stopping : public nn::Monitor {
 public:
  explicit Stopping(int64_t n = 0, std::optional<TensorFile> state = std::nullopt)
      : saved(std::move(state)), left_(n) {}
  bool checkpoint_due() override { return --left_ == 0; }
  bool stop_requested() override { return true; }
  void save(const TensorFile& state) override { saved = state; }
  std::optional<TensorFile> load() override { return saved; }
  std::optional<TensorFile> saved;

 private:
  int64_t left_;
};

inline bool same_bits(const Tensor& a, const Tensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() &&
         (a.bytes() == 0 || std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.bytes())) == 0);
}

inline void expect_equal_bits(const TensorFile& a, const TensorFile& b) {
  ASSERT_EQ(a.tensors.size(), b.tensors.size());
  for (const auto& [name, t] : a.tensors) EXPECT_TRUE(same_bits(t, b.get(name))) << name;
  EXPECT_EQ(a.metadata, b.metadata);
}

}  // namespace limbeck::test
