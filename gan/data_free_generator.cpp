// Sources of the stacks:
//   G32: Linear(dim_z -> C0 (R/4)^2), BN, x2, conv3x3 C0 -> C1, BN, LeakyReLU .2, x2, conv3x3 C1 ->
//   last, BN, LeakyReLU .2, conv3x3 last -> channels, tail (DAFL, Chen et al. 2019, and all that
//   took it over: huawei-noah/Efficient-Computing, VainF/Data-Free-Adversarial-Distillation,
//   polo5/ZeroShotKnowledgeTransfer, zju-vipa/CMI and Fast-Datafree, xushoukai/GDFQ)
//   DCGAN: Linear(dim_z -> 4 ch (R/16)^2), BN, four transposed convolutions 4x4 with stride 2, each
//   with BN and LeakyReLU .2, conv3x3, tail (the same repositories, for 64 pixels and more)
//   map: no linear layer; the noise is a map of R/16 places a side, five convolutions 3x3 with BN
//   and LeakyReLU .2, x2 before each but the first, conv3x3, sigmoid (Fast-DFKD for ImageNet:
//   zju-vipa/Fast-Datafree's DeepGenerator)
// DAFL wrote nn.BatchNorm2d(128, 0.8): 0.8 is epsilon there, and GDFQ inherited it.
// cgdd and its forms are this project's reconstruction: the paper's generator is not published.
#include "gan/data_free_generator.h"

#include <algorithm>

#include "autograd/autocast.h"
#include "nn/init.h"

namespace limbeck::gan {
namespace {

constexpr double slope = 0.2;

enum class Conditioned { no, concat, product, norms };
enum class Tail { sigmoid, tanh, tanh_norm, affine_norm };

/// What the published generators differ in.
struct StackForm {
  Conditioned conditioned = Conditioned::no;
  Tail tail = Tail::sigmoid;
  int64_t first = 1;       ///< C0 / ch
  bool bias = false;       ///< of the inner convolutions
  double eps = 1e-5;       ///< of the inner batch norms
  bool responses = false;  ///< in the place of classes
};

/// What a table [K, d] has for the condition: the row of its class, or the mixture of rows by their
/// shares; [N, d].
Variable rows_of(const Variable& table, const Condition& condition) {
  return condition.embedding ? from_activation(matmul(condition.embedding, table))
                             : embedding(table, condition.classes);
}

/// Batch norm without gain and bias.
class PlainNorm : public nn::Module {
 public:
  explicit PlainNorm(int64_t channels)
      : mean_(add_buffer("running_mean", Tensor::zeros({channels}))),
        var_(add_buffer("running_var", Tensor::full({channels}, 1))) {}
  Variable forward(const Variable& x) override {
    if (!training()) return batch_norm_eval(x, {}, {}, buffer(mean_), buffer(var_));
    return batch_norm(x, {}, {}, 1e-5, false, {}, {buffer(mean_), buffer(var_)}).y;
  }

 protected:
  void reset(Stream) override {
    buffer(mean_).fill(0);
    buffer(var_).fill(1);
  }

 private:
  size_t mean_, var_;
};

/// An inner batch norm; with classes > 0 it has a gain (first 1) and a bias (0) for each of them.
class InnerNorm : public nn::Module {
 public:
  InnerNorm(int64_t channels, double eps, int64_t classes)
      : eps_(eps),
        weight_(add_parameter("weight", shape(channels, classes))),
        bias_(add_parameter("bias", shape(channels, classes))),
        mean_(add_buffer("running_mean", Tensor::zeros({channels}))),
        var_(add_buffer("running_var", Tensor::full({channels}, 1))),
        of_classes_(classes > 0) {}

  Variable operator()(const Variable& x, const Condition& condition) {
    const RunningStatistics running{buffer(mean_), buffer(var_)};
    if (!of_classes_)
      return training() ? batch_norm(x, weight_, bias_, eps_, false, {}, running).y
                        : batch_norm_eval(x, weight_, bias_, running.mean, running.var, eps_);
    const Variable gain = rows_of(weight_, condition), bias = rows_of(bias_, condition);
    return training() ? cond_batch_norm(x, gain, bias, eps_, false, running).y
                      : cond_batch_norm_eval(x, gain, bias, running.mean, running.var, eps_);
  }

