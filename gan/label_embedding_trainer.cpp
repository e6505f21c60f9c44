#include "gan/label_embedding_trainer.h"

#include <algorithm>
#include <set>

#include "tensor/ranges.h"

namespace limbeck::gan {

void check(const LabelEmbeddingSettings& s) {
  check(s, "label_embedding");
  expect_not_negative("label_embedding.noise", s.noise);
}

nn::Values train_label_embedding(const LabelEmbeddingTask& task, const LabelEmbeddingSettings& s) {
  check(s);
  const std::set<float> set(task.responses.begin(), task.responses.end());
  const std::vector<float> distinct(set.begin(), set.end());
  const int64_t count = static_cast<int64_t>(distinct.size());
  LIMBECK_CHECK(count > 0, "label_embedding: there are no responses");
  const int64_t steps = (count + s.batch - 1) / s.batch;
  task.embedding.set_requires_grad(false);
  task.embedding.eval();

  EpochLoop loop({.name = "label_embedding",
                  .net = task.net,
                  .others = {&task.embedding},
                  .steps_per_epoch = steps,
                  .values = {"loss"},
                  .stream = task.stream,
                  .monitor = task.monitor},
                 s, [&task](const Tensors& in) {
                   const Variable y(in.at(0));
                   return std::vector<Variable>{mse_loss(task.embedding.response(task.net(y)), y)};
                 });
  return loop.run([&](int64_t step) {
    const auto epoch = static_cast<uint64_t>(step / steps);
    const std::vector<int64_t> order = task.stream.fork("shuffle", epoch).permutation(count);
    const int64_t begin = step % steps * s.batch, end = std::min(begin + s.batch, count);
    Stream noise = task.stream.fork("response", static_cast<uint64_t>(step));
    const Tensor y = Tensor::empty({end - begin, 1});
    for (int64_t i = begin; i < end; ++i)
      y.data<float>()[i - begin] = static_cast<float>(std::clamp(
          static_cast<double>(distinct[static_cast<size_t>(order[static_cast<size_t>(i)])]) +
              s.noise * noise.normal(),
          0.0, 1.0));
    return Tensors{y};
  });
}

}  // namespace limbeck::gan
