// Settings as plain structs: a struct lists its fields once, and readers (TOML, --set, --help,
// fingerprints) visit the list.
//   struct GanTraining {
//     int64_t steps = 1000;
//     void fields(FieldVisitor& v) { v("steps", steps, "generator steps"); }
//   };
// Field types: bool, int64_t, double, std::string, std::vector of the latter three, or another
// struct with fields().
#pragma once
#include <concepts>
#include <cstdint>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <typeinfo>
#include <utility>
#include <variant>
#include <vector>

#include "tensor/error.h"

namespace limbeck {

class FieldVisitor;

template <class T>
concept HasFields = requires(T& t, FieldVisitor& v) {
  t.fields(v);
};

/// Whether a field has a say in what comes out. One that steers only how the work is done or shown
/// (prefetch threads, steps between pictures), or that another field has switched off, is no part
/// of a fingerprint.
enum class Influence { some, none };
inline Influence influence_if(bool matters) { return matters ? Influence::some : Influence::none; }

/// Where the value of one field lives.
using FieldTarget = std::variant<bool*, int64_t*, double*, std::string*, std::vector<int64_t>*,
                                 std::vector<double>*, std::vector<std::string>*>;

/// Base of those who read or write settings: sees every field under its dotted key, in the order of
/// declaration.
class FieldVisitor {
 public:
  virtual ~FieldVisitor() = default;
  template <class T>
  void operator()(const std::string& name, T& value, const std::string& help,
                  Influence influence = Influence::some) {
    const Influence outer_influence = influence_;
    if (influence == Influence::none) influence_ = influence;
    if constexpr (HasFields<T>) {
      const std::string outer = prefix_;
      prefix_ += name + ".";
      value.fields(*this);
      prefix_ = outer;
    } else {
      visit(prefix_ + name, FieldTarget(&value), help);
    }
    influence_ = outer_influence;
  }

 protected:
  virtual void visit(const std::string& key, FieldTarget value, const std::string& help) = 0;
  /// Of the field that is visited; that of a struct is of all its fields.
  Influence influence() const { return influence_; }

 private:
  std::string prefix_;
  Influence influence_ = Influence::some;
};

/// "key = value" lines, nested as "section.key", of the fields with influence: the canonical text
/// of settings.
class SettingsText : public FieldVisitor {
 public:
  std::string text() const { return out_.str(); }

 protected:
  void visit(const std::string& key, FieldTarget value, const std::string& help) override;

 private:
  std::ostringstream out_;
};

/// Canonical text of any settings struct.
template <HasFields T>
std::string settings_text(T settings) {
  SettingsText v;
  settings.fields(v);
  return v.text();
}

/// A settings struct whose type only its owner knows (a registered method, a data source). A value:
/// copies are deep.
class AnySettings {
 public:
  AnySettings() = default;
  template <HasFields S>
  requires(!std::same_as<S, AnySettings>) AnySettings(S settings)
      : held_(std::make_unique<Held<S>>(std::move(settings))) {}
  AnySettings(const AnySettings& other) : held_(other.held_ ? other.held_->copy() : nullptr) {}
  AnySettings(AnySettings&&) = default;
  AnySettings& operator=(AnySettings other) {
    held_ = std::move(other.held_);
    return *this;
  }

  void fields(FieldVisitor& v) {
    if (held_) held_->fields(v);
  }
  /// The struct; throws when it is of another type.
  template <HasFields S>
  S& as() {
    auto* held = dynamic_cast<Held<S>*>(held_.get());
    LIMBECK_CHECK(held, "settings: asked for a ", typeid(S).name(), ", which they are not");
    return held->value;
  }
  template <HasFields S>
  const S& as() const {
    return const_cast<AnySettings*>(this)->as<S>();
  }

 private:
  struct Base {
    virtual ~Base() = default;
    virtual void fields(FieldVisitor& v) = 0;
    virtual std::unique_ptr<Base> copy() const = 0;
  };
  template <class S>
  struct Held : Base {
    explicit Held(S settings) : value(std::move(settings)) {}
    void fields(FieldVisitor& v) override { value.fields(v); }
    std::unique_ptr<Base> copy() const override { return std::make_unique<Held>(value); }
    S value;
  };
  std::unique_ptr<Base> held_;
};

/// A section for each registered thing: [methods.blkd], [data.folder].
struct NamedSettings {
  struct Entry {
    std::string help;
    AnySettings settings;
  };
  std::map<std::string, Entry> entries;
  void fields(FieldVisitor& v) {
    for (auto& [name, entry] : entries) v(name, entry.settings, entry.help);
  }
  /// Throws naming what there is when the name is unknown.
  const AnySettings& at(const std::string& name) const;
  AnySettings& at(const std::string& name) {
    return const_cast<AnySettings&>(std::as_const(*this).at(name));
  }
};

}  // namespace limbeck
