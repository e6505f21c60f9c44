#include "nn/module.h"

#include <unordered_map>
#include <unordered_set>

namespace limbeck::nn {
namespace {

std::string join(const std::string& prefix, const std::string& name) {
  return prefix.empty() ? name : name.empty() ? prefix : prefix + "." + name;
}

/// Memory <-> file layout. A conv tensor has rank 4: O,H,W,I in memory, O,I,H,W in the file.
Tensor to_file(const Tensor& t, DiskLayout layout) {
  const Tensor host = t.to(cpu);
  return layout == DiskLayout::conv ? to_channels_first(host)
         : t.device() == cpu        ? t.clone()
                                    : host;
}
Tensor to_memory(const Tensor& t, DiskLayout layout) {
  return layout == DiskLayout::conv ? to_channels_last(t) : t.clone();
}

Shape file_shape(const Shape& s, DiskLayout layout) {
  return layout == DiskLayout::conv ? Shape{s[0], s[3], s[1], s[2]} : s;
}

bool may_be_absent(const std::string& name) { return name.ends_with("num_batches_tracked"); }

/// At most a handful of names, so that an error about another network stays one line.
std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < names.size() && i < 4; ++i) text += (i ? ", " : "") + names[i];
  if (names.size() > 4) text += cat(", ... (", names.size(), " in all)");
  return text;
}

}  // namespace

Variable Module::forward(const Variable&) { fail("this module has no single-input forward"); }

void Module::train(bool on) {
  visit([on](const std::string&, Module& m) { m.training_ = on; });
}

void Module::visit(const std::function<void(const std::string&, Module&)>& f,
                   const std::string& prefix) {
  f(prefix, *this);
  for (const Child& c : children_)
    if (!c.alias) c.module->visit(f, join(prefix, c.name));
}

void Module::visit(const std::function<void(const std::string&, const Module&)>& f,
                   const std::string& prefix) const {
  f(prefix, *this);
  for (const Child& c : children_)
    if (!c.alias) static_cast<const Module*>(c.module)->visit(f, join(prefix, c.name));
}

void Module::visit_names(const std::function<void(const std::string&, const Module&)>& f,
                         const std::string& prefix) const {
  f(prefix, *this);
  for (const Child& c : children_) c.module->visit_names(f, join(prefix, c.name));
}

std::vector<Parameter> Module::parameters() const {
  std::vector<Parameter> all;
  visit([&](const std::string& prefix, const Module& m) {
    for (const Parameter& p : m.parameters_)
      all.push_back({join(prefix, p.name), p.value, p.layout, p.decays});
  });
  return all;
}

std::vector<Buffer> Module::buffers() const {
  std::vector<Buffer> all;
  visit([&](const std::string& prefix, const Module& m) {
    for (const Buffer& b : m.buffers_) all.push_back({join(prefix, b.name), b.value, b.layout});
  });
  return all;
}

void Module::visit_buffers(const std::function<void(Tensor&)>& f) {
  visit([&](const std::string&, Module& m) {
    for (Buffer& b : m.buffers_) f(b.value);
  });
}

std::vector<Variable> Module::parameter_values() const {
  std::vector<Variable> all;
  for (const Parameter& p : parameters()) all.push_back(p.value);
  return all;
}

int64_t Module::parameter_count() const {
  int64_t n = 0;
  for (const Parameter& p : parameters()) n += p.value.data().numel();
  return n;
}

void Module::zero_grad() const {
  for (const Parameter& p : parameters()) p.value.zero_grad();
}

void Module::set_requires_grad(bool on) const {
  for (const Parameter& p : parameters()) p.value.set_requires_grad(on);
}

void Module::to(DType dtype) {
  visit([dtype](const std::string&, Module& m) {
    for (Parameter& p : m.parameters_) p.value.set_data(p.value.data().to(dtype));
    for (Buffer& b : m.buffers_)
      if (is_floating(b.value.dtype())) b.value = b.value.to(dtype);
  });
}

