#include "kd/fake_data.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kd/fake_parts.h"
#include "nn/images.h"
#include "tensor/rows.h"
#include "tensor/transfer.h"
#include "train/criterion.h"

namespace limbeck::kd {
namespace {

double agreement(const std::vector<int64_t>& predicted, const Tensor& condition,
                 const std::vector<int64_t>* of = nullptr) {
  if (predicted.empty()) return 0;
  const int64_t assigned = condition.data<int64_t>()[0];
  double equal = 0;
  if (of)
    for (int64_t i : *of) equal += predicted[static_cast<size_t>(i)] == assigned;
  else
    for (int64_t p : predicted) equal += p == assigned;
  return equal;
}

struct Part {
  Tensor images;  // u8 [k, H, W, C]
  Tensor labels;  // i64 [k] (f32 for responses)
  FakeStatistics statistics;
};

/// The fakes of one condition.
class Maker {
 public:
  Maker(const FakeTask& task, const FakeSettings& s, const Tensor& condition, Stream stream)
      : task_(task),
        s_(s),
        condition_(condition),
        stream_(stream),
        sample_(task, s, condition, stream) {}

  Part operator()() {
    if (!s_.filter)
      keep(sample_(s_.per_class, "plain"), {});
    else if (s_.form == "paper")
      paper();
    else
      official();
    Part part{join_rows(images_), join_rows(labels_), statistics_};
    part.images = part.images.rows(0, std::min(part.images.size(0), wanted()));
    part.labels = part.labels.rows(0, part.images.size(0));
    part.statistics.kept = static_cast<double>(part.images.size(0));
    part.statistics.proposed = sample_.proposed();
    part.statistics.accepted = sample_.accepted();
    return part;
  }

 private:
  int64_t wanted() const { return s_.per_class; }

  Judgement judge(const Tensor& images, const std::string& purpose) {
    Judgement j = task_.judge(images, gan::repeat(condition_, images.size(0)),
                              stream_.fork("judge/" + purpose));
    LIMBECK_CHECK(static_cast<int64_t>(j.loss.size()) == images.size(0), "fakes: ", j.loss.size(),
                  " losses for ", images.size(0), " images");
    for (double l : j.loss)
      LIMBECK_CHECK(!std::isnan(l), "fakes: the teacher's loss of a fake is not a number");
    statistics_.candidates += static_cast<double>(images.size(0));
    statistics_.candidates_consistent += agreement(j.predicted, condition_);
    return j;
  }

  void keep(const Tensor& images, const std::vector<int64_t>& adjusted) {
    images_.push_back(images);
    labels_.push_back(s_.adjust && !adjusted.empty() ? Tensor::of(adjusted)
                                                     : gan::repeat(condition_, images.size(0)));
    kept_ += images.size(0);
  }

  void keep(const Tensor& images, const Judgement& j, std::vector<int64_t> index) {
    index.resize(static_cast<size_t>(
        std::min<int64_t>(static_cast<int64_t>(index.size()), wanted() - kept_)));
    statistics_.kept_consistent += agreement(j.predicted, condition_, &index);
    std::vector<int64_t> predicted;
    if (!j.predicted.empty())
      for (int64_t i : index) predicted.push_back(j.predicted[static_cast<size_t>(i)]);
    keep(take_rows(images, index), predicted);
  }

  void official() {
    const Judgement burn_in = judge(sample_(s_.filter_burn_in, "cut-off"), "cut-off");
    statistics_.cutoff = quantile(burn_in.loss, s_.rho);
    const int64_t half = std::max<int64_t>(1, s_.per_class / 2),
                  most = 20 + static_cast<int64_t>(20 / s_.rho);
    for (int64_t round = 0; kept_ < wanted(); ++round) {
      LIMBECK_CHECK(round < most, "fakes: only ", kept_, " of ", wanted(), " images of ",
                    gan_name(), " have a loss of at most ", statistics_.cutoff, " after ", round,
                    " rounds; raise fakes.rho or fakes.filter_burn_in");
      const std::string purpose = cat("round/", round);
      const Tensor images = sample_(half, purpose);
      const Judgement j = judge(images, purpose);
      const std::vector<int64_t> index = keep_up_to(j.loss, statistics_.cutoff);
      if (!index.empty()) keep(images, j, index);
    }
  }

