// The face that every generator and discriminator shows to trainers and samplers, and the registry
// that builds them by name.
#pragma once
#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "nn/module.h"

namespace limbeck::gan {

/// What an image is generated from or judged under: a class, or the embedding of a continuous
/// response.
struct Condition {
  Tensor classes;  ///< i64 [N]; undefined when the condition is not a class
  /// [N, d]: the embedded label, or a response as it is, d = 1; for generators of data-free
  /// distillation beside `classes` the share of each of them; else undefined
  Variable embedding;

  int64_t size() const { return classes ? classes.size(0) : embedding ? embedding.size(0) : 0; }
  /// [begin, end) of the N; no gradient flows to the embedding.
  Condition rows(int64_t begin, int64_t end) const;
  Condition to(Device device) const;
};

/// Responses [N], normalised to [0, 1], to embeddings [N, e]: the frozen label-to-embedding net in
/// eval mode. No gradient flows through it.
using ResponseEmbedding = std::function<Tensor(const Tensor& y)>;

/// What a family of networks is conditioned on: a class, the embedding of a response (CcGAN's
/// improved label input), or the response as it is (its naive one).
enum class ConditionKind { classes, embedding, response };

/// Sizes of a generator or a discriminator. A family reads the fields that it knows and refuses
/// values that it cannot follow.
struct NetworkConfig {
  std::string arch = "biggan";  ///< gan_names() lists them
  int64_t ch = 64;              ///< width; the feature maps have multiples of it
  int64_t dim_z = 128;
  int64_t classes = 10;  ///< of the class-conditional families
  int64_t resolution = 32;
  int64_t channels = 3;  ///< of the images
  double sn_eps = 1e-8;
  double bn_eps = 1e-5;
  std::vector<int64_t> attention;  ///< resolutions behind whose blocks a self-attention follows
  int64_t shared_dim =
      0;  ///< > 0: one class embedding of this size for all layers; 0: a table per layer
  bool hierarchical = false;   ///< z enters every block, beside the shared embedding
  int64_t depth = 2;           ///< BigGAN-deep: blocks per resolution
  int64_t label_dim = 128;     ///< CcGAN: size of the embedded label
  bool response_head = false;  ///< CcGAN: the discriminator predicts the response too

  /// Whether a self-attention follows the block that ends at this resolution.
  bool attends(int64_t at) const {
    return std::find(attention.begin(), attention.end(), at) != attention.end();
  }
};

/// Height and width of the smallest feature map in every family.
constexpr int64_t bottom_size = 4;

/// "32_64" -> {32, 64}, "" and "0" -> {}: BigGAN-PyTorch's way to write resolutions. Throws naming
/// `what`.
std::vector<int64_t> parse_resolutions(const std::string& text, const std::string& what);
std::string to_text(const std::vector<int64_t>& resolutions);

/// z [N, dim_z] and a condition to images [N, R, R, channels] in [-1, 1].
class Generator : public nn::Module {
 public:
  using nn::Module::forward;
  virtual Variable forward(const Variable& z, const Condition& condition) = 0;
  Variable forward(const Variable& z, const Tensor& labels) {
    return forward(z, Condition{labels, {}});
  }
  const NetworkConfig& config() const { return config_; }

 protected:
  explicit Generator(const NetworkConfig& config) : config_(config) {}
  const NetworkConfig config_;
};

/// What a discriminator says of images.
struct Judged {
  Variable score;     ///< [N, 1]
  Variable response;  ///< [N, 1], normalised to [0, 1]; undefined without a response_head
};

/// Images [N, R, R, channels] and a condition to scores [N, 1].
class Discriminator : public nn::Module {
 public:
  using nn::Module::forward;
  virtual Variable forward(const Variable& x, const Condition& condition) = 0;
  virtual Judged judge(const Variable& x, const Condition& condition) {
    return {forward(x, condition), {}};
  }
  Variable forward(const Variable& x, const Tensor& labels) {
    return forward(x, Condition{labels, {}});
  }
  const NetworkConfig& config() const { return config_; }

 protected:
  explicit Discriminator(const NetworkConfig& config) : config_(config) {}
  const NetworkConfig config_;
};

struct GanEntry {
  std::string name;
  ConditionKind condition;
  std::function<std::unique_ptr<Generator>(const NetworkConfig&)> generator;
  /// Null: a generator that no discriminator trains (gan/data_free_generator.h).
  std::function<std::unique_ptr<Discriminator>(const NetworkConfig&)> discriminator = {};
};
/// A family's file registers its name with a static object; there is no list to edit.
struct RegisterGan {
  explicit RegisterGan(GanEntry entry);
};
/// Of those with generator and discriminator, sorted.
std::vector<std::string> gan_names();
/// Of generators alone: those of classes, or those of responses.
std::vector<std::string> data_free_generator_names(bool of_responses = false);
/// Throws naming the known names.
ConditionKind condition_kind(const std::string& arch);
/// Throws naming those that fit unless `arch` is conditioned on classes, or on responses in either
/// way.
void check_condition_kind(const std::string& arch, bool classes);
/// Builds the network of config.arch with zero parameters (call initialise or load_state_dict).
/// Throws naming the known names.
std::unique_ptr<Generator> create_generator(const NetworkConfig& config);
std::unique_ptr<Discriminator> create_discriminator(const NetworkConfig& config);

/// Throws unless the sizes are positive and x has the expected shape; `what` names the network.
void check_sizes(const char* what, const NetworkConfig& config);
void check_input(const char* what, const Variable& x, const Shape& expected);
/// Labels, where the condition has them, must be [batch].
void check_labels(const char* what, const Condition& condition, int64_t batch);

}  // namespace limbeck::gan