 protected:
  void reset(Stream) override {
    nn::init::constant(weight_, 1);
    nn::init::constant(bias_, 0);
    buffer(mean_).fill(0);
    buffer(var_).fill(1);
  }

 private:
  static Shape shape(int64_t channels, int64_t classes) {
    return classes > 0 ? Shape{classes, channels} : Shape{channels};
  }
  const double eps_;
  Variable weight_, bias_;
  size_t mean_, var_;
  const bool of_classes_;
};

/// What the stacks share: how the class enters, and the tail.
class Stack : public DataFreeGenerator {
 public:
  bool conditional() const override { return form_.conditioned != Conditioned::no; }
  Variable forward(const Variable& z, const Condition& condition) override {
    const Variable y = from_activation(last_map(z, by_shares(condition)));
    return form_.tail == Tail::sigmoid ? affine(sigmoid(y), 2, -1) : to_pixels(finished(y));
  }
  Variable standardised(const Variable& z, const Condition& condition) override {
    return finished(from_activation(last_map(z, by_shares(condition))));
  }

 protected:
  Stack(const NetworkConfig& config, const StackForm& form)
      : DataFreeGenerator(config), form_(form) {
    check_sizes(config.arch.c_str(), config);
    if (form.responses) add_nodes();
    const bool embedded =
        form.conditioned == Conditioned::concat || form.conditioned == Conditioned::product;
    if (!embedded) return;
    LIMBECK_CHECK(form.conditioned == Conditioned::product || config.shared_dim > 0, config.arch,
                  ": expected a positive size of the class embedding, found ", config.shared_dim);
    embedding_ = std::make_unique<nn::Embedding>(
        config.classes,
        form.conditioned == Conditioned::product ? config.dim_z : config.shared_dim);
    add("embedding", *embedding_);
  }

  void add_tail() {
    if (form_.tail == Tail::tanh_norm)
      add("norm", *(plain_ = std::make_unique<PlainNorm>(config_.channels)));
    if (form_.tail == Tail::affine_norm)
      add("norm", *(affine_ = std::make_unique<nn::BatchNorm2d>(config_.channels)));
  }

  /// z with the class, as the linear layer takes it.
  Variable input(const Variable& z, const Condition& condition) {
    check_input(config_.arch.c_str(), z, {z.size(0), config_.dim_z});
    if (conditional())
      LIMBECK_CHECK(condition.classes || form_.responses, config_.arch,
                    ": expected labels of classes, found none");
    check_labels(config_.arch.c_str(), condition, z.size(0));
    if (condition.embedding)
      check_input(config_.arch.c_str(), condition.embedding, {z.size(0), config_.classes});
    if (!embedding_) return z;
    const Variable e = rows_of(embedding_->weight, condition);
    return form_.conditioned == Conditioned::product ? z * e : concat({z, e}, 1);
  }
  int64_t input_size() const {
    return config_.dim_z +
           (form_.conditioned == Conditioned::concat ? config_.shared_dim : int64_t{0});
  }
  int64_t classes_of_norms() const {
    return form_.conditioned == Conditioned::norms ? config_.classes : 0;
  }
  /// Before the tail, [N, R, R, channels].
  virtual Variable last_map(const Variable& z, const Condition& condition) = 0;

  const StackForm form_;

 private:
  void add_nodes() {
    LIMBECK_CHECK(config_.classes > 1, config_.arch, ": expected at least 2 nodes, found ",
                  config_.classes);
    const Tensor numbers = Tensor::empty({config_.classes});
    for (int64_t k = 0; k < config_.classes; ++k) numbers.data<float>()[k] = static_cast<float>(k);
    nodes_ = add_buffer("nodes", numbers);
  }
  /// A response becomes the shares of its nodes, 1 - |distance| in steps between them.
  Condition by_shares(const Condition& condition) const {
    if (!form_.responses) return condition;
    const Variable& y = condition.embedding;
    LIMBECK_CHECK(y && y.rank() == 2 && y.size(1) == 1, config_.arch,
                  ": expected responses [N, 1], found ", y ? cat(y.shape()) : "none");
    const Variable place = affine(y, static_cast<double>(config_.classes - 1), 0);
    return {{}, clamp(affine(abs(place - Variable(buffer(nodes_))), -1, 1), 0, 1)};
  }