void Module::to(Device device) {
  visit([device](const std::string&, Module& m) {
    for (Parameter& p : m.parameters_) p.value.set_data(p.value.data().to(device));
    for (Buffer& b : m.buffers_)
      if (is_floating(b.value.dtype())) b.value = b.value.to(device);
  });
}

Device Module::device() const {
  const std::vector<Parameter> all = parameters();
  return all.empty() ? cpu : all.front().value.data().device();
}

void Module::initialise(const Stream& stream) {
  visit([&](const std::string& name, Module& m) { m.reset(stream.fork(name)); });
}

void Module::set_streams(const Stream& stream) {
  visit([&](const std::string& name, Module& m) { m.set_stream(stream.fork(name)); });
}

void Module::switch_streams(const Stream& stream) {
  visit([&](const std::string& name, Module& m) { m.switch_stream(stream.fork(name)); });
}

void Module::reset(Stream) {}
void Module::set_stream(Stream) {}
void Module::switch_stream(Stream) {}

TensorFile Module::state_dict() const {
  TensorFile file;
  visit_names([&](const std::string& prefix, const Module& m) {
    for (const Parameter& p : m.parameters_)
      file.add(join(prefix, p.name), to_file(p.value.data(), p.layout));
    for (const Buffer& b : m.buffers_) file.add(join(prefix, b.name), to_file(b.value, b.layout));
  });
  return file;
}

void Module::load_state_dict(const TensorFile& file, const std::string& what) {
  std::unordered_map<std::string, const Tensor*> found;
  for (const auto& [name, t] : file.tensors) found.emplace(name, &t);
  std::vector<std::string> missing, unexpected;
  std::unordered_set<std::string> known;
  // First look at everything, then load: a refused file changes nothing.
  const auto inspect = [&](const std::string& name, const Tensor& mine, DiskLayout layout) {
    known.insert(name);
    const auto f = found.find(name);
    if (f == found.end()) {
      if (!may_be_absent(name)) missing.push_back(name);
      return;
    }
    const Shape expected = file_shape(mine.shape(), layout);
    LIMBECK_CHECK(f->second->shape() == expected, what, ": tensor '", name, "' has shape ",
                  f->second->shape(), "; this network expects ", expected);
  };
  visit_names([&](const std::string& prefix, const Module& m) {
    for (const Parameter& p : m.parameters_)
      inspect(join(prefix, p.name), p.value.data(), p.layout);
    for (const Buffer& b : m.buffers_) inspect(join(prefix, b.name), b.value, b.layout);
  });
  for (const auto& entry : file.tensors)
    if (!known.contains(entry.first)) unexpected.push_back(entry.first);
  LIMBECK_CHECK(missing.empty() && unexpected.empty(), what, ": does not belong to this network",
                missing.empty() ? "" : "; missing: " + listed(missing),
                unexpected.empty() ? "" : "; unexpected: " + listed(unexpected));

  visit_names([&](const std::string& prefix, const Module& m) {
    for (const Parameter& p : m.parameters_) {
      p.value.data().copy_from(
          to_memory(*found.at(join(prefix, p.name)), p.layout).to(p.value.dtype()));
    }
    for (const Buffer& b : m.buffers_)
      if (const auto f = found.find(join(prefix, b.name)); f != found.end())
        b.value.copy_from(to_memory(*f->second, b.layout).to(b.value.dtype()));
  });
}

void Module::add(std::string name, Module& child) {
  children_.push_back({std::move(name), &child});
}
void Module::add_alias(std::string name, Module& child) {
  children_.push_back({std::move(name), &child, true});
}

Variable Module::add_parameter(std::string name, const Shape& shape, DiskLayout layout,
                               bool decays) {
  LIMBECK_CHECK(layout == DiskLayout::plain || shape.rank() == 4, "parameter '", name,
                "' of shape ", shape, " cannot have a convolution's layout");
  Variable value(Tensor::zeros(shape), true);
  parameters_.push_back({std::move(name), value, layout, decays});
  return value;
}

size_t Module::add_buffer(std::string name, Tensor value, DiskLayout layout) {
  buffers_.push_back({std::move(name), std::move(value), layout});
  return buffers_.size() - 1;
}

}  // namespace limbeck::nn