  void paper() {
    const Tensor images = sample_(s_.per_class, "all");
    const Judgement j = judge(images, "all");
    const std::vector<int64_t> index = keep_best(j.loss, s_.rho);
    LIMBECK_CHECK(!index.empty(), "fakes: rho = ", s_.rho, " keeps none of ", s_.per_class,
                  " images");
    for (int64_t i : index)
      statistics_.cutoff = std::max(statistics_.cutoff, j.loss[static_cast<size_t>(i)]);
    keep(images, j, index);
  }

  std::string gan_name() const { return cat("condition ", condition_.item()); }

  const FakeTask& task_;
  const FakeSettings& s_;
  Tensor condition_;
  Stream stream_;
  FakeSampler sample_;
  FakeStatistics statistics_;
  std::vector<Tensor> images_, labels_;
  int64_t kept_ = 0;
};

Tensor statistics_tensor(const FakeStatistics& s) {
  return Tensor::of<double>({s.cutoff, s.proposed, s.accepted, s.candidates,
                             s.candidates_consistent, s.kept, s.kept_consistent});
}

TensorFile file_of(const Part& part) {
  TensorFile file;
  file.add("images", part.images.clone());
  file.add("labels", part.labels.clone());
  file.add("statistics", statistics_tensor(part.statistics));
  return file;
}

Part read_part(const std::string& path) {
  const TensorFile file = read_safetensors(path);
  const double* v = file.get("statistics").data<double>();
  return {file.get("images"), file.get("labels"), {v[0], v[1], v[2], v[3], v[4], v[5], v[6]}};
}

}  // namespace

double quantile(std::vector<double> values, double q) {
  LIMBECK_CHECK(!values.empty() && q >= 0 && q <= 1,
                "quantile: expected values and q in [0, 1], found ", values.size(),
                " values and q = ", q);
  std::sort(values.begin(), values.end());
  const double place = q * static_cast<double>(values.size() - 1);
  const size_t below = static_cast<size_t>(place);
  if (below + 1 >= values.size()) return values.back();
  return values[below] + (place - static_cast<double>(below)) * (values[below + 1] - values[below]);
}

std::vector<int64_t> keep_up_to(const std::vector<double>& loss, double cutoff) {
  std::vector<int64_t> index;
  for (size_t i = 0; i < loss.size(); ++i)
    if (loss[i] <= cutoff) index.push_back(static_cast<int64_t>(i));
  return index;
}

std::vector<int64_t> keep_best(const std::vector<double>& loss, double rho) {
  std::vector<int64_t> index(loss.size());
  std::iota(index.begin(), index.end(), 0);
  std::stable_sort(index.begin(), index.end(), [&](int64_t a, int64_t b) {
    return loss[static_cast<size_t>(a)] < loss[static_cast<size_t>(b)];
  });
  index.resize(static_cast<size_t>(std::llround(rho * static_cast<double>(loss.size()))));
  std::sort(index.begin(), index.end());
  return index;
}

Judge classifier_judge(nn::Network& teacher, data::Standardisation standardisation,
                       data::Augmentation augmentation, int64_t batch) {
  const Device device = teacher.device();
  const nn::ImageStandardiser standardise(standardisation.mean, standardisation.deviation, device);
  return [&teacher, device, standardise, augmentation, batch](const Tensor& images, const Tensor& y,
                                                              const Stream& stream) {
    const NoGrad no_grad;
    teacher.eval();
    Judgement j;
    LateReader reader;
    for (int64_t begin = 0; begin < images.size(0); begin += batch) {
      const int64_t end = std::min(begin + batch, images.size(0));
      std::vector<int64_t> index(static_cast<size_t>(end - begin));
      std::iota(index.begin(), index.end(), begin);
      const data::ByteBatch bytes = data::make_byte_batch(
          images, index, augmentation, stream.fork("batch", static_cast<uint64_t>(begin)));
      const Variable logits =
          teacher(Variable(standardise(bytes.images.to(device), bytes.draws.to(device))));
      const Variable loss = cross_entropy(logits, y.rows(begin, end).to(device), Reduction::none);
      reader.read({loss.data(), logits.data()}, [&j](const Tensors& on_host) {
        for (float l : on_host[0].span<float>()) j.loss.push_back(l);
        for (int64_t p : train::argmax_rows(on_host[1])) j.predicted.push_back(p);
      });
    }
    reader.finish();
    return j;
  };
}

std::vector<FakeStatistics> make_fake_data(const FakeTask& task, const FakeSettings& settings) {
  check(task, settings);
  const size_t total = task.conditions.size();
  make_parts(task, [&](size_t i) {
    const Part part = Maker(task, settings, task.conditions[i], stream_of_condition(task, i))();
    return FakePart{file_of(part), part.images.size(0),
                    part.statistics.accepted / part.statistics.proposed};
  });
  std::vector<Tensor> images, labels;
  std::vector<FakeStatistics> statistics;
  for (size_t i = 0; i < total; ++i) {
    Part part = read_part(part_path(task, i));
    images.push_back(part.images);
    labels.push_back(part.labels);
    statistics.push_back(part.statistics);
    const FakeStatistics& s = part.statistics;
    task.monitor.metrics(static_cast<int64_t>(i + 1),
                         {{"cutoff", s.cutoff},
                          {"proposed", s.proposed},
                          {"accepted", s.accepted},
                          {"candidates", s.candidates},
                          {"candidates_consistent", s.candidates_consistent},
                          {"kept", s.kept},
                          {"kept_consistent", s.kept_consistent}});
  }
  TensorFile file;
  file.metadata = task.metadata;
  file.add("fake_images", to_channels_first(join_rows(images)));
  file.add("fake_labels", join_rows(labels));
  write_safetensors(task.file, file);
  remove_parts(task);
  return statistics;
}

data::Dataset load_fake_data(const std::string& path, int64_t classes) {
  const TensorFile file = read_safetensors(path);
  const Tensor& images = file.get("fake_images");
  const Tensor& labels = file.get("fake_labels");
  LIMBECK_CHECK(images.dtype() == DType::u8 && images.rank() == 4, path,
                ": fake_images: expected u8 [N, C, H, W], found ", describe(images));
  LIMBECK_CHECK(
      labels.dtype() == DType::i64 && labels.rank() == 1 && labels.size(0) == images.size(0), path,
      ": fake_labels: expected i64 [", images.size(0), "], found ", describe(labels));
  for (int64_t c : labels.span<int64_t>())
    LIMBECK_CHECK(c >= 0 && c < classes, path, ": fake_labels: label ", c, " for ", classes,
                  " classes");
  data::Dataset d;
  d.images = to_channels_last(images);
  d.labels = labels;
  d.classes = classes;
  return d;
}

data::Dataset draw_fakes(const data::Dataset& fakes, int64_t n, Stream stream) {
  if (n <= 0 || n >= fakes.size()) return fakes;
  if (fakes.targets.defined()) {
    std::vector<int64_t> any = stream.fork("any").permutation(fakes.size());
    any.resize(static_cast<size_t>(n));
    std::sort(any.begin(), any.end());
    return fakes.select(any);
  }
  std::vector<int64_t> chosen;
  const auto labels = fakes.labels.span<int64_t>();
  for (int64_t c = 0; c < fakes.classes; ++c) {
    std::vector<int64_t> of_class;
    for (size_t i = 0; i < labels.size(); ++i)
      if (labels[i] == c) of_class.push_back(static_cast<int64_t>(i));
    const int64_t share = n / fakes.classes;
    const int64_t wanted = c + 1 < fakes.classes ? share : n - share * (fakes.classes - 1);
    const std::vector<int64_t> order = stream.fork("class", static_cast<uint64_t>(c))
                                           .permutation(static_cast<int64_t>(of_class.size()));
    for (int64_t k = 0; k < std::min(wanted, static_cast<int64_t>(order.size())); ++k)
      chosen.push_back(of_class[static_cast<size_t>(order[static_cast<size_t>(k)])]);
  }
  return fakes.select(chosen);
}

}  // namespace limbeck::kd