  Variable finished(const Variable& y) {
    switch (form_.tail) {
      case Tail::sigmoid: return standardise(sigmoid(y));
      case Tail::tanh: return standardise(affine(tanh(y), 0.5, 0.5));
      case Tail::tanh_norm: return (*plain_)(tanh(y));
      case Tail::affine_norm: return (*affine_)(y);
    }
    return y;
  }

  size_t nodes_ = 0;  // f32 [classes], 0, 1, ...: of responses
  std::unique_ptr<nn::Embedding> embedding_;
  std::unique_ptr<PlainNorm> plain_;
  std::unique_ptr<nn::BatchNorm2d> affine_;
};

/// Channels of the last maps.
int64_t half(const NetworkConfig& c) { return std::max<int64_t>(1, c.ch / 2); }

class G32 : public Stack {
 public:
  G32(const NetworkConfig& c, const StackForm& form)
      : Stack(c, form),
        first_(c.ch * form.first),
        side_(c.resolution / 4),
        linear_(input_size(), first_ * side_ * side_),
        norm0_(first_, 1e-5, classes_of_norms()),
        conv1_(first_, c.ch, inner(form)),
        norm1_(c.ch, form.eps, classes_of_norms()),
        conv2_(c.ch, half(c), inner(form)),
        norm2_(half(c), form.eps, classes_of_norms()),
        conv3_(half(c), c.channels, {.kernel = 3, .padding = 1, .bias = true}) {
    LIMBECK_CHECK(c.resolution >= 8 && c.resolution % 4 == 0, c.arch,
                  ": makes images of 8 pixels and more a side, a multiple of 4, found ",
                  c.resolution);
    add("l1", linear_), add("bn0", norm0_), add("conv1", conv1_), add("bn1", norm1_);
    add("conv2", conv2_), add("bn2", norm2_), add("conv3", conv3_);
    add_tail();
  }

 protected:
  Variable last_map(const Variable& z, const Condition& condition) override {
    Variable x = unflatten_chw(linear_(input(z, condition)), first_, side_, side_);
    x = conv1_(upsample_nearest(norm0_(x, condition)));
    x = conv2_(upsample_nearest(leaky_relu(norm1_(x, condition), slope)));
    return conv3_(leaky_relu(norm2_(x, condition), slope));
  }

 private:
  static nn::Conv2dConfig inner(const StackForm& form) {
    return {.kernel = 3, .padding = 1, .bias = form.bias};
  }

  const int64_t first_, side_;
  nn::Linear linear_;
  InnerNorm norm0_;
  nn::Conv2d conv1_;
  InnerNorm norm1_;
  nn::Conv2d conv2_;
  InnerNorm norm2_;
  nn::Conv2d conv3_;
};

class Dcgan : public Stack {
 public:
  Dcgan(const NetworkConfig& c, const StackForm& form)
      : Stack(c, form),
        first_(4 * c.ch),
        side_(c.resolution / 16),
        linear_(input_size(), first_ * side_ * side_),
        norm_(first_, 1e-5, 0),
        conv_(half(c), c.channels, {.kernel = 3, .padding = 1, .bias = true}) {
    LIMBECK_CHECK(c.resolution >= 32 && c.resolution % 16 == 0, c.arch,
                  ": makes images of 32 pixels and more a side, a multiple of 16, found ",
                  c.resolution);
    add("l1", linear_), add("bn0", norm_);
    const std::vector<int64_t> widths{first_, 2 * c.ch, c.ch, half(c), half(c)};
    for (size_t i = 0; i + 1 < widths.size(); ++i) {
      const std::string n = std::to_string(i + 1);
      const nn::Conv2dConfig doubling{.kernel = 4, .stride = 2, .padding = 1};
      ups_.push_back(&own(
          "up" + n, std::make_unique<nn::ConvTranspose2d>(widths[i], widths[i + 1], doubling)));
      norms_.push_back(&own("bn" + n, std::make_unique<InnerNorm>(widths[i + 1], 1e-5, 0)));
    }
    add("conv", conv_);
    add_tail();
  }
  /// N(0, .02) for weights and N(1, .02) for those of batch norms, as DFAD.
  void initialise(const Stream& stream) override {
    Module::initialise(stream);
    for (const nn::Parameter& p : parameters()) {
      const bool norm = p.value.rank() == 1 && p.name.ends_with("weight");
      if (norm || (p.value.rank() > 1 && p.name != "embedding.weight"))
        nn::init::normal(p.value, norm ? 1 : 0, 0.02, stream.fork("normal/" + p.name));
      else if (p.name != "embedding.weight")
        nn::init::constant(p.value, 0);
    }
  }

