#include "kd/response_fakes.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kd/fake_parts.h"
#include "nn/images.h"
#include "tensor/rows.h"
#include "tensor/transfer.h"

namespace limbeck::kd {
namespace {

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) /
         static_cast<double>(std::max<size_t>(1, values.size()));
}

void append(std::vector<double>& all, const Tensor& more) {
  for (const double v : more.span<double>()) all.push_back(v);
}

/// Images of one response with what the judge says of them.
FakePart part_of(const FakeTask& task, const FakeSettings& s, const data::ResponseScale& scale,
                 size_t i) {
  const Stream stream = stream_of_condition(task, i);
  FakeSampler sample(task, s, task.conditions[i], stream);
  const Tensor images = sample(s.per_class, "plain");
  const int64_t n = images.size(0);
  const Tensor labels = scale.from_unit(gan::repeat(task.conditions[i], n));
  for (float& y : labels.span<float>())
    y = static_cast<float>(scale.counted(static_cast<double>(y)));
  FakePart part{.images = n, .acceptance = sample.accepted() / sample.proposed()};
  part.file.add("images", images.clone());
  part.file.add("labels", labels);
  part.file.add("statistics", Tensor::of<double>({sample.proposed(), sample.accepted()}));
  if (!s.filter) return part;
  const Judgement j = task.judge(images, labels, stream.fork("judge"));
  for (const double e : j.loss)
    LIMBECK_CHECK(std::isfinite(e), "fakes: the judge's response to a fake of ", labels.at(0), " ",
                  scale.unit, " is not a number");
  part.file.add("errors", Tensor::of(j.loss));
  part.file.add("responses", Tensor::of(j.responses));
  return part;
}

/// All parts, joined.
struct Candidates {
  Tensor images, labels;
  std::vector<double> errors, responses;
  double proposed = 0, accepted = 0;
};

Candidates read_parts(const FakeTask& task, bool judged) {
  Candidates all;
  std::vector<Tensor> images, labels;
  for (size_t i = 0; i < task.conditions.size(); ++i) {
    const TensorFile part = read_safetensors(part_path(task, i));
    images.push_back(part.get("images"));
    labels.push_back(part.get("labels"));
    const auto counts = part.get("statistics").span<double>();
    all.proposed += counts[0], all.accepted += counts[1];
    nn::Values values{
        {"response", labels.back().at(0)}, {"proposed", counts[0]}, {"accepted", counts[1]}};
    if (judged) {
      append(all.errors, part.get("errors"));
      append(all.responses, part.get("responses"));
      values.emplace_back("error", mean(part.get("errors").to_vector<double>()));
    }
    task.monitor.metrics(static_cast<int64_t>(i + 1), values);
  }
  all.images = join_rows(images);
  all.labels = join_rows(labels);
  return all;
}

}  // namespace

Judge regressor_judge(nn::Network& network, data::Standardisation standardisation,
                      data::ResponseScale scale, int64_t batch) {
  const Device device = network.device();
  const nn::ImageStandardiser standardise(standardisation.mean, standardisation.deviation, device);
  return [&network, device, standardise, scale, batch](const Tensor& images, const Tensor& y,
                                                       const Stream&) {
    const NoGrad no_grad;
    network.eval();
    Judgement j;
    LateReader reader;
    for (int64_t begin = 0; begin < images.size(0); begin += batch) {
      const int64_t end = std::min(begin + batch, images.size(0));
      const Variable x(standardise(images.rows(begin, end).to(device)));
      reader.read({network(x).data()}, [&j](const Tensors& on_host) {
        for (int64_t i = 0; i < on_host[0].numel(); ++i) j.responses.push_back(on_host[0].at(i));
      });
    }
    reader.finish();
    for (size_t i = 0; i < j.responses.size(); ++i) {
      double& p = j.responses[i];
      p = scale.counted(scale.from_unit(std::clamp(p, 0.0, 1.0)));
      j.loss.push_back(std::abs(p - y.at(static_cast<int64_t>(i))));
    }
    return j;
  };
}

int64_t kept_of(int64_t n, double rho, const std::string& form) {
  if (rho >= 1) return n;
  const double place = rho * static_cast<double>(n - 1);  // of the quantile, as quantile() has it
  const auto below =
      static_cast<int64_t>(form == "paper" ? std::floor(place) + 1 : std::ceil(place));
  return std::clamp<int64_t>(below, 1, n);
}

std::vector<int64_t> keep_lowest(const std::vector<double>& errors, double rho,
                                 const std::string& form) {
  std::vector<int64_t> index(errors.size());
  std::iota(index.begin(), index.end(), 0);
  std::stable_sort(index.begin(), index.end(), [&](int64_t a, int64_t b) {
    return errors[static_cast<size_t>(a)] < errors[static_cast<size_t>(b)];
  });
  index.resize(static_cast<size_t>(kept_of(static_cast<int64_t>(errors.size()), rho, form)));
  std::sort(index.begin(), index.end());
  return index;
}

ResponseFakeStatistics make_response_fakes(const FakeTask& task, const FakeSettings& settings,
                                           const data::ResponseScale& scale) {
  check(task, settings);
  make_parts(task, [&](size_t i) { return part_of(task, settings, scale, i); });
  Candidates all = read_parts(task, settings.filter);
  ResponseFakeStatistics statistics{.proposed = all.proposed,
                                    .accepted = all.accepted,
                                    .candidates = static_cast<double>(all.images.size(0))};
  if (settings.filter) {
    const std::vector<int64_t> kept = keep_lowest(all.errors, settings.rho, settings.form);
    std::vector<double> errors;
    std::vector<float> replaced;
    for (const int64_t i : kept) {
      errors.push_back(all.errors[static_cast<size_t>(i)]);
      replaced.push_back(static_cast<float>(all.responses[static_cast<size_t>(i)]));
    }
    all.images = take_rows(all.images, kept);
    all.labels = settings.adjust ? Tensor::of(replaced) : take_rows(all.labels, kept);
    statistics.error_before = mean(all.errors);
    statistics.error_after = mean(errors);
    statistics.cutoff = *std::max_element(errors.begin(), errors.end());
  }
  statistics.kept = static_cast<double>(all.images.size(0));
  TensorFile file;
  file.metadata = task.metadata;
  file.add("fake_images", to_channels_first(all.images));
  file.add("fake_labels", all.labels);
  write_safetensors(task.file, file);
  remove_parts(task);
  return statistics;
}

data::Dataset load_response_fakes(const std::string& path, const data::ResponseScale& scale) {
  const TensorFile file = read_safetensors(path);
  const Tensor& images = file.get("fake_images");
  const Tensor& labels = file.get("fake_labels");
  LIMBECK_CHECK(images.dtype() == DType::u8 && images.rank() == 4, path,
                ": fake_images: expected u8 [N, C, H, W], found ", describe(images));
  LIMBECK_CHECK((is_floating(labels.dtype()) || labels.dtype() == DType::i64) &&
                    labels.rank() == 1 && labels.size(0) == images.size(0),
                path, ": fake_labels: expected f32 [", images.size(0), "], found ",
                describe(labels));
  data::Dataset d;
  d.images = to_channels_last(images);
  d.targets = labels.to(DType::f32);
  d.scale = scale;
  for (const float y : d.targets.span<float>())
    LIMBECK_CHECK(std::isfinite(y), path, ": fake_labels: expected finite numbers, found ", y);
  return d;
}

}  // namespace limbeck::kd
