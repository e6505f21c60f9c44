#include "apps/config.h"

#include <gtest/gtest.h>

#include <limits>

#include "tensor/error.h"
#include "tensor/fields.h"
#include "tensor/safetensors.h"

namespace limbeck {
namespace {

struct Inner {
  int64_t steps = 10;
  double rate = 0.5;
  void fields(FieldVisitor& v) {
    v("steps", steps, "number of steps");
    v("rate", rate, "learning rate");
  }
};

struct Outer {
  Inner gan;
  std::string name = "a \"quoted\" \\ name\n";
  bool flag = false;
  std::vector<int64_t> sizes{1, 2};
  std::vector<double> rates{0.1};
  std::vector<std::string> students{"resnet8"};
  void fields(FieldVisitor& v) {
    v("gan", gan, "");
    v("name", name, "of the run");
    v("flag", flag, "");
    v("sizes", sizes, "");
    v("rates", rates, "");
    v("students", students, "");
  }
};

std::string write(const std::string& text) {
  const std::string path = testing::TempDir() + "limbeck_config_test.toml";
  write_file_atomically(path, text);
  return path;
}

/// The message of the error that f throws, without the folder of temporary files.
template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    std::string text = e.what();
    if (text.rfind(testing::TempDir(), 0) == 0) text.erase(0, testing::TempDir().size());
    return text;
  }
  return "no error";
}

std::string toml_error(const std::string& text) {
  return error_of([&] {
    Outer s;
    read_toml(list_settings(s), write(text));
  });
}

std::string set_error(const std::string& text) {
  return error_of([&] {
    Outer s;
    set_override(list_settings(s), text);
  });
}

TEST(Config, ReadsEveryType) {
  Outer s;
  read_toml(list_settings(s), write("name = 'x'\nflag = true\nsizes = [3]\nrates = [1, "
                                    "2.5]\nstudents = []\n[gan]\nsteps = 7\nrate = 2\n"));
  EXPECT_EQ(s.name, "x");
  EXPECT_TRUE(s.flag);
  EXPECT_EQ(s.sizes, std::vector<int64_t>{3});
  EXPECT_EQ(s.rates, (std::vector<double>{1, 2.5}));
  EXPECT_TRUE(s.students.empty());
  EXPECT_EQ(s.gan.steps, 7);
  EXPECT_EQ(s.gan.rate, 2.0);
}

TEST(Config, WritesWhatItReadsBack) {
  Outer a;
  a.gan.rate = 1e-5;
  a.rates = {1.0 / 3.0, 100, 1e22, std::numeric_limits<double>::infinity()};
  Outer b;
  read_toml(list_settings(b), write(to_toml(list_settings(a), true)));
  EXPECT_EQ(settings_text(a), settings_text(b));
}

TEST(Config, UnknownKeyNamesFileLineAndNearest) {
  EXPECT_EQ(toml_error("flag = true\n[gan]\nstepz = 3\n"),
            "limbeck_config_test.toml:3: unknown key 'gan.stepz'; did you mean 'gan.steps'?");
  EXPECT_EQ(toml_error("steps = 3\n"),
            "limbeck_config_test.toml:1: unknown key 'steps'; did you mean 'gan.steps'?");
  EXPECT_EQ(toml_error("[gam]\nsteps = 3\n"),
            "limbeck_config_test.toml:1: unknown section 'gam'; did you mean 'gan'?");
}

TEST(Config, WrongTypeNamesExpectedAndFound) {
  EXPECT_EQ(toml_error("\n[gan]\nsteps = '3'\n"),
            "limbeck_config_test.toml:3: 'gan.steps': expected an integer, found a string");
  EXPECT_EQ(toml_error("[gan]\nsteps = 3.5\n"),
            "limbeck_config_test.toml:2: 'gan.steps': expected an integer, found a real number");
  EXPECT_EQ(toml_error("sizes = [1.5]\n"),
            "limbeck_config_test.toml:1: 'sizes': expected a list of integers, found a list that "
            "holds a real number");
  EXPECT_EQ(toml_error("gan = 3\n"),
            "limbeck_config_test.toml:1: 'gan' is a section, found an integer");
  EXPECT_EQ(toml_error("[flag]\nx = 1\n"),
            "limbeck_config_test.toml:1: 'flag': expected a boolean, found a section");
}

TEST(Config, SyntaxErrorNamesTheLine) {
  EXPECT_EQ(toml_error("flag = true\nname = \n").substr(0, 43),
            "limbeck_config_test.toml:2: not TOML: Error");
}

TEST(Config, MissingFileIsNamed) {
  Outer s;
  EXPECT_NE(error_of([&] { read_toml(list_settings(s), "no/such.toml"); }).find("no/such.toml"),
            std::string::npos);
}

TEST(Config, Overrides) {
  Outer s;
  const Settings list = list_settings(s);
  set_override(list, "gan.steps=42");
  set_override(list, "gan.rate=1e-3");
  set_override(list, "flag=true");
  set_override(list, "name=bare word");
  set_override(list, "sizes=4,5");
  set_override(list, "students=wrn_16_1,vgg8");
  EXPECT_EQ(s.gan.steps, 42);
  EXPECT_EQ(s.gan.rate, 1e-3);
  EXPECT_TRUE(s.flag);
  EXPECT_EQ(s.name, "bare word");
  EXPECT_EQ(s.sizes, (std::vector<int64_t>{4, 5}));
  EXPECT_EQ(s.students, (std::vector<std::string>{"wrn_16_1", "vgg8"}));
  set_override(list, "name=12");
  set_override(list, "students=['a']");
  set_override(list, "sizes=[]");
  EXPECT_EQ(s.name, "12");
  EXPECT_EQ(s.students, std::vector<std::string>{"a"});
  EXPECT_TRUE(s.sizes.empty());
}

TEST(Config, OverrideErrors) {
  EXPECT_EQ(set_error("gan.steps=many"),
            "--set gan.steps=many: 'gan.steps': expected an integer, found a string");
  EXPECT_EQ(set_error("gan.step=1"),
            "--set gan.step=1: unknown key 'gan.step'; did you mean 'gan.steps'?");
  EXPECT_EQ(set_error("flag"), "--set flag: expected key=value");
  EXPECT_EQ(set_error("gan=1"), "--set gan=1: 'gan' is a section");
}

}  // namespace
}  // namespace limbeck
