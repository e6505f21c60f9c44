#include "gan/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "data/dataset.h"
#include "nn/mode.h"
#include "ops/random.h"
#include "tensor/allocation_limit.h"
#include "tensor/metadata.h"
#include "tensor/rows.h"
#include "tensor/transfer.h"
#include "tensor/weights.h"

namespace limbeck::gan {
namespace {

constexpr const char* generator_format = "limbeck-biggan-generator";
constexpr const char* discriminator_format = "limbeck-discriminator";

NetworkConfig config_of(const MetadataReader& m) {
  NetworkConfig c = {.ch = m.integer("ch"),
                     .dim_z = m.integer("dim_z"),
                     .classes = m.integer("classes"),
                     .resolution = m.integer("resolution"),
                     .channels = m.integer("channels"),
                     .sn_eps = m.number("sn_eps"),
                     .bn_eps = m.number("bn_eps")};
  // Checkpoints of the first version lack the rest.
  if (m.has("arch")) c.arch = m.text("arch");
  if (m.has("attention"))
    c.attention = parse_resolutions(m.text("attention"), m.place("attention"));
  if (m.has("shared_dim")) c.shared_dim = m.integer("shared_dim", 0);
  if (m.has("hierarchical")) c.hierarchical = m.flag("hierarchical");
  if (m.has("depth")) c.depth = m.integer("depth");
  if (m.has("label_dim")) c.label_dim = m.integer("label_dim");
  return c;
}

NetworkConfig checked_config(const TensorFile& file, const std::string& what,
                             const std::string& expected) {
  const MetadataReader metadata(file, what,
                                "a checkpoint of a GAN (`limbeck convert FILE OUT --model biggan` "
                                "makes one of weights alone)");
  const std::string& format = metadata.text("format");
  LIMBECK_CHECK(format == expected, what, ": expected a checkpoint of format '", expected,
                "', found '", format, "'");
  return config_of(metadata);
}

TensorFile described(const nn::Module& network, const NetworkConfig& c, const char* format) {
  TensorFile file = network.state_dict();
  file.metadata = {{"format", format},
                   {"arch", c.arch},
                   {"ch", std::to_string(c.ch)},
                   {"dim_z", std::to_string(c.dim_z)},
                   {"classes", std::to_string(c.classes)},
                   {"resolution", std::to_string(c.resolution)},
                   {"channels", std::to_string(c.channels)},
                   {"sn_eps", metadata_text(c.sn_eps)},
                   {"bn_eps", metadata_text(c.bn_eps)},
                   {"attention", to_text(c.attention)},
                   {"shared_dim", std::to_string(c.shared_dim)},
                   {"hierarchical", c.hierarchical ? "true" : "false"},
                   {"depth", std::to_string(c.depth)},
                   {"label_dim", std::to_string(c.label_dim)}};
  return file;
}

constexpr const char* embedding_part = "label_embedding/";

/// The file without the embedding net.
TensorFile generator_part(const TensorFile& file) {
  TensorFile part;
  part.metadata = file.metadata;
  for (const auto& [name, tensor] : file.tensors)
    if (!name.starts_with(embedding_part)) part.add(name, tensor);
  return part;
}

Tensor noise_for_sheet(int64_t rows, int64_t columns, int64_t dim_z, const Stream& stream,
                       double truncation) {
  const Tensor one_row = draw_noise(columns, dim_z, stream, truncation);
  const Tensor all = Tensor::empty({rows * columns, dim_z});
  for (int64_t r = 0; r < rows; ++r) all.rows(r * columns, (r + 1) * columns).copy_from(one_row);
  return all;
}

/// Each row `times` times.
Tensor repeated(const Tensor& rows, int64_t times) {
  if (!rows.defined()) return {};
  std::vector<int64_t> sizes = rows.shape().vec();
  sizes[0] *= times;
  const Tensor all = Tensor::empty(Shape(sizes), rows.dtype(), rows.device());
  for (int64_t i = 0; i < sizes[0]; ++i)
    all.rows(i, i + 1).copy_from(rows.rows(i / times, i / times + 1));
  return all;
}

void check_classes(const Condition& condition, const NetworkConfig& config) {
  if (!condition.classes) return;
  for (const int64_t y : condition.classes.to_vector<int64_t>())
    LIMBECK_CHECK(y >= 0 && y < config.classes, "sample: class ", y, " is outside 0..",
                  config.classes - 1);
}

/// z and condition on the generator's device; calls use(begin, end, images there) for one batch
/// after the other.
template <class F>
void generate(Generator& generator, const Tensor& z, const Condition& condition, int64_t batch,
              F&& use) {
  LIMBECK_CHECK(batch >= 1, "sample: batch must be at least 1, found ", batch);
  const NoGrad no_grad;
  const nn::ModeOf eval(generator, false);
  const int64_t n = condition.size();
  for (int64_t begin = 0; begin < n; begin += batch) {
    const int64_t end = std::min(n, begin + batch);
    use(begin, end, generator.forward(z.rows(begin, end), condition.rows(begin, end)).data());
  }
}

Tensor room_for(int64_t n, const NetworkConfig& c, Device device) {
  return Tensor::empty({n, c.resolution, c.resolution, c.channels}, DType::f32, device);
}

/// To the CPU; a batch is computed while the one before it is copied out.
Tensor generate_to_host(Generator& generator, const Tensor& z, const Condition& condition,
                        int64_t batch) {
  check_classes(condition, generator.config());
  const Device device = generator.device();
  const Tensor out = room_for(condition.size(), generator.config(), cpu);
  LateReader reader;
  generate(generator, z.to(device), condition.to(device), batch,
           [&](int64_t begin, int64_t end, const Tensor& images) {
             reader.read({images}, [=](const Tensors& on_host) {
               out.rows(begin, end).copy_from(on_host[0]);
             });
           });
  reader.finish();
  return out;
}

Tensor generate_on_device(Generator& generator, const Tensor& z, const Condition& condition,
                          int64_t batch) {
  const int64_t n = condition.size();
  Tensor out;
  generate(generator, z, condition, batch, [&](int64_t begin, int64_t end, const Tensor& images) {
    if (end - begin == n) {
      out = images;
      return;
    }
    if (!out.defined()) out = room_for(n, generator.config(), images.device());
    out.rows(begin, end).copy_from(images);
  });
  return out;
}

/// draw_noise without truncation, from a place, where the place is.
Tensor noise_at(const Tensor& place, int64_t n, int64_t dim_z) {
  return draw_normal(place, {n, dim_z});
}

}  // namespace

TensorFile generator_checkpoint(const Generator& generator) {
  return described(generator, generator.config(), generator_format);
}

TensorFile discriminator_checkpoint(const Discriminator& discriminator) {
  return described(discriminator, discriminator.config(), discriminator_format);
}

CheckpointKind checkpoint_kind(const TensorFile& file) {
  const auto format = file.metadata.find("format");
  if (format == file.metadata.end()) return CheckpointKind::none;
  if (format->second == generator_format) return CheckpointKind::generator;
  return format->second == discriminator_format ? CheckpointKind::discriminator
                                                : CheckpointKind::none;
}

std::unique_ptr<Generator> load_generator(const TensorFile& file, const std::string& what) {
  const auto limit = AllocationLimit::by_tensors(file, what);
  auto generator = create_generator(checked_config(file, what, generator_format));
  generator->load_state_dict(generator_part(file), what);
  generator->set_requires_grad(false);
  generator->eval();
  return generator;
}

std::unique_ptr<Discriminator> load_discriminator(const TensorFile& file, const std::string& what) {
  const auto limit = AllocationLimit::by_tensors(file, what);
  auto discriminator = create_discriminator(checked_config(file, what, discriminator_format));
  discriminator->load_state_dict(file, what);
  return discriminator;
}

std::unique_ptr<Generator> load_generator(const std::string& path) {
  return load_generator(read_safetensors(path), path);
}

Tensor draw_noise(int64_t n, int64_t dim_z, const Stream& stream, double truncation) {
  LIMBECK_CHECK(truncation >= 0, "truncation must not be negative, found ", truncation);
  const Tensor z = Tensor::empty({n, dim_z});
  stream.fork("z").fill_normal(z);
  if (truncation == 0) return z;
  LIMBECK_CHECK(truncation >= 1e-3, "truncation: expected 0 (off) or at least 0.001, found ",
                truncation);
  float* values = z.data<float>();
  for (int64_t i = 0; i < z.numel(); ++i) {
    if (std::abs(static_cast<double>(values[i])) <= truncation) continue;
    Stream again = stream.fork("z/again", static_cast<uint64_t>(i));
    double v = again.normal();
    while (std::abs(v) > truncation) v = again.normal();
    values[i] = static_cast<float>(v);
  }
  return z;
}

Tensor sample(Generator& generator, const Condition& condition, const Stream& stream,
              const SampleOptions& options) {
  const int64_t n = condition.size(), dim_z = generator.config().dim_z;
  const Tensor z =
      options.truncation == 0
          ? noise_at(place_at(places_of({stream.fork("z")}), 0).to(generator.device()), n, dim_z)
          : draw_noise(n, dim_z, stream, options.truncation);
  return generate_to_host(generator, z, condition, options.batch);
}

ImageSource source_of(const std::shared_ptr<Generator>& generator, int64_t batch) {
  return source_of(TrainedGenerator{generator}, batch);
}

ImageSource source_of(const TrainedGenerator& generator, int64_t batch) {
  return DrawnSource{.device = generator.net->device(),
                     .places = [](const Stream& stream) { return places_of({stream.fork("z")}); },
                     .images =
                         [generator, batch](const Tensor& y, const Tensor& places) {
                           Generator& net = *generator.net;
                           const Tensor z =
                               noise_at(place_at(places, 0), y.numel(), net.config().dim_z);
                           return generate_on_device(net, z, generator.condition(y), batch);
                         }};
}

// --- a generator and its embedding ---------------------------------------------------------------

void TrainedGenerator::to(Device device) const {
  net->to(device);
  if (embedding) embedding->to(device);
}

Condition TrainedGenerator::condition(const Tensor& y) const {
  if (!of_responses()) return {y, {}};
  const EmbeddedResponses enter = embedding ? embedded_by(embedding) : responses_as_they_are();
  return {{}, Variable(enter.embed(y.to(net->device())))};
}

EmbeddedResponses embedded_by(const std::shared_ptr<nn::LabelToEmbedding>& net) {
  net->set_requires_grad(false);
  net->eval();
  return {[net](const Tensor& y) {
            const NoGrad no_grad;
            return (*net)(Variable(y)).data();
          },
          net->dim()};
}

TensorFile trained_generator_checkpoint(const Generator& generator,
                                        const std::shared_ptr<nn::LabelToEmbedding>& embedding,
                                        const data::ResponseScale& scale) {
  TensorFile file = generator_checkpoint(generator);
  const ConditionKind kind = condition_kind(generator.config().arch);
  if (kind == ConditionKind::classes) return file;
  if (kind == ConditionKind::embedding) file.add_part(embedding_part, embedding->state_dict());
  file.metadata["response_low"] = metadata_text(scale.low);
  file.metadata["response_high"] = metadata_text(scale.high);
  file.metadata["response_unit"] = scale.unit;
  return file;
}

TrainedGenerator load_trained_generator(const std::string& path, bool allow_nonfinite) {
  const TensorFile file = read_safetensors(path);
  if (!allow_nonfinite) check_finite(file, path);
  TrainedGenerator trained{load_generator(file, path)};
  const NetworkConfig& c = trained.net->config();
  const ConditionKind kind = condition_kind(c.arch);
  if (kind == ConditionKind::classes) return trained;
  const MetadataReader metadata(file, path, "a generator of responses with their scale");
  trained.scale = {metadata.number("response_low"), metadata.number("response_high"),
                   metadata.text("response_unit")};
  LIMBECK_CHECK(trained.scale.low < trained.scale.high, path, ": metadata response_low ",
                trained.scale.low, " and response_high ", trained.scale.high,
                ": expected the first below the second");
  if (kind == ConditionKind::response) return trained;
  trained.embedding = std::make_shared<nn::LabelToEmbedding>(c.label_dim);
  trained.embedding->load_state_dict(file.part(embedding_part), path);
  embedded_by(trained.embedding);
  return trained;
}

Tensor sheet(Generator& generator, const Condition& rows, int64_t columns, const Stream& stream,
             const SampleOptions& options) {
  const Condition each{
      repeated(rows.classes, columns),
      rows.embedding ? Variable(repeated(rows.embedding.data(), columns)) : Variable()};
  const Tensor z =
      noise_for_sheet(rows.size(), columns, generator.config().dim_z, stream, options.truncation);
  return data::grid(data::to_bytes(generate_to_host(generator, z, each, options.batch)), columns);
}

Tensor sweep_images(Generator& generator, const Condition& columns, int64_t rows,
                    const Stream& stream, const SampleOptions& options) {
  const int64_t width = columns.size(), dim_z = generator.config().dim_z;
  std::vector<int64_t> column_of, row_of;
  for (int64_t i = 0; i < rows * width; ++i)
    column_of.push_back(i % width), row_of.push_back(i / width);
  const Tensor z = take_rows(draw_noise(rows, dim_z, stream, options.truncation), row_of);
  Condition each;
  if (columns.classes) each.classes = take_rows(columns.classes.to(cpu), column_of);
  if (columns.embedding)
    each.embedding = Variable(take_rows(columns.embedding.data().to(cpu), column_of));
  return data::to_bytes(generate_to_host(generator, z, each, options.batch));
}

Tensor sweep(Generator& generator, const Condition& columns, int64_t rows, const Stream& stream,
             const SampleOptions& options) {
  return data::grid(sweep_images(generator, columns, rows, stream, options), columns.size());
}

Tensor class_sheet(Generator& generator, int64_t columns, const Stream& stream,
                   const SampleOptions& options) {
  std::vector<int64_t> classes(static_cast<size_t>(generator.config().classes));
  std::iota(classes.begin(), classes.end(), 0);
  return sheet(generator, {Tensor::of(classes), {}}, columns, stream, options);
}

}  // namespace limbeck::gan