 protected:
  Variable last_map(const Variable& z, const Condition& condition) override {
    Variable x = unflatten_chw(linear_(input(z, condition)), first_, side_, side_);
    x = norm_(x, condition);
    for (size_t i = 0; i < ups_.size(); ++i)
      x = leaky_relu((*norms_[i])((*ups_[i])(x), condition), slope);
    return conv_(x);
  }

 private:
  const int64_t first_, side_;
  nn::Linear linear_;
  InnerNorm norm_;
  std::vector<nn::ConvTranspose2d*> ups_;
  std::vector<InnerNorm*> norms_;
  nn::Conv2d conv_;
};

class NoiseMap : public Stack {
 public:
  NoiseMap(const NetworkConfig& c, const StackForm& form)
      : Stack(c, form),
        side_(c.resolution / 16),
        conv_(half(c), c.channels, {.kernel = 3, .padding = 1, .bias = true}) {
    LIMBECK_CHECK(c.resolution >= 32 && c.resolution % 16 == 0, c.arch,
                  ": makes images of 32 pixels and more a side, a multiple of 16, found ",
                  c.resolution);
    const int64_t places = side_ * side_;
    LIMBECK_CHECK(c.dim_z > 0 && c.dim_z % places == 0, c.arch, ": its noise is a map of ", side_,
                  "x", side_, " places; expected dim_z a multiple of ", places, ", found ",
                  c.dim_z);
    const std::vector<int64_t> widths{c.dim_z / places, c.ch, c.ch, half(c), half(c), half(c)};
    for (size_t i = 0; i + 1 < widths.size(); ++i) {
      const nn::Conv2dConfig same_size{.kernel = 3, .padding = 1};
      convs_.push_back(&own(i == 0 ? "l1" : "conv" + std::to_string(i),
                            std::make_unique<nn::Conv2d>(widths[i], widths[i + 1], same_size)));
      norms_.push_back(
          &own("bn" + std::to_string(i), std::make_unique<InnerNorm>(widths[i + 1], 1e-5, 0)));
    }
    add("conv", conv_);
    add_tail();
  }

 protected:
  Variable last_map(const Variable& z, const Condition& condition) override {
    Variable x = unflatten_chw(input(z, condition), z.size(1) / (side_ * side_), side_, side_);
    for (size_t i = 0; i < convs_.size(); ++i) {
      if (i > 0) x = upsample_nearest(x);
      x = leaky_relu((*norms_[i])((*convs_[i])(x), condition), slope);
    }
    return conv_(x);
  }

