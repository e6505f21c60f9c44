#include "kd/fake_parts.h"

#include <cstdio>
#include <filesystem>
#include <iomanip>

#include "tensor/ranges.h"

namespace limbeck::kd {

Tensor FakeSampler::operator()(int64_t n, const std::string& purpose) {
  const Stream stream = stream_.fork(purpose);
  if (!s_.subsample) {
    proposed_ += static_cast<double>(n);
    accepted_ += static_cast<double>(n);
    return gan::plain_sample(task_.source, condition_, n, s_.sampling.batch, stream, true);
  }
  const gan::Accepted a =
      gan::rejection_sample(task_.source, task_.ratio, condition_, n, s_.sampling, stream, true);
  proposed_ += static_cast<double>(a.proposed);
  accepted_ += static_cast<double>(a.accepted);
  return a.samples;
}

void check(const FakeSettings& s) {
  LIMBECK_CHECK(s.form == "official" || s.form == "paper",
                "fakes.form: expected official or paper, found '", s.form, "'");
  expect_count("fakes.per_class", 1, s.per_class);
  LIMBECK_CHECK(s.rho > 0 && s.rho <= 1, "fakes.rho: expected a number in (0, 1], found ", s.rho);
  LIMBECK_CHECK(!s.filter || s.filter_burn_in > 1,
                "fakes.filter_burn_in: expected at least 2, found ", s.filter_burn_in);
  LIMBECK_CHECK(!s.adjust || s.filter,
                "fakes.adjust needs fakes.filter: only the judged images have a predicted label");
  gan::check(s.sampling);
}

FakeSettings in_effect(FakeSettings s, bool responses) {
  const FakeSettings defaults;
  if (!s.subsample) s.sampling = {.batch = s.sampling.batch};
  if (responses)
    s.filter_burn_in = defaults.filter_burn_in, s.augment_filter = defaults.augment_filter;
  return s;
}

void check(const FakeTask& task, const FakeSettings& s) {
  check(s);
  LIMBECK_CHECK(!s.subsample || task.ratio, "fakes: subsampling needs a density ratio");
  LIMBECK_CHECK(!s.filter || task.judge, "fakes: filtering needs a teacher");
  LIMBECK_CHECK(!task.conditions.empty(), "fakes: there is nothing to make fakes of");
}

std::string part_path(const FakeTask& task, size_t i) {
  return cat(task.directory, "/part_", std::setw(5), std::setfill('0'), i, ".safetensors");
}

Stream stream_of_condition(const FakeTask& task, size_t i) {
  return task.stream.fork("condition", i);
}

void make_parts(const FakeTask& task, const std::function<FakePart(size_t)>& make) {
  const size_t total = task.conditions.size();
  size_t done = 0;
  if (const std::optional<TensorFile> saved = task.monitor.load())
    done = static_cast<size_t>(saved->get("parts").data<int64_t>()[0]);
  // Parts are deleted at the very end: a kill in between leaves a count without its parts, and
  // those are made again.
  size_t present = 0;
  while (present < done && std::filesystem::exists(part_path(task, present))) ++present;
  for (done = present; done < total;) {
    const FakePart part = make(done);
    write_safetensors(part_path(task, done), part.file);
    ++done;
    task.monitor.progress(static_cast<int64_t>(done), static_cast<int64_t>(total), part.images,
                          {{"accepted", part.acceptance}});
    nn::checkpoint(task.monitor, [&] {
      TensorFile state;
      state.add("parts", Tensor::of<int64_t>({static_cast<int64_t>(done)}));
      return state;
    });
  }
}

void remove_parts(const FakeTask& task) {
  for (size_t i = 0; i < task.conditions.size(); ++i) std::remove(part_path(task, i).c_str());
}

}  // namespace limbeck::kd
