#include "kd/stored_logits.h"

#include <algorithm>
#include <limits>

#include "data/arrays.h"
#include "nn/images.h"
#include "tensor/metadata.h"
#include "tensor/transfer.h"

namespace limbeck::kd {
namespace {

constexpr const char* what = "a file of `limbeck logits`";

/// The state of a making: the logits so far and the batches that are done.
TensorFile state_of(const Tensor& logits, int64_t done) {
  TensorFile file;
  file.add("logits", logits);
  file.add("done", Tensor::of<int64_t>({done}));
  return file;
}

int64_t restore(nn::Monitor& monitor, Tensor& logits) {
  const std::optional<TensorFile> saved = monitor.load();
  if (!saved) return 0;
  logits.copy_from(saved->get("logits"));
  return saved->get("done").data<int64_t>()[0];
}

/// The first image that differs, or nothing.
std::optional<int64_t> first_difference(const Tensor& a, const Tensor& b) {
  const int64_t size = a.numel() / a.size(0);
  const auto *x = a.data<uint8_t>(), *y = b.data<uint8_t>();
  for (int64_t i = 0; i < a.size(0); ++i)
    if (!std::equal(x + i * size, x + (i + 1) * size, y + i * size)) return i;
  return std::nullopt;
}

std::string words(const data::Augmentation& a) {
  return cat("crop_padding ", a.crop_padding, " and flip ", a.flip ? "true" : "false");
}

}  // namespace

Tensor logits_of_views(nn::Network& teacher, const data::Dataset& train,
                       const data::Standardisation& standardisation,
                       const data::Augmentation& augmentation, const data::ReplayedViews& views,
                       int64_t batch, nn::Monitor& monitor) {
  const NoGrad no_grad;
  teacher.eval();
  const Device device = teacher.device();
  const nn::ImageStandardiser standardise(standardisation.mean, standardisation.deviation, device);
  const int64_t n = train.size(), per_view = (n + batch - 1) / batch;
  const Tensor probe = standardise(train.images.rows(0, 1).to(device));
  const int64_t outputs = teacher(Variable(probe)).size(1);
  Tensor logits = Tensor::zeros({views.count, n, outputs});
  LateReader reader;
  for (int64_t done = restore(monitor, logits); done < views.count * per_view;) {
    const int64_t view = done / per_view, begin = done % per_view * batch,
                  end = std::min(begin + batch, n);
    std::vector<int64_t> rows;
    for (int64_t i = begin; i < end; ++i) rows.push_back(i);
    const data::ByteBatch bytes = data::make_byte_batch(train.images, rows, augmentation,
                                                        views.stream(view), data::DrawnBy::row);
    const Tensor images = standardise(bytes.images.to(device), bytes.draws.to(device));
    const Tensor place = logits.rows(view, view + 1).reshape({n, outputs}).rows(begin, end);
    reader.read({teacher(Variable(images)).data().to(DType::f32)},
                [place](const Tensors& on_host) mutable { place.copy_from(on_host[0]); });
    ++done;
    monitor.progress(done, views.count * per_view, end - begin, {});
    if (nn::tried_enough(monitor, views.count * per_view, [&] { reader.finish(); })) break;
    nn::checkpoint(monitor, [&] {
      reader.finish();
      return state_of(logits, done);
    });
  }
  reader.finish();
  return logits;
}

void save_logits(const std::string& path, const StoredLogits& l, const data::Split& split) {
  TensorFile file = data::tensors_of(split);
  file.add("logits", l.views.outputs);
  const auto add = [&](const char* key, const std::string& text) { file.metadata[key] = text; };
  add("network", l.network), add("outputs", cat(l.options.outputs));
  add("channels", cat(l.options.channels)), add("size", cat(l.options.size));
  add("data", l.data), add("mean", metadata_text(l.standardisation.mean));
  add("deviation", metadata_text(l.standardisation.deviation));
  add("crop_padding", cat(l.augmentation.crop_padding));
  add("flip", l.augmentation.flip ? "true" : "false");
  add("seed", cat(l.views.seed)), add("views", cat(l.views.count));
  write_safetensors(path, file);
}

StoredLogits load_logits(const std::string& path) {
  const TensorFile file = read_safetensors(path);
  const MetadataReader metadata(file, path, what);
  StoredLogits l;
  l.network = metadata.text("network"), l.data = metadata.text("data");
  l.options = {metadata.integer("outputs"), metadata.integer("channels"), metadata.integer("size")};
  const auto channels = static_cast<size_t>(l.options.channels);
  l.standardisation = {metadata.numbers("mean", channels), metadata.numbers("deviation", channels)};
  l.augmentation = {metadata.integer("crop_padding", 0), metadata.flag("flip")};
  l.views.seed = metadata.integer("seed", 0, std::numeric_limits<int64_t>::max());
  l.views.count = metadata.integer("views");
  l.views.outputs = file.get("logits");
  l.images = to_channels_last(file.get("images_train"));
  l.labels = file.get("labels_train");
  const Shape expected{l.views.count, l.images.size(0), l.options.outputs};
  LIMBECK_CHECK(l.views.outputs.dtype() == DType::f32 && l.views.outputs.shape() == expected, path,
                ": logits: expected f32 ", expected, ", found ", describe(l.views.outputs));
  return l;
}

void check_fits(const StoredLogits& l, const std::string& path, const data::Dataset& train,
                const data::Standardisation& standardisation,
                const data::Augmentation& augmentation) {
  LIMBECK_CHECK(l.images.shape() == train.images.shape() && train.labels.defined(), path,
                ": logits of images ", l.images.shape(), ", the student trains on ",
                train.images.shape(), train.labels.defined() ? "" : " with responses");
  const std::optional<int64_t> other = first_difference(l.images, train.images);
  LIMBECK_CHECK(!other, path, ": image ", other.value_or(0),
                " is not the training image of that number");
  LIMBECK_CHECK(l.standardisation.mean == standardisation.mean &&
                    l.standardisation.deviation == standardisation.deviation,
                path, ": images were standardised by mean ", metadata_text(l.standardisation.mean),
                " and deviation ", metadata_text(l.standardisation.deviation),
                ", the student's by ", metadata_text(standardisation.mean), " and ",
                metadata_text(standardisation.deviation));
  LIMBECK_CHECK(l.augmentation.crop_padding == augmentation.crop_padding &&
                    l.augmentation.flip == augmentation.flip,
                path, ": views were drawn with ", words(l.augmentation), ", student has ",
                words(augmentation));
}

bool serves_with_stored_logits(const MethodEntry& entry, const NamedSettings& settings) {
  return entry.family == Family::logits &&
         create_method(entry.name, settings)->preparations().empty();
}

std::string methods_on_stored_logits(const NamedSettings& settings) {
  std::vector<std::string> names;
  for (const MethodEntry& e : all_methods())
    if (serves_with_stored_logits(e, settings)) names.push_back(e.name);
  return joined(names);
}

}  // namespace limbeck::kd