 private:
  const int64_t side_;
  nn::Conv2d conv_;
  std::vector<nn::Conv2d*> convs_;
  std::vector<InnerNorm*> norms_;
};

constexpr const char* response_suffix = "_response";

template <class Network>
GanEntry generator_entry(const std::string& name, const StackForm& form) {
  return {.name = name,
          .condition = form.responses ? ConditionKind::response : ConditionKind::classes,
          .generator = [form](const NetworkConfig& c) -> std::unique_ptr<Generator> {
            return std::make_unique<Network>(c, form);
          }};
}

/// A family that reads the class, and its form for responses.
template <class Network>
struct RegisterConditional {
  RegisterConditional(const std::string& name, StackForm form)
      : of_classes(generator_entry<Network>(name, form)),
        of_responses(generator_entry<Network>(name + response_suffix, with_responses(form))) {}
  static StackForm with_responses(StackForm form) {
    form.responses = true;
    return form;
  }
  RegisterGan of_classes, of_responses;
};

constexpr double dafl_eps = 0.8;
const RegisterGan dafl(
    generator_entry<G32>("dafl", {.tail = Tail::tanh_norm, .bias = true, .eps = dafl_eps}));
const RegisterGan dfad(generator_entry<G32>("dfad", {.tail = Tail::tanh_norm, .bias = true}));
const RegisterGan zskt(generator_entry<G32>("zskt", {.tail = Tail::affine_norm, .bias = true}));
const RegisterGan cmi(generator_entry<G32>("cmi", {}));
const RegisterGan dfq(generator_entry<G32>("dfq", {.first = 2}));
const RegisterConditional<G32> gdfq("gdfq", {.conditioned = Conditioned::product,
                                             .tail = Tail::tanh_norm,
                                             .bias = true,
                                             .eps = dafl_eps});
const RegisterConditional<G32> cgdd("cgdd", {.conditioned = Conditioned::concat});
const RegisterConditional<G32> cgdd_product("cgdd_product", {.conditioned = Conditioned::product});
const RegisterConditional<G32> cgdd_cbn("cgdd_cbn", {.conditioned = Conditioned::norms});
const RegisterGan dcgan_dfad(generator_entry<Dcgan>("dcgan_dfad", {.tail = Tail::tanh}));
const RegisterGan dcgan_cmi(generator_entry<Dcgan>("dcgan_cmi", {}));
const RegisterGan fast_map(generator_entry<NoiseMap>("fast_map", {}));
const RegisterConditional<Dcgan> dcgan_cgdd("dcgan_cgdd", {.conditioned = Conditioned::concat});

}  // namespace

DataFreeGenerator::DataFreeGenerator(const NetworkConfig& config)
    : Generator(config),
      mean_(add_buffer("teacher_mean", Tensor::full({config.channels}, 0.5))),
      deviation_(add_buffer("teacher_deviation", Tensor::full({config.channels}, 0.5))) {}

void DataFreeGenerator::set_standardisation(const data::Standardisation& s) {
  const auto channels = static_cast<size_t>(config_.channels);
  LIMBECK_CHECK(s.mean.size() == channels && s.deviation.size() == channels, config_.arch,
                ": expected mean and deviation of ", channels, " channels, found ", s.mean.size(),
                " and ", s.deviation.size());
  buffer(mean_).copy_from(Tensor::of(s.mean).to(DType::f32));
  buffer(deviation_).copy_from(Tensor::of(s.deviation).to(DType::f32));
}

data::Standardisation DataFreeGenerator::standardisation() const {
  const auto numbers = [](const Tensor& t) { return t.to(DType::f64).to_vector<double>(); };
  return {numbers(buffer(mean_)), numbers(buffer(deviation_))};
}

Variable DataFreeGenerator::standardise(const Variable& pixels) const {
  return (pixels - Variable(buffer(mean_))) / Variable(buffer(deviation_));
}

Variable DataFreeGenerator::to_pixels(const Variable& x) const {
  const Variable pixels = x * Variable(buffer(deviation_)) + Variable(buffer(mean_));
  return clamp(affine(pixels, 2, -1), -1, 1);
}

std::string response_form(const std::string& arch, const std::string& key) {
  const std::vector<std::string> of_responses = data_free_generator_names(/*of_responses=*/true);
  const std::string name = arch + response_suffix;
  std::vector<std::string> bases;
  for (const std::string& n : of_responses)
    bases.push_back(n.substr(0, n.size() - std::string(response_suffix).size()));
  std::sort(bases.begin(), bases.end());
  LIMBECK_CHECK(std::count(of_responses.begin(), of_responses.end(), name), key, ": ", arch,
                " is asked for nothing, so for no responses; expected one of ", joined(bases));
  return name;
}

std::unique_ptr<DataFreeGenerator> create_data_free_generator(const NetworkConfig& config) {
  std::vector<std::string> names = data_free_generator_names();
  for (const std::string& n : data_free_generator_names(/*of_responses=*/true)) names.push_back(n);
  LIMBECK_CHECK(std::count(names.begin(), names.end(), config.arch),
                "no generator of data-free distillation '", config.arch, "'",
                did_you_mean(config.arch, names, "; known: " + joined(names)));
  std::unique_ptr<Generator> generator = create_generator(config);
  return std::unique_ptr<DataFreeGenerator>(dynamic_cast<DataFreeGenerator*>(generator.release()));
}

}  // namespace limbeck::gan
