// safetensors, npy, the files of `limbeck op`, checkpoints of networks, generators and running
// stages.
#include "apps/monitor.h"
#include "apps/op_file.h"
#include "apps/op_json.h"
#include "gan/sampler.h"
#include "kd/stored_logits.h"
#include "nn/parity.h"
#include "tensor/checksum.h"
#include "tensor/safetensors.h"
#include "tests/fuzz/target.h"

namespace limbeck::fuzz {
namespace {

TensorFile some_tensors() {
  TensorFile file;
  file.add("a", Tensor::of<float>({1, -2, 3, 0.5f}, {2, 2}));
  file.add("b", Tensor::of<int64_t>({7}));
  file.add("empty", Tensor::empty({0, 3}));
  file.metadata["note"] = "three tensors";
  return file;
}

/// A safetensors file whose header is this text.
std::string with_header(const std::string& header, const std::string& data = "") {
  std::string bytes(8, '\0');
  for (size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>(header.size() >> (8 * i));
  return bytes + header + data;
}

const RegisterTarget safetensors({
    .name = "safetensors",
    .seeds = {[](const std::string& f) { write_safetensors(f + "/input", some_tensors()); },
              [](const std::string& f) {
                write_safetensors(f + "/input", with_checksum(some_tensors()));
              }},
    .read = [](const std::string& f) { read_safetensors(f + "/input"); },
    .refused =
        {
            "",
            std::string(8, '\xff'),
            with_header(
                R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
                std::string(12, 0)),
            with_header(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
                        std::string(8, 0)),
            with_header(
                R"({"a":{"dtype":"U8","shape":[4611686018427387904,4,0],"data_offsets":[0,0]}})"),
            with_header(
                R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}})"),
            with_header(
                R"({"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}})"),
            with_header(std::string(100000, '[')),
            with_header(std::string("{}\0 ", 4)),
        },
});

std::string npy_of(const std::string& shape, size_t data) {
  std::string header = "{'descr': '|u1', 'fortran_order': False, 'shape': " + shape + ", }";
  header.resize(118, ' ');
  return std::string("\x93NUMPY\x01\x00\x76\x00", 10) + header + std::string(data, 1);
}

const RegisterTarget npy({
    .name = "npy",
    .seeds = {
        [](const std::string& f) {
          write_npy(f + "/input", Tensor::of<float>({1, 2, 3, 4, 5, 6}, {2, 3}));
        },
        [](const std::string& f) { write_file_atomically(f + "/input", npy_of("(2, 3)", 6)); }},
    .read = [](const std::string& f) { read_npy(f + "/input"); },
    .refused = {"", npy_of("(2305843009213693953, 8)", 8),
                npy_of("(2305843009213693952, 8, 0, 7)", 0), npy_of("(-1, -6)", 6),
                npy_of("(6", 6)},
});

/// The operator is named in the metadata, so that the fuzzer can choose it.
void run_named_op(const std::string& path) {
  const TensorFile file = read_safetensors(path);
  const auto op = file.metadata.find("op");
  LIMBECK_CHECK(op != file.metadata.end(), path, ": no operator");
  run_op_file(op->second, file, {.gradients = true, .source = path});
}

std::function<void(const std::string&)> op_seed(
    const std::string& op, const std::string& attrs,
    std::vector<std::pair<std::string, Tensor>> inputs) {
  return [=](const std::string& folder) {
    TensorFile file;
    for (const auto& [name, t] : inputs) file.add(name, t);
    file.metadata["op"] = op;
    file.metadata["attrs"] = attrs;
    write_safetensors(folder + "/input", file);
  };
}

