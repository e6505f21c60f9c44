#include "kd/few_calls.h"

#include <algorithm>

#include "kd/outputs.h"
#include "tensor/rows.h"

namespace limbeck::kd {
namespace {

std::string file_in(const std::string& directory) { return directory + "/logits.safetensors"; }

void ask(PreparationContext& c, int64_t calls) {
  std::vector<int64_t> rows = c.stream.fork("calls").permutation(c.data.train.size());
  rows.resize(static_cast<size_t>(std::min(calls, c.data.train.size())));
  std::sort(rows.begin(), rows.end());
  const auto all = static_cast<double>(rows.size());
  constexpr size_t tried = 64;
  if (c.monitor.trial()) rows.resize(std::min(tried, rows.size()));
  Tensor logits;
  const auto look = [&] {
    logits = outputs_for([&c](const Variable& x) { return c.teacher(x); },
                         take_rows(c.data.train.images, rows), c.standardisation,
                         c.teacher.device(), c.monitor);
  };
  if (nn::Trial* const trial = c.monitor.trial())
    trial->measure(all / static_cast<double>(rows.size()), look);
  else
    look();
  TensorFile file;
  file.add("rows", Tensor::of(rows));
  file.add("logits", logits);
  write_safetensors(file_in(c.directory), file);
}

class Silent : public nn::Network {
 public:
  explicit Silent(int64_t outputs) : outputs_(outputs) {}
  nn::Features forward_features(const Variable& x, bool) override {
    const Variable nothing(Tensor::zeros({x.size(0), outputs_}, DType::f32, x.data().device()));
    return {{}, nothing, nothing};
  }

 private:
  const int64_t outputs_;
};

}  // namespace

Preparation few_calls(const std::string& title, int64_t calls) {
  return {"logits", title, [calls](PreparationContext& c) { ask(c, calls); }};
}

std::unique_ptr<nn::Network> silent_teacher(const std::string& directory) {
  return std::make_unique<Silent>(read_safetensors(file_in(directory)).get("logits").size(1));
}

KnownLogits::KnownLogits(int64_t images, int64_t outputs)
    : logits_(add_buffer("logits", Tensor::zeros({images, outputs}))),
      known_(add_buffer("known", Tensor::zeros({images, 1}))) {}

void KnownLogits::read(const std::string& directory) {
  const TensorFile file = read_safetensors(file_in(directory));
  const Tensor rows = file.get("rows"), logits = file.get("logits");
  const Tensor& known = buffer(known_);
  for (const int64_t row : rows.span<int64_t>())
    LIMBECK_CHECK(row >= 0 && row < known.size(0), file_in(directory), ": row ", row,
                  " is not among the ", known.size(0), " training images");
  scatter_rows(buffer(logits_), rows, logits);
  scatter_rows(known, rows, Tensor::full({rows.numel(), 1}, 1));
}

KnownLogits::Rows KnownLogits::of(const Tensor& rows) const {
  return {embedding(Variable(buffer(logits_)), rows), embedding(Variable(buffer(known_)), rows)};
}

}  // namespace limbeck::kd