const RegisterTarget op_file({
    .name = "op",
    .seeds = {op_seed("conv2d", R"({"stride": [2, 2], "padding": [1, 1]})",
                      {{"x", Tensor::full({1, 2, 4, 4}, 0.5)},
                       {"w", Tensor::full({3, 2, 3, 3}, 0.25)}}),
              op_seed("softmax", "{}", {{"x", Tensor::full({2, 3}, 1)}}),
              op_seed("permute", R"({"order": [1, 0]})", {{"x", Tensor::full({2, 3}, 1)}})},
    .read = [](const std::string& f) { run_named_op(f + "/input"); },
});

const RegisterTarget op_attributes({
    .name = "op_attributes",
    .seeds = {[](const std::string& f) {
      write_file_atomically(f + "/input", R"({"stride": [2, 2], "padding": [1, 1], "groups": 1})");
    }},
    .read =
        [](const std::string& f) {
          attrs_from_json(find_op("conv2d"), read_file(f + "/input"), "attributes");
        },
    .refused = {"[", std::string(100000, '['), R"({"stride": [1e300, 2]})", R"({"stride": null})"},
});

const RegisterTarget checkpoint({
    .name = "checkpoint",
    .seeds = {[](const std::string& f) {
      const nn::ModelOptions options{.outputs = 2, .channels = 1, .size = 8};
      const auto net = nn::create_model("resnet8", options);
      net->initialise(Stream(1));
      kd::save_network(f + "/input", *net, "resnet8", options, {{0.5}, {0.5}});
    }},
    .read = [](const std::string& f) { kd::load_network(f + "/input"); },
});

const RegisterTarget generator({
    .name = "generator",
    .seeds = {[](const std::string& f) {
      const auto net = gan::create_generator({.ch = 1, .dim_z = 3, .classes = 2});
      net->initialise(Stream(1));
      write_safetensors(f + "/input", gan::generator_checkpoint(*net));
    }},
    .read = [](const std::string& f) { gan::load_trained_generator(f + "/input"); },
});

data::Split two_images() {
  data::Split split;
  split.train.images = Tensor::zeros({2, 4, 4, 3}, DType::u8);
  split.train.labels = Tensor::of<int64_t>({0, 1});
  split.train.classes = 2;
  split.test = split.train;
  return split;
}

const RegisterTarget stored_logits({
    .name = "stored_logits",
    .seeds = {[](const std::string& f) {
      const data::Split split = two_images();
      kd::StoredLogits logits{.network = "resnet8", .options = {.outputs = 2}, .data = "shapes"};
      logits.standardisation = {{0, 0, 0}, {1, 1, 1}};
      logits.views = {.count = 1, .seed = 1, .outputs = Tensor::zeros({1, 2, 2})};
      kd::save_logits(f + "/input", logits, split);
    }},
    .read = [](const std::string& f) { kd::load_logits(f + "/input"); },
});

const RegisterTarget stage_checkpoint({
    .name = "stage_checkpoint",
    .file = "checkpoint.safetensors",
    .seeds = {[](const std::string& f) {
      Console console(stdout, Console::Mode::quiet);
      StageMonitor({.directory = f, .fingerprint = "f"}, console).save(some_tensors());
    }},
    .read =
        [](const std::string& f) {
          Console console(stdout, Console::Mode::quiet);
          StageMonitor({.directory = f, .fingerprint = "f"}, console).load();
        },
});

/// One case of the fixtures of distillation criteria.
constexpr const char* softened_logits =
    R"({"salt": "", "cases": {"KD_T4": {"loss": 2.8603202333000453, "inputs": {"logit_s": [6, 10], "logit_t": [6, 10]}, "grads": {"logit_s": {"n": 60, "sum": -1.942890293094024e-16, "l2": 0.31814889982808126, "first": [-0.016256878538578677, 0.06456425781091996, -0.05315973805530622, 0.028101901047054637]}}, "param_grads": {}, "note": "T=4; sum of KL * T^2 / batch"}}})";

/// A case of a distillation criterion with small inputs, `learns` the one with a gradient; the
/// numbers are wrong, which is no error.
std::string criterion(const std::string& name, const std::string& inputs, const std::string& learns,
                      const std::string& note = "", const std::string& parameter = "none") {
  const auto summary = [](const std::string& of) {
    return '"' + of + R"(": {"n": 3, "sum": 0, "l2": 0, "first": [0]})";
  };
  return R"({"salt": "", "cases": {")" + name + R"(": {"loss": 1, "inputs": {)" + inputs +
         R"(}, "grads": {)" + summary(learns) + R"(}, "param_grads": {)" + summary(parameter) +
         R"(}, "note": ")" + note + R"(", )" + summary("memory_v1_updated_rows") + ", " +
         summary("memory_v2_updated_rows") + R"(, "Z_v1": 1, "Z_v2": 1}}})";
}

const std::string logits = R"("logit_s": [2, 3], "logit_t": [2, 3])";
const std::string maps = R"("feat_s": [2, 2, 2, 2], "feat_t": [2, 2, 2, 2])";
const std::string map_of_student = R"("feat_s": [2, 2, 2, 2])";
const std::string vectors = R"("vec_s": [2, 4], "vec_t": [2, 6])";
const std::string bodies =
    R"("feat_s1": [2, 2, 2, 2], "feat_t1": [2, 2, 2, 2], "feat_s2": [2, 3, 1, 1], "feat_t2": [2, 3, 1, 1])";
std::string contrast(const std::string& n_data, const std::string& nce_k) {
  return "n_data=" + n_data + ", nce_k=" + nce_k + ", nce_t=0.07, nce_m=0.5, feat_dim=8";
}

/// Those that read their cases in different ways; other maps and vectors are read as here.
std::vector<std::string> criteria() {
  return {softened_logits,
          criterion("CC", vectors, "vec_s", "", "embed_s.linear.bias"),
          criterion("CRD", vectors, "vec_s", contrast("20", "5")),
          criterion("PKT", vectors, "vec_s"),
          criterion("FSP", bodies, "feat_s1"),
          criterion("AB_two_layers", bodies, "feat_s1"),
          criterion("FT_paraphraser_reconstruction", maps, "feat_t"),
          criterion("FitNet_mse", maps, "feat_s"),
          criterion("VID", maps, "feat_s")};
}

std::vector<std::function<void(const std::string&)>> each_written(
    const std::string& file, const std::vector<std::string>& texts) {
  std::vector<std::function<void(const std::string&)>> seeds;
  for (const std::string& text : texts)
    seeds.push_back(
        [file, text](const std::string& f) { write_file_atomically(cat(f, "/", file), text); });
  return seeds;
}

const RegisterTarget parity({
    .name = "parity",
    .file = "input.json",
    .seeds = each_written("input.json", criteria()),
    .read = [](const std::string& f) { nn::run_parity(f + "/input.json", DType::f32, cpu); },
    .refused = {"", "{}", "[]", R"({"model": 1})", std::string(100000, '['),
                // Inputs that are missing, of one network only, too few, or none.
                criterion("KD_T4", "", "logit_s"), criterion("NST", "", "feat_s"),
                criterion("VID", "", "feat_s"), criterion("FSP", "", "feat_s"),
                criterion("AB", "", "feat_s"), criterion("AB", map_of_student, "feat_s"),
                criterion("PKT", R"("vec_t": [2, 4])", "vec_t"), criterion("FSP", maps, "feat_s"),
                criterion("FT_paraphraser_reconstruction", map_of_student, "feat_s"),
                criterion("KD_T4", logits, "logit_x"),
                // Numbers that are none, or count nothing.
                criterion("KD_T..", logits, "logit_s"),
                criterion("CRD", vectors, "vec_s", contrast("x", "5")),
                criterion("CRD", vectors, "vec_s", contrast("0", "5")),
                criterion("CRD", vectors, "vec_s", contrast("20", "1e18"))},
});

}  // namespace
}  // namespace limbeck::fuzz
